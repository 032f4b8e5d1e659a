#ifndef EPORE_TESTS_EXAMPLES_SERVER_H_
#define EPORE_TESTS_EXAMPLES_SERVER_H_

#include <string>
#include <vector>

#include "examples/child_process.h"

namespace examples {

// Starts a program of examples/ that the test has as data, with its stderr captured. It does not
// wait long for a name server.
ChildProcess start_program(const std::string& name, const std::vector<std::string>& arguments = {});

// The same for a server: its first line must be `LISTEN address:port`.
struct Server {
  explicit Server(const std::string& name, const std::vector<std::string>& arguments);

  ChildProcess process;
  std::string address;  // "127.0.0.1:1234"
  std::string port() const { return address.substr(address.rfind(':') + 1); }

  // Sends SIGUSR1 and returns the line of the counters that comes on stderr. What comes behind it
  // is left, and skipped by the next call.
  std::string counters();

  // A number of that line, asked for again and again until it is `expected` (a number may come a
  // moment after what it counts) or ten seconds have passed.
  long long counter(const std::string& name, long long expected);

  // Sends SIGTERM. (Under ThreadSanitizer, which now and then keeps a signal back until the next
  // one, it is sent again if nothing has come of it some seconds later: the port is still open, or,
  // if it was closed before, the process has not ended.)
  void ask_to_end();

  // The same, and returns the exit code.
  int terminate();
};

// A number of the counters' line; -1 if it is not there.
long long counter(const std::string& json, const std::string& name);

}  // namespace examples

#endif  // EPORE_TESTS_EXAMPLES_SERVER_H_
