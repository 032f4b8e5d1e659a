#ifndef EPORE_POLL_INTEREST_H_
#define EPORE_POLL_INTEREST_H_

#include <cstdint>

namespace epore {

// How often poll() reports a readiness that lasts.
enum class Trigger : std::uint8_t {
  edge,      // once for each change: read or write until EAGAIN (the default)
  level,     // by every poll() while the readiness lasts
  one_shot,  // once: then the registration is silent until reregister_fd()
};

// An Interest is what a registration asks for: readable, writable or both, or hang-ups alone, and
// the trigger. The kernel reports errors and hang-ups to every registration.
//
//   const epore::Interest reads = epore::Interest::readable();  // edge-triggered
//   const epore::Interest both = (reads | epore::Interest::writable()).level();
//
// Threads, lifetime: a plain value of two bytes, copied freely.
//
// Edges: `-` can leave an Interest empty, and Registry refuses an empty one. To hear nothing of a
// descriptor, deregister it. With an empty interest the kernel would still report errors and
// hang-ups, so a level-triggered registration would spin.
//
// | trigger  | epoll        | poll(2)                           | io_uring                 |
// |----------|--------------|-----------------------------------|--------------------------|
// | edge     | EPOLLET      | today as level: may be reported   | a multishot poll         |
// |          |              | again while it lasts              |                          |
// | level    | (no flag)    | as poll(2) does by itself         | a new poll after each    |
// |          |              |                                   | event                    |
// | one_shot | EPOLLONESHOT | emulated: after an event even     | emulated: as poll(2)     |
// |          |              | hang-ups are silent until         |                          |
// |          |              | reregister_fd()                   |                          |
//
// See epoll(7) for edge and level, epoll_ctl(2) for EPOLLONESHOT.
class Interest {
 public:
  static constexpr Interest readable() { return Interest(kReadable, Trigger::edge); }
  static constexpr Interest writable() { return Interest(kWritable, Trigger::edge); }

  // Errors and hang-ups alone, which the other two report as well: for a descriptor whose bytes
  // nobody wants now. Best as a one-shot, as a hang-up lasts.
  static constexpr Interest hang_up() { return Interest(kHangUp, Trigger::edge); }

  // The same directions with another trigger.
  constexpr Interest edge() const { return Interest(directions_, Trigger::edge); }
  constexpr Interest level() const { return Interest(directions_, Trigger::level); }
  constexpr Interest one_shot() const { return Interest(directions_, Trigger::one_shot); }

  constexpr bool is_readable() const { return (directions_ & kReadable) != 0; }
  constexpr bool is_writable() const { return (directions_ & kWritable) != 0; }
  constexpr bool is_empty() const { return directions_ == 0; }
  constexpr Trigger trigger() const { return trigger_; }

  // `a | b` has the directions of both. `a - b` has the directions of `a` without those of `b`. The
  // trigger of the result is that of `a`.
  friend constexpr Interest operator|(Interest a, Interest b) {
    return Interest(static_cast<std::uint8_t>(a.directions_ | b.directions_), a.trigger_);
  }
  friend constexpr Interest operator-(Interest a, Interest b) {
    return Interest(static_cast<std::uint8_t>(a.directions_ & ~b.directions_), a.trigger_);
  }
  friend constexpr bool operator==(Interest a, Interest b) {
    return a.directions_ == b.directions_ && a.trigger_ == b.trigger_;
  }
  friend constexpr bool operator!=(Interest a, Interest b) { return !(a == b); }

 private:
  static constexpr std::uint8_t kReadable = 1;
  static constexpr std::uint8_t kWritable = 2;
  static constexpr std::uint8_t kHangUp = 4;

  constexpr Interest(std::uint8_t directions, Trigger trigger)
      : directions_(directions), trigger_(trigger) {}

  std::uint8_t directions_;
  Trigger trigger_;
};

}  // namespace epore

#endif  // EPORE_POLL_INTEREST_H_
