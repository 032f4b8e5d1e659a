#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_REGISTRATION_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_REGISTRATION_H_

#include <atomic>
#include <cstdint>

#include "epore/poll/readiness.h"
#include "epore/poll/token.h"
#include "epore/runtime/internal/reactor/edges.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// The steps of a shutdown that concern a registration.
enum class ShutdownStep : std::uint8_t { drain, abort };

// A Registration is the bond of a descriptor and a reactor. It is a Runnable, and the reactor wakes
// it when an event has its token. Streams, acceptors and connectors derive from it.
//
// Its words, beside edges_ (edges.h). "Poll thread" means the thread that leads the reactor.
//
// hints_: kMayHaveMore, kHangUp and kError. The poll thread sets bits before it counts the edge,
// the runner
//   takes them after it has seen the count. So all accesses are relaxed, and the count orders them.
//   The race: an end of file comes right behind some bytes. The runner reads less than its buffer
//   holds and must not take that for the end of the bytes; kMayHaveMore tells it.
//
// waits_for_write_: 1 while the runner waits for room. "Writable" alone wakes only such a runner,
//   because every new connection is writable. The race: room comes while the runner finds none.
//
//   poll thread: ready()                     runner: wait_for_write()
//   counts the edge                          waits = exchange(1), acq_rel
//   fetch_or(0), acq_rel: 1? wakes           an edge meanwhile? goes on
//
//   If the exchange comes first, ready() reads 1 and wakes. If ready() comes first, the exchange
//   synchronises with it, and the runner sees the edge.
//
// events_: the number of events so far, for engines without edges. The poll thread stores it
//   (release), the runner loads it (acquire). The race: a one-shot fires while its runner rearms
//   it. The runner compares the number with events_at_rearm_ and sees that it fired.
class Registration : public TimerNode {
 public:
  Registration(Reactor& home, Kind kind);

  // The poll thread: notes an event. True: the caller must wake this registration.
  bool ready(Readiness readiness) {
    constexpr Readiness kBoth = Readiness::readable() | Readiness::writable();
    if ((readiness | kBoth) != kBoth) [[unlikely]]
      add_hints(readiness);
    edges_.add(readiness);
    events_.store(events_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    if (readiness != Readiness::writable()) return true;
    return waits_for_write_.fetch_or(0, std::memory_order_acq_rel) != 0;
  }

  // The poll thread, at a shutdown: notes `step` and wakes this registration.
  virtual void shut_down(ShutdownStep step) = 0;

  // The leader, for a member of an order that an event has woken: claims the order for it. Returns
  // the order, which the caller must run now, and keeps this member until then. Returns null, and
  // does nothing, if the order is not idle, or if workers run it.
  virtual Runnable* claim_order() { return nullptr; }

  // The leader: lets the processor fetch what run() needs and a constant member names.
  virtual void fetch_parts() const {}

  // Whether this is a Stream.
  virtual bool is_connection() const { return false; }

  Token token() const { return token_; }

 protected:
  // Ends the registration. From here on no event finds it. Its slot is freed between two polls.
  // Deregister the descriptor after this call and before closing it.
  void retire();

  // The runner, after a write found no room. False: an edge came meanwhile, so write again.
  bool wait_for_write() {
    waits_for_write_.exchange(1, std::memory_order_acq_rel);
    return !edges_.is_ready(Direction::write);
  }
  void stop_waiting_for_write() { waits_for_write_.store(0, std::memory_order_relaxed); }

  static constexpr std::uint32_t kMayHaveMore = 1;  // stays set: a short read may not be the last
  static constexpr std::uint32_t kHangUp = 2;       // taken by the runner, who reads SO_ERROR
  static constexpr std::uint32_t kError = 4;        // beside kHangUp: the hang-up is an error

  Edges edges_;
  std::atomic<std::uint32_t> hints_{0};
  std::atomic<std::uint32_t> waits_for_write_{0};
  std::atomic<std::uint32_t> events_{0};
  std::uint32_t events_at_rearm_ = 0;  // the runner only

 private:
  friend class SlotTable;
  friend class RetiredList;

  void add_hints(Readiness readiness);  // what is neither readable nor writable

  Token token_;
  Registration* next_retired_ = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_REGISTRATION_H_
