#include "epore/runtime/internal/signals/service_manager.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <utility>

#include "absl/log/log.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/wait_ready.h"
#include "epore/runtime/address.h"
#include "epore/runtime/internal/base/printable.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

absl::StatusOr<std::int64_t> watchdog_of(const ServiceManager::Environment& environment, int self) {
  if (environment.watchdog_usec == nullptr) return 0;
  int owner = self;
  std::int64_t microseconds = 0;
  if ((environment.watchdog_pid != nullptr &&
       !absl::SimpleAtoi(environment.watchdog_pid, &owner)) ||
      !absl::SimpleAtoi(environment.watchdog_usec, &microseconds) || microseconds <= 0 ||
      microseconds > INT64_MAX / 1000) {
    return absl::InvalidArgumentError(absl::StrCat(
        "run_service: WATCHDOG_USEC is \"", printable(environment.watchdog_usec),
        "\" and WATCHDOG_PID is \"",
        printable(environment.watchdog_pid != nullptr ? environment.watchdog_pid : ""), "\""));
  }
  return owner == self ? microseconds * 1000 : 0;  // or it was meant for a parent
}

}  // namespace

ServiceManager::Environment ServiceManager::environment() {
  const char* const socket = ::secure_getenv("NOTIFY_SOCKET");
  if (socket == nullptr && ::getenv("NOTIFY_SOCKET") != nullptr) {
    LOG(WARNING) << "epore: run_service: NOTIFY_SOCKET is not trusted, as the process has "
                    "set-user-ID or file capabilities; the service manager is told nothing";
  }
  return {socket, ::secure_getenv("WATCHDOG_USEC"), ::secure_getenv("WATCHDOG_PID")};
}

absl::StatusOr<ServiceManager> ServiceManager::connect(Kernel& kernel,
                                                       const Environment& environment, int self) {
  ServiceManager manager(kernel);
  if (environment.socket == nullptr || *environment.socket == '\0') return manager;
  const std::string subject =
      absl::StrCat("run_service: NOTIFY_SOCKET \"", printable(environment.socket), "\"");
  const absl::StatusOr<SocketAddress> address =
      SocketAddress::parse(absl::StrCat("unix:", environment.socket));
  if (!address.ok() || (*environment.socket != '/' && *environment.socket != '@')) {
    return absl::InvalidArgumentError(
        absl::StrCat(subject, " is neither an absolute path nor an abstract name"));
  }
  const absl::StatusOr<std::int64_t> watchdog = watchdog_of(environment, self);
  if (!watchdog.ok()) return watchdog.status();
  manager.watchdog_ = *watchdog;
  const SysResult opened = kernel.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (!opened.ok()) return errno_status(opened.error(), absl::StrCat(subject, ": socket"));
  manager.fd_ = OwnedFd(opened.fd(), kernel);
  const SysResult connected = kernel.connect(opened.fd(), address->data(), address->size());
  if (!connected.ok()) return errno_status(connected.error(), absl::StrCat(subject, ": connect"));
  return manager;
}

absl::Status ServiceManager::tell(std::string_view lines, std::int64_t limit) const {
  if (!is_asked()) return absl::OkStatus();
  const std::int64_t deadline = kernel_->now() + limit;
  for (;;) {
    const SysResult sent = kernel_->send(fd_.get(), lines.data(), lines.size(), 0);
    if (sent.ok()) return absl::OkStatus();
    const std::string subject = absl::StrCat("telling the service manager ", printable(lines));
    if (sent.error() == EINTR) continue;
    if (sent.error() != EAGAIN) return errno_status(sent.error(), subject);
    const std::int64_t left = deadline - kernel_->now();
    if (left <= 0) return absl::DeadlineExceededError(absl::StrCat(subject, ": its queue is full"));
    pollfd room{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    const timespec timeout = {.tv_sec = static_cast<time_t>(left / kSecond),
                              .tv_nsec = static_cast<long>(left % kSecond)};
    (void)wait_ready(*kernel_, {&room, 1}, &timeout);
  }
}

}  // namespace epore::internal
