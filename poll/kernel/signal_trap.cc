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

constexpr int kSignals = 64;
std::uint64_t bit(int signal) { return std::uint64_t{1} << (signal - 1); }

sigset_t to_set(std::uint64_t signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal = 1; signal <= kSignals; ++signal) {
    if ((signals & bit(signal)) != 0) ::sigaddset(&set, signal);
  }
  return set;
}

void handle(int signal) {
  const int saved = errno;
  handlers.fetch_add(1, std::memory_order_seq_cst);
  caught.fetch_or(bit(signal), std::memory_order_acq_rel);
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

absl::StatusOr<std::unique_ptr<SignalTrap>> SignalTrap::set(Kernel& kernel, std::uint64_t signals,
                                                            std::uint64_t unless_ignored,
                                                            int eventfd_to_write) {
  auto trap = absl::WrapUnique(new SignalTrap(kernel));
  if (is_set.exchange(true, std::memory_order_acq_rel)) {
    return absl::FailedPreconditionError("signals are being waited for already in this process");
  }
  trap->is_set_ = true;
  caught.store(0, std::memory_order_release);
  eventfd.store(eventfd_to_write, std::memory_order_seq_cst);
  trap->before_.reserve(kSignals);
  struct sigaction action = {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  ::sigfillset(&action.sa_mask);
  for (int signal = 1; signal <= kSignals; ++signal) {
    if ((signals & bit(signal)) == 0) continue;
    auto before = std::make_unique<struct sigaction>();
    const SysResult caught_now = kernel.sigaction(signal, &action, before.get());
    if (!caught_now.ok()) {
      return errno_status(caught_now.error(), absl::StrCat("sigaction(", signal, ")"));
    }
    if (before->sa_handler == SIG_IGN && (unless_ignored & bit(signal)) != 0) {
      (void)kernel.sigaction(signal, before.get(), nullptr);
      continue;  // take() leaves it out if it has come meanwhile
    }
    trap->signals_ |= bit(signal);
    trap->before_.emplace_back(signal, std::move(before));
  }
  return trap;
}

SignalTrap::SignalTrap(Kernel& kernel) : kernel_(kernel) {}

SignalTrap::~SignalTrap() {
  if (!is_set_) return;
  while (!before_.empty()) {
    (void)kernel_.sigaction(before_.back().first, before_.back().second.get(), nullptr);
    before_.pop_back();
  }
  eventfd.store(-1, std::memory_order_seq_cst);
  while (handlers.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
  is_set.store(false, std::memory_order_release);
}

std::uint64_t SignalTrap::take() {
  return caught.exchange(0, std::memory_order_acq_rel) & signals_;
}

UnblockedSignals::UnblockedSignals(std::uint64_t signals) {
  const sigset_t wanted = to_set(signals);
  sigset_t before;
  ::pthread_sigmask(SIG_UNBLOCK, &wanted, &before);
  for (int signal = 1; signal <= kSignals; ++signal) {
    const bool was_blocked = ::sigismember(&before, signal) == 1;
    if (was_blocked && (signals & bit(signal)) != 0) blocked_ |= bit(signal);
  }
}

UnblockedSignals::~UnblockedSignals() {
  const sigset_t blocked = to_set(blocked_);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

void unblock_all_signals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace epore
