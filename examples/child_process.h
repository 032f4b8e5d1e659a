#ifndef EPORE_EXAMPLES_CHILD_PROCESS_H_
#define EPORE_EXAMPLES_CHILD_PROCESS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"

namespace examples {

// A program that runs beside this one, and its output line by line. Killed when destroyed.
class ChildProcess {
 public:
  enum class Errors { inherited, captured };  // what becomes of its stderr

  // Starts command[0], a path, with its arguments.
  static absl::StatusOr<ChildProcess> start(const std::vector<std::string>& command,
                                            Errors errors = Errors::inherited);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  // The next line of its stdout or captured stderr, without the line's end; none after the last
  // one, or if it does not come in time.
  std::optional<std::string> read_line(absl::Duration timeout = absl::Seconds(20));
  std::optional<std::string> read_error_line(absl::Duration timeout = absl::Seconds(20));

  void signal(int number);

  // Its exit code, or 128 and the number of the signal that killed it; DeadlineExceeded if it still
  // runs then.
  absl::StatusOr<int> wait(absl::Duration timeout = absl::Seconds(20));

  pid_t pid() const { return pid_; }

 private:
  struct Lines {
    epore::OwnedFd fd;
    std::string unread;
  };
  static std::optional<std::string> read_line(Lines& lines, absl::Duration timeout);

  ChildProcess(pid_t pid, epore::OwnedFd pidfd, epore::OwnedFd out, epore::OwnedFd err);

  pid_t pid_ = -1;
  epore::OwnedFd pidfd_;
  Lines out_;
  Lines err_;
  std::optional<int> exit_code_;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_CHILD_PROCESS_H_
