#include "epore/poll/kernel/signal_trap.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore {
namespace {

// Whether a trap exists. set() exchanges it (acq_rel), the destructor clears it (release). The
// race: two threads set a trap at once; the exchange lets one in.
std::atomic<bool> is_set{false};

// The signals that take() has not returned yet. Handlers fetch_or, take() exchanges with 0, both
// acq_rel. The race: a signal comes during take(); it is in this result or in the next.
std::atomic<std::uint64_t> caught{0};

// How many handlers run, and where they write (-1: nowhere). signal_trap.h has the race. All
// accesses are seq_cst.
std::atomic<int> handlers{0};
std::atomic<int> eventfd{-1};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<int>::is_always_lock_free);

void handle(int signal) {
  const int saved = errno;
  handlers.fetch_add(1, std::memory_order_seq_cst);
  caught.fetch_or(std::uint64_t{1} << (signal - 1), std::memory_order_acq_rel);
  const int fd = eventfd.load(std::memory_order_seq_cst);
  if (fd >= 0) {
    // The Kernel is not safe here, as its counting may lock. write(2) fails only if the eventfd is
    // full; then it is readable anyway.
    const std::uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
  }
  handlers.fetch_sub(1, std::memory_order_seq_cst);
  errno = saved;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SignalTrap>> SignalTrap::set(Kernel& kernel,
                                                            const std::vector<int>& signals,
                                                            int eventfd_to_write) {
  if (is_set.exchange(true, std::memory_order_acq_rel)) {
    return absl::FailedPreconditionError("signals are being waited for already in this process");
  }
  caught.store(0, std::memory_order_release);
  eventfd.store(eventfd_to_write, std::memory_order_seq_cst);
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
  eventfd.store(-1, std::memory_order_seq_cst);
  while (handlers.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
  is_set.store(false, std::memory_order_release);
}

std::uint64_t SignalTrap::take() { return caught.exchange(0, std::memory_order_acq_rel); }

}  // namespace epore
