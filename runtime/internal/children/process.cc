#include "epore/runtime/internal/children/process.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>
#include <cstdint>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/wait_ready.h"
#include "epore/runtime/internal/base/tell.h"

namespace epore::internal {
namespace {

// A process that was killed ends at once, unless it is in a system call that nothing interrupts.
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kLongestEnd = kSecond;

}  // namespace

absl::Status Process::kill(int signal) const {
  const SysResult sent = kernel_->pidfd_send_signal(pidfd_.get(), signal);
  if (sent.ok()) return absl::OkStatus();
  return errno_status(sent.error(), absl::StrCat("kill(child ", pid_, ", ", signal, ")"));
}

absl::Status Process::kill_group(int signal) const {
  const SysResult sent = kernel_->kill(-pid_, signal);
  if (sent.ok()) return absl::OkStatus();
  return errno_status(sent.error(), absl::StrCat("kill(group ", pid_, ", ", signal, ")"));
}

SysResult Process::wait(siginfo_t& info, int options) const {
  for (;;) {
    const SysResult waited = kernel_->waitid(pidfd_.get(), &info, WEXITED | WNOHANG | options);
    if (waited.error() != EINTR) return waited;
  }
}

bool Process::has_ended() const {
  siginfo_t info = {};
  const SysResult waited = wait(info, WNOWAIT);
  return !waited.ok() || info.si_pid != 0;
}

absl::StatusOr<ExitStatus> Process::reap() {
  siginfo_t info = {};
  const SysResult waited = wait(info, 0);
  pidfd_.reset();
  if (!waited.ok()) {
    const char* const why =
        waited.error() == ECHILD ? ": another part of the program has waited for it" : "";
    return errno_status(waited.error(), absl::StrCat("waitid(child ", pid_, ")", why));
  }
  if (info.si_code == CLD_EXITED) return ExitStatus{.code = info.si_status};
  return ExitStatus{.signal = info.si_status};
}

void Process::await_end() const {
  const std::int64_t deadline = kernel_->now() + kLongestEnd;
  for (std::int64_t left = kLongestEnd; left > 0; left = deadline - kernel_->now()) {
    pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    const timespec timeout = {.tv_sec = static_cast<time_t>(left / kSecond),
                              .tv_nsec = static_cast<long>(left % kSecond)};
    if (wait_ready(*kernel_, {&ended, 1}, &timeout).error() != EINTR) return;
  }
}

void Process::end() {
  if (!pidfd_.is_valid()) return;
  if (leads_group_) (void)kernel_->kill(-pid_, SIGKILL);
  (void)kernel_->pidfd_send_signal(pidfd_.get(), SIGKILL);
  await_end();
  siginfo_t info = {};
  if (wait(info, 0); info.si_pid == pid_) return;
  tell([this] {
    LOG(ERROR) << "epore: child " << pid_
               << " was killed, and has not ended yet; nobody waits for it";
  });
}

}  // namespace epore::internal
