#ifndef EPORE_POLL_SYS_SIGNAL_TRAP_H_
#define EPORE_POLL_SYS_SIGNAL_TRAP_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "poll/sys/kernel.h"

struct sigaction;

namespace epore {

// Catches signals while it lives: the handler notes the signal, adds one to `word` and ends a park
// on it; nothing else is safe in a handler (signal-safety(7)). The handlers that were there before
// come back with its destruction. One at a time in a process.
class SignalTrap {
 public:
  // Signals from 1 to 64. `word` must outlive the trap. FailedPrecondition if there is one already.
  static absl::StatusOr<std::unique_ptr<SignalTrap>> set(Kernel& kernel,
                                                         const std::vector<int>& signals,
                                                         std::atomic<std::uint32_t>& word);
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

#endif  // EPORE_POLL_SYS_SIGNAL_TRAP_H_
