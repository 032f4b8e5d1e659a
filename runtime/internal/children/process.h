#ifndef EPORE_RUNTIME_INTERNAL_CHILDREN_PROCESS_H_
#define EPORE_RUNTIME_INTERNAL_CHILDREN_PROCESS_H_

#include <signal.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/child.h"

namespace epore::internal {

// A Process is a child process that nobody has waited for yet. Its destructor kills it, with its
// group if it leads one, and waits for it.
class Process {
 public:
  Process(Kernel& kernel, int pid, int pidfd, bool leads_group)
      : kernel_(&kernel), pid_(pid), pidfd_(pidfd, kernel), leads_group_(leads_group) {}
  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) = delete;
  ~Process() { end(); }

  int pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  bool leads_group() const { return leads_group_; }

  absl::Status kill(int signal) const;
  absl::Status kill_group(int signal) const;

  // Whether it has ended, or nobody can wait for it any more.
  bool has_ended() const;

  // After has_ended(): returns how it has ended. It is not there any more, and nothing else may be
  // called. Errors: that of waitid(2).
  absl::StatusOr<ExitStatus> reap();

 private:
  void end();
  void await_end() const;
  SysResult wait(siginfo_t& info, int options) const;

  Kernel* kernel_;
  int pid_;
  OwnedFd pidfd_;
  bool leads_group_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_CHILDREN_PROCESS_H_
