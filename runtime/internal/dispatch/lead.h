#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_LEAD_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_LEAD_H_

#include <atomic>
#include <cstdint>

namespace epore::internal {

// Who leads a reactor, that is, polls and runs what is ready: one thread at a time, normally the
// poll thread. A leader that runs user code may be stuck in it, so it exposes the lead meanwhile,
// and whoever takes it first, the leader that comes back or a relief, leads on.
//
// One counter. Even: held by its leader. Odd: exposed, under the ticket that is its value.
//
//   leader                               relief (told by the watchdog that ticket 7 is stuck)
//   7 = expose()          6 -> 7
//   user code                            take(7)   7 -> 8: leads, with the rest of the batch
//   take(7): 8, fails
//   is relieved: touches nothing that
//   belongs to the lead
//
// Tickets are never used again (64 bits), so a relief that comes late, when the leader has long
// been in another callback, fails. (With a mere flag it would take over from a leader that is not
// stuck at all, and pay two wakes for nothing.)
//
// Orders: expose() is a release and take() an acquire, so what the lead guards, the batch, the
// queue and the timers' list, goes from leader to leader like something under a lock. A leader that
// takes its own lead back has nothing to see, and pays for one uncontended locked instruction.
class Lead {
 public:
  using Ticket = std::uint64_t;

  // The leader. After this, and until a take() succeeds, it touches nothing that the lead guards.
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

  // Any thread: where it stands. A value that stays odd is a leader that is stuck.
  std::uint64_t value() const { return word_.load(std::memory_order_acquire); }
  static bool is_exposed(std::uint64_t value) { return value % 2 == 1; }

 private:
  std::atomic<std::uint64_t> word_{0};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_LEAD_H_
