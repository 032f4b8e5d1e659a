#include "epore/runtime/internal/base/gate.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <span>

#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/wait_ready.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kRefusedWait = 50'000'000;

}  // namespace

Gate::~Gate() {
  if (const int fd = bell(); fd >= 0) (void)kernel_.close(fd);
}

absl::Status Gate::hang_bell() {
  if (bell() >= 0) return absl::OkStatus();
  const SysResult made = kernel_.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (!made.ok()) return errno_status(made.error(), "eventfd(EFD_CLOEXEC | EFD_NONBLOCK)");
  bell_.store(made.fd(), std::memory_order_release);
  word_.fetch_add(1, std::memory_order_acq_rel);
  return absl::OkStatus();
}

void Gate::notify_parked() {
  word_.fetch_add(1, std::memory_order_acq_rel);
  (void)kernel_.unpark(word_, INT_MAX);
}

void Gate::notify() {
  notify_parked();
  const int fd = bell();
  if (fd < 0) return;
  const std::uint64_t one = 1;
  while (kernel_.write(fd, &one, sizeof one).error() == EINTR) {
  }  // EAGAIN is success: the bell is readable already
}

void Gate::empty_bell() {
  std::uint64_t rings;
  (void)kernel_.read(bell(), &rings, sizeof rings);  // EAGAIN: nobody rang
}

std::uint32_t Gate::begin(By by) {
  if (by == By::bell) empty_bell();
  return word_.load(std::memory_order_acquire);
}

void Gate::sleep(By by, std::uint32_t seen, std::int64_t left) {
  if (by == By::park) {
    (void)kernel_.park(word_, seen, left);
    return;
  }
  pollfd bell_ready = {bell(), POLLIN, 0};
  const timespec timeout = {static_cast<time_t>(left / 1'000'000'000),
                            static_cast<long>(left % 1'000'000'000)};
  const SysResult waited =
      wait_ready(kernel_, std::span(&bell_ready, 1), left < 0 ? nullptr : &timeout);
  if (waited.ok() || waited.error() == EINTR) return;
  // The system refuses every way to wait for a descriptor: look at the bell now and then.
  (void)kernel_.park(word_, seen, left < 0 ? kRefusedWait : std::min(left, kRefusedWait));
}

}  // namespace epore::internal
