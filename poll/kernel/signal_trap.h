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
  // Starts to catch `signals`, which are numbers from 1 to 64. Borrows `eventfd`, which must be
  // non-blocking and must outlive the trap. Errors: FailedPrecondition if a trap exists; the errno
  // of sigaction(2).
  static absl::StatusOr<std::unique_ptr<SignalTrap>> set(Kernel& kernel,
                                                         const std::vector<int>& signals,
                                                         int eventfd);
  ~SignalTrap();
  SignalTrap(const SignalTrap&) = delete;
  SignalTrap& operator=(const SignalTrap&) = delete;

  // Returns the signals since the last call: bit N - 1 is signal N.
  std::uint64_t take();

 private:
  explicit SignalTrap(Kernel& kernel);

  Kernel& kernel_;
  std::vector<std::pair<int, std::unique_ptr<struct sigaction>>> before_;
};

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_SIGNAL_TRAP_H_
