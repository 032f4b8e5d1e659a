#ifndef EPORE_TESTS_EXAMPLES_SERVER_H_
#define EPORE_TESTS_EXAMPLES_SERVER_H_

#include <string>
#include <vector>

#include "absl/base/config.h"
#include "examples/child_process.h"
#include "gtest/gtest.h"

namespace examples {

// Whether programs built like this test catch signals. ThreadSanitizer holds a handler back while
// its thread is in a system call that it does not know to block, and there run_until_signal()
// stays.
#ifdef ABSL_HAVE_THREAD_SANITIZER
inline constexpr bool kCatchesSignals = false;
#else
inline constexpr bool kCatchesSignals = true;
#endif
#define SKIP_WITHOUT_SIGNALS() \
  if (!kCatchesSignals) GTEST_SKIP() << "ThreadSanitizer keeps signals from the server"

// Starts a program of examples/ that the test has as data, with its stderr captured.
ChildProcess start_program(const std::string& name, const std::vector<std::string>& arguments = {});

// The same for a server: its first line must be `LISTEN address:port`.
struct Server {
  explicit Server(const std::string& name, const std::vector<std::string>& arguments);

  ChildProcess process;
  std::string address;  // "127.0.0.1:1234"
  std::string port() const { return address.substr(address.rfind(':') + 1); }

  // Sends SIGUSR1 and returns the line that comes on stderr.
  std::string counters();

  // A number of that line, asked for again and again until it is `expected` (a number may come a
  // moment after what it counts) or ten seconds have passed.
  long long counter(const std::string& name, long long expected);

  // Sends SIGTERM and returns the exit code.
  int terminate();
};

// A number of the counters' line; -1 if it is not there.
long long counter(const std::string& json, const std::string& name);

}  // namespace examples

#endif  // EPORE_TESTS_EXAMPLES_SERVER_H_
