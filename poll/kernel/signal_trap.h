#ifndef EPORE_POLL_KERNEL_SIGNAL_TRAP_H_
#define EPORE_POLL_KERNEL_SIGNAL_TRAP_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"

struct sigaction;

namespace epore {

// A SignalTrap catches signals while it lives. Its handler notes the signal and adds one to an
// eventfd. Nothing else is safe in a handler (signal-safety(7)). The destructor restores the
// handlers that were there before. There is one trap at a time in a process.
//
// A handler may run on any thread of the program, and may still run while the trap is destroyed. It
// must not write to an eventfd that is closed. Four words in signal_trap.cc prevent that:
//
//   handler                              destructor
//   1 handlers += 1                      1 eventfd = -1
//   2 reads eventfd; -1: does not write  2 waits until handlers is 0
//   3 handlers -= 1
//
// All these accesses are sequentially consistent. So either the handler reads -1, or the destructor
// sees the handler in `handlers`. In the second case it waits for the last instructions of the
// handler.
class SignalTrap {
 public:
  // Starts to catch `signals`: bit N - 1 is signal N. A signal in `unless_ignored` stays ignored if
  // it is ignored now; nohup(1) and shells say so that it is not for this program. Borrows
  // `eventfd`, which must be non-blocking and must outlive the trap. Errors: FailedPrecondition if
  // a trap exists; the errno of sigaction(2). Throws std::bad_alloc, and has then caught nothing.
  static absl::StatusOr<std::unique_ptr<SignalTrap>> set(Kernel& kernel, std::uint64_t signals,
                                                         std::uint64_t unless_ignored, int eventfd);
  ~SignalTrap();
  SignalTrap(const SignalTrap&) = delete;
  SignalTrap& operator=(const SignalTrap&) = delete;

  // Returns the signals since the last call.
  std::uint64_t take();

  // The signals that this trap catches.
  std::uint64_t signals() const { return signals_; }

 private:
  explicit SignalTrap(Kernel& kernel);

  Kernel& kernel_;
  bool is_set_ = false;
  std::uint64_t signals_ = 0;
  std::vector<std::pair<int, std::unique_ptr<struct sigaction>>> before_;
};

// An UnblockedSignals unblocks signals for its thread while it lives. A program whose supervisor
// has blocked them would otherwise wait for ever.
class UnblockedSignals {
 public:
  explicit UnblockedSignals(std::uint64_t signals);
  ~UnblockedSignals();
  UnblockedSignals(const UnblockedSignals&) = delete;
  UnblockedSignals& operator=(const UnblockedSignals&) = delete;

 private:
  std::uint64_t blocked_ = 0;  // the mask to restore
};

// Unblocks all signals for this thread. Async-signal-safe.
void unblock_all_signals();

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_SIGNAL_TRAP_H_
