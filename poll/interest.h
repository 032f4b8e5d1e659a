#ifndef EPORE_POLL_INTEREST_H_
#define EPORE_POLL_INTEREST_H_

#include <cstdint>

namespace epore {

// How often a readiness that persists is told.
enum class Trigger : std::uint8_t {
  edge,      // once per change; drain until EAGAIN (the default)
  level,     // by every poll() while it lasts
  one_shot,  // once; then silent until reregister_fd()
};

// What a registration asks for: readable, writable or both, and the trigger.
//
//   epore::Interest::readable()                                      // edge-triggered
//   (epore::Interest::readable() | epore::Interest::writable()).level()
//
// A value type of two bytes. Taking directions out with `-` can leave it empty; an empty interest
// is refused by the registry: to hear nothing of a descriptor, deregister it (the kernel reports
// errors and hang-ups even to those who asked for nothing, and spins them).
//
// | trigger  | epoll        | poll(2)                                          |
// |----------|--------------|--------------------------------------------------|
// | edge     | EPOLLET      | as level: may be told again while it lasts       |
// | level    | default      | default                                          |
// | one-shot | EPOLLONESHOT | emulated: silent, hang-ups included, until rearm |
//
// See epoll(7) for edge and level, epoll_ctl(2) for EPOLLONESHOT.
class Interest {
 public:
  static constexpr Interest readable() { return Interest(kReadable, Trigger::edge); }
  static constexpr Interest writable() { return Interest(kWritable, Trigger::edge); }

  // The same directions with another trigger.
  constexpr Interest edge() const { return Interest(directions_, Trigger::edge); }
  constexpr Interest level() const { return Interest(directions_, Trigger::level); }
  constexpr Interest one_shot() const { return Interest(directions_, Trigger::one_shot); }

  constexpr bool is_readable() const { return (directions_ & kReadable) != 0; }
  constexpr bool is_writable() const { return (directions_ & kWritable) != 0; }
  constexpr bool is_empty() const { return directions_ == 0; }
  constexpr Trigger trigger() const { return trigger_; }

  // The directions of both, or those of `a` that `b` lacks; the trigger is that of `a`.
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

  constexpr Interest(std::uint8_t directions, Trigger trigger)
      : directions_(directions), trigger_(trigger) {}

  std::uint8_t directions_;
  Trigger trigger_;
};

}  // namespace epore

#endif  // EPORE_POLL_INTEREST_H_
