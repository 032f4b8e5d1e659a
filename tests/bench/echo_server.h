#ifndef EPORE_TESTS_BENCH_ECHO_SERVER_H_
#define EPORE_TESTS_BENCH_ECHO_SERVER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/process.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

// A contender that runs and accepts connections, as contender_program.h says. It ends with this
// object, and with the thread that started it.
class EchoServer {
 public:
  // Pinned to `core`; -1: not pinned. Unimplemented: it says that it cannot run here, and why.
  static absl::StatusOr<EchoServer> start(const ContenderSpec& spec, int core);

  const std::string& label() const { return label_; }
  const std::string& version() const { return version_; }
  const Endpoint& endpoint() const { return endpoint_; }
  pid_t pid() const { return process_.pid(); }

  absl::StatusOr<CpuTime> cpu_time() const;

  // Ok while it runs. `grace`: how long to wait for the end of one that may be dying.
  absl::Status check_alive(absl::Duration grace = absl::ZeroDuration());

  // Ends it in peace; an error if it does not, or has ended before.
  absl::Status stop();

 private:
  EchoServer(std::string label, Process process);
  absl::Status read_announcement();
  absl::Status with_label(const absl::Status& status) const;

  std::string label_;
  std::string version_;
  Endpoint endpoint_;
  Process process_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ECHO_SERVER_H_
