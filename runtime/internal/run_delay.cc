#include "runtime/internal/run_delay.h"

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/strings/numbers.h"
#include "poll/sys/kernel.h"

namespace epore::internal {

void RunDelay::open(Kernel& kernel) {
  const SysResult opened = kernel.open("/proc/thread-self/schedstat", O_RDONLY);
  if (!opened.ok()) return;
  kernel_ = &kernel;
  fd_ = OwnedFd(opened.fd(), kernel);
  is_open_.store(true, std::memory_order_release);
}

std::optional<std::int64_t> RunDelay::read() const {
  if (!is_open_.load(std::memory_order_acquire)) return std::nullopt;
  char buffer[128];  // "time-running time-waiting timeslices"
  const SysResult count = kernel_->pread(fd_.get(), buffer, sizeof buffer, 0);
  if (!count.ok()) return std::nullopt;
  std::string_view text(buffer, static_cast<std::size_t>(count.value()));
  const std::size_t first = text.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  text.remove_prefix(first + 1);
  std::int64_t delay = 0;
  if (!absl::SimpleAtoi(text.substr(0, text.find(' ')), &delay)) return std::nullopt;
  return delay;
}

}  // namespace epore::internal
