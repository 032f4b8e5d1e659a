#ifndef EPORE_POLL_READINESS_H_
#define EPORE_POLL_READINESS_H_

#include <cstdint>

namespace epore {

// What an event tells. A hint, never a promise: a read after is_readable() may still find EAGAIN.
//
// | bit          | epoll, poll(2)         | guaranteed | what to do                               |
// |--------------|------------------------|------------|------------------------------------------|
// | readable     | IN, RDHUP, HUP, ERR    | yes        | read until EAGAIN                        |
// | writable     | OUT, HUP, ERR          | yes        | write until EAGAIN                       |
// | read_closed  | RDHUP, HUP             | hint       | read on: end of file is read() == 0 only |
// | write_closed | HUP, ERR               | hint       | the next write tells the error           |
// | error        | ERR                    | hint       | take SO_ERROR, once                      |
// | priority     | PRI (epoll, edge)      | hint       | as readable; a short read is not the end |
//
// RDHUP (the peer sends no more) is not HUP (both ways are gone): a connection that is read_closed
// alone may still be written to. HUP and ERR set readable and writable too, so that a program that
// looks at those two alone meets the condition in its next read or write.
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
