#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_REGISTRATION_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_REGISTRATION_H_

#include <atomic>
#include <cstdint>

#include "epore/poll/readiness.h"
#include "epore/poll/token.h"
#include "epore/runtime/internal/reactor/edges.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

// The steps of a shutdown that a registration is told of.
enum class ShutdownStep : std::uint8_t { drain, abort };

// The bond of a descriptor and a reactor: a Runnable that the reactor wakes when its token is
// ready.
class Registration : public TimerNode {
 public:
  Registration(Reactor& home, Kind kind);

  // The poll thread: remembers what an event told. True: the wake is to follow.
  //
  // "Writable" alone means nothing to most (every new connection is), so it wakes only those that
  // wait for it: see wait_for_write(). Either that exchange comes first, and this one reads true,
  // or it comes second, synchronises with this one, and sees the edge.
  //
  // Hints before edges, whose count publishes them: a runner that reads less than it could takes
  // that for the end of what there is, unless a hint that came with the edge tells otherwise.
  bool ready(Readiness readiness) {
    if (readiness.is_read_closed() || readiness.is_priority()) [[unlikely]] {
      hints_.fetch_or(kMayHaveMore, std::memory_order_relaxed);
    }
    if (readiness.is_error() || readiness.is_write_closed()) [[unlikely]] {
      hints_.fetch_or(kHangUp, std::memory_order_relaxed);
    }
    edges_.add(readiness);
    events_.store(events_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    if (readiness != Readiness::writable()) return true;
    return waits_for_write_.fetch_or(0, std::memory_order_acq_rel) != 0;
  }

  // The poll thread, at a shutdown: takes note and wakes itself.
  virtual void shut_down(ShutdownStep step) = 0;

  Token token() const { return token_; }

 protected:
  // Gives the slot back, at once for events and for memory between two polls. The descriptor must
  // be deregistered after this and before it is closed.
  void retire();

  // The runner, when a write found no room: false if room was told of meanwhile.
  bool wait_for_write() {
    waits_for_write_.exchange(1, std::memory_order_acq_rel);
    return !edges_.is_ready(Direction::write);
  }
  void stop_waiting_for_write() { waits_for_write_.store(0, std::memory_order_relaxed); }

  static constexpr std::uint32_t kMayHaveMore = 1;  // sticky: a short read need not be the last
  static constexpr std::uint32_t kHangUp = 2;       // taken: look at SO_ERROR

  Edges edges_;
  std::atomic<std::uint32_t> hints_{0};
  std::atomic<std::uint32_t> waits_for_write_{0};
  std::atomic<std::uint32_t> events_{0};  // told so far; written by the poll thread
  std::uint32_t events_at_rearm_ = 0;     // the runner's note of them, for engines without edges

 private:
  friend class SlotTable;
  friend class RetiredList;

  Token token_;
  Registration* next_retired_ = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_REGISTRATION_H_
