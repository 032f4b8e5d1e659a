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

// Catches signals while it lives: the handler notes the signal and adds one to an eventfd; nothing
// else is safe in a handler (signal-safety(7)). The handlers that were there before come back with
// its destruction. One at a time in a process.
//
// The handler may run on any thread of the program, and still do so while the trap is destroyed. So
// it announces itself before it reads where to write, and the destructor takes that away before it
// looks for handlers, all sequentially consistent: either the handler finds nothing to write to, or
// the destructor sees it and waits the few instructions until it is through. The eventfd may then
// be closed, and its number be somebody else's.
class SignalTrap {
 public:
  // Signals from 1 to 64. `eventfd` is borrowed, non-blocking, and must outlive the trap.
  // FailedPrecondition if there is a trap already.
  static absl::StatusOr<std::unique_ptr<SignalTrap>> set(Kernel& kernel,
                                                         const std::vector<int>& signals,
                                                         int eventfd);
  ~SignalTrap();
  SignalTrap(const SignalTrap&) = delete;
  SignalTrap& operator=(const SignalTrap&) = delete;

  // The signals that came since the last call, as bits (signal - 1).
  std::uint64_t take();

 private:
  explicit SignalTrap(Kernel& kernel);

  Kernel& kernel_;
  std::vector<std::pair<int, std::unique_ptr<struct sigaction>>> before_;
};

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_SIGNAL_TRAP_H_
