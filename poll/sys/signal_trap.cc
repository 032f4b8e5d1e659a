#include "poll/sys/signal_trap.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "poll/sys/errno_status.h"

namespace epore {
namespace {

std::atomic<bool> is_set{false};
std::atomic<std::uint64_t> caught{0};
std::atomic<std::atomic<std::uint32_t>*> parked_on{nullptr};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

void handle(int signal) {
  const int saved = errno;
  caught.fetch_or(std::uint64_t{1} << (signal - 1), std::memory_order_acq_rel);
  std::atomic<std::uint32_t>* word = parked_on.load(std::memory_order_acquire);
  if (word != nullptr) {
    word->fetch_add(1, std::memory_order_acq_rel);
    // Not through the Kernel: what it counts with may take a lock.
    ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  }
  errno = saved;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SignalTrap>> SignalTrap::set(Kernel& kernel,
                                                            const std::vector<int>& signals,
                                                            std::atomic<std::uint32_t>& word) {
  if (is_set.exchange(true, std::memory_order_acq_rel)) {
    return absl::FailedPreconditionError("signals are being waited for already in this process");
  }
  caught.store(0, std::memory_order_release);
  parked_on.store(&word, std::memory_order_release);
  auto trap = absl::WrapUnique(new SignalTrap(kernel));
  struct sigaction action = {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  ::sigfillset(&action.sa_mask);
  for (int signal : signals) {
    auto before = std::make_unique<struct sigaction>();
    const SysResult caught_now = kernel.sigaction(signal, &action, before.get());
    if (!caught_now.ok()) {
      return errno_status(caught_now.error(), absl::StrCat("sigaction(", signal, ")"));
    }
    trap->before_.emplace_back(signal, std::move(before));
  }
  return trap;
}

SignalTrap::SignalTrap(Kernel& kernel) : kernel_(kernel) {}

SignalTrap::~SignalTrap() {
  while (!before_.empty()) {
    (void)kernel_.sigaction(before_.back().first, before_.back().second.get(), nullptr);
    before_.pop_back();
  }
  parked_on.store(nullptr, std::memory_order_release);
  is_set.store(false, std::memory_order_release);
}

std::uint64_t SignalTrap::take() { return caught.exchange(0, std::memory_order_acq_rel); }

}  // namespace epore
