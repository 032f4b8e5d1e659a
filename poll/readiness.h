#ifndef EPORE_POLL_READINESS_H_
#define EPORE_POLL_READINESS_H_

#include <cstdint>

namespace epore {

// A Readiness is the set of things that an event reports. It is a hint and not a promise: a read
// after is_readable() may still find EAGAIN.
//
//   if (event.readiness.is_readable()) read_until_eagain();
//   if (event.readiness.is_error()) take_so_error();
//
// Threads, lifetime: a plain value of four bytes, copied freely.
//
// Edges:
//
// | bit          | flags of the system    | guaranteed | what to do                               |
// |--------------|------------------------|------------|------------------------------------------|
// | readable     | IN, PRI, RDHUP, HUP,   | yes        | read until EAGAIN                        |
// |              | ERR                    |            |                                          |
// | writable     | OUT, HUP, ERR          | yes        | write until EAGAIN                       |
// | read_closed  | RDHUP, HUP             | hint       | read on: the end of file is read() == 0  |
// | write_closed | HUP, ERR               | hint       | write: the next write returns the error  |
// | error        | ERR                    | hint       | take SO_ERROR once (socket(7))           |
// | priority     | PRI (epoll, edge only) | hint       | read on: a short read is no end here     |
//
// RDHUP means that the peer sends no more. HUP means that both directions have ended. A connection
// that reports only read_closed can still be written to.
//
// HUP and ERR also set readable and writable. A program that looks only at these two bits therefore
// meets the condition in its next read or write. See poll(2), epoll_ctl(2).
class Readiness {
 public:
  constexpr Readiness() = default;

  static constexpr Readiness readable() { return Readiness(1); }
  static constexpr Readiness writable() { return Readiness(2); }
  static constexpr Readiness read_closed() { return Readiness(4); }
  static constexpr Readiness write_closed() { return Readiness(8); }
  static constexpr Readiness error() { return Readiness(16); }
  static constexpr Readiness priority() { return Readiness(32); }

  constexpr bool is_readable() const { return has(readable()); }
  constexpr bool is_writable() const { return has(writable()); }
  constexpr bool is_read_closed() const { return has(read_closed()); }
  constexpr bool is_write_closed() const { return has(write_closed()); }
  constexpr bool is_error() const { return has(error()); }
  constexpr bool is_priority() const { return has(priority()); }
  constexpr bool is_empty() const { return bits_ == 0; }

  constexpr Readiness& operator|=(Readiness other) {
    bits_ |= other.bits_;
    return *this;
  }
  friend constexpr Readiness operator|(Readiness a, Readiness b) { return a |= b; }
  friend constexpr bool operator==(Readiness a, Readiness b) { return a.bits_ == b.bits_; }
  friend constexpr bool operator!=(Readiness a, Readiness b) { return a.bits_ != b.bits_; }

 private:
  constexpr explicit Readiness(std::uint32_t bits) : bits_(bits) {}
  constexpr bool has(Readiness bit) const { return (bits_ & bit.bits_) != 0; }

  std::uint32_t bits_ = 0;
};

}  // namespace epore

#endif  // EPORE_POLL_READINESS_H_
