#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_LEAD_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_LEAD_H_

#include <atomic>
#include <cstdint>

namespace epore::internal {

// A Lead says who leads a reactor. The leader polls and runs what is ready. There is one at a time,
// normally the poll thread. A leader may get stuck in user code, so it exposes the lead meanwhile.
// Then the first thread that takes the lead leads: the leader that comes back, or a relief.
//
// The word is one counter. An even value means that a leader holds the lead. An odd value means
// that the lead is exposed, and the value is its ticket.
//
//   leader                               relief (the watchdog says that ticket 7 is stuck)
//   7 = expose()          6 -> 7
//   user code                            take(7)   7 -> 8: leads, with the rest of the batch
//   take(7): 8, fails
//   is relieved: touches nothing that
//   the lead guards
//
// The race: a relief comes late, when the leader is already in another callback. No ticket is used
// twice (64 bits), so take() fails. A plain flag would relieve a leader that is not stuck, and
// would cost two wakes.
//
// Orders: expose() stores with release, take() is a compare-exchange with acq_rel. So the batch,
// the queue and the timers pass from leader to leader as if a lock guarded them. The watchdog and
// the poll thread load with acquire.
class Lead {
 public:
  using Ticket = std::uint64_t;

  // The leader, before user code. Until a take() succeeds it touches nothing that the lead guards.
  Ticket expose() {
    const Ticket ticket = word_.load(std::memory_order_relaxed) + 1;
    word_.store(ticket, std::memory_order_release);
    return ticket;
  }

  // True: the caller leads now.
  bool take(Ticket ticket) {
    return word_.compare_exchange_strong(ticket, ticket + 1, std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }

  // The current value, for any thread. If it stays odd, the leader is stuck.
  std::uint64_t value() const { return word_.load(std::memory_order_acquire); }
  static bool is_exposed(std::uint64_t value) { return value % 2 == 1; }

 private:
  std::atomic<std::uint64_t> word_{0};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_LEAD_H_
