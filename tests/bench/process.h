#ifndef EPORE_TESTS_BENCH_PROCESS_H_
#define EPORE_TESTS_BENCH_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"

namespace epore::bench {

// A child process whose stdout is read line by line. It has the default signal dispositions,
// nothing on stdin, and our stderr. Killed and reaped by the destructor.
class Process {
 public:
  static absl::StatusOr<Process> spawn(const std::vector<std::string>& command);

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }

  // The next line of its stdout, without the end of line. DeadlineExceeded; Unavailable at the end,
  // with how the process ended.
  absl::StatusOr<std::string> read_line(absl::Duration timeout);

  // Ok while it runs; afterwards Unavailable, "ended with exit code 1" or "was killed by signal 9".
  // `grace`: how long to wait for the end of one that may be dying.
  absl::Status check_alive(absl::Duration grace = absl::ZeroDuration());

  // Closes its stdout and waits for its end. The user and system time of it and of its
  // own children that it has waited for. Errors: it ended with other than 0, or not in time.
  absl::StatusOr<absl::Duration> wait_for_success(absl::Duration timeout);

  // Asks it to end with SIGTERM and waits. Errors: it had ended before, ended with other than 0, or
  // did not within `timeout` and was killed.
  absl::Status stop(absl::Duration timeout);

 private:
  Process(pid_t pid, OwnedFd pidfd, OwnedFd output);
  bool wait_for_end(absl::Duration timeout);
  void kill_and_reap();
  void reap();

  pid_t pid_ = -1;
  OwnedFd pidfd_;  // readable when it has ended
  OwnedFd output_;
  std::string unread_;
  bool has_ended_ = false;  // and is reaped
  int wait_status_ = 0;
  absl::Duration cpu_time_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_PROCESS_H_
