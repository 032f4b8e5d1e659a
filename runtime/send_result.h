#ifndef EPORE_RUNTIME_SEND_RESULT_H_
#define EPORE_RUNTIME_SEND_RESULT_H_

#include <cstdint>

#include "absl/status/status.h"

namespace epore {

// What became of the bytes given to Connection::send(). One byte, so that the hot path builds no
// message; status() does.
//
// | value     | the bytes are                       | the caller should                          |
// |-----------|-------------------------------------|--------------------------------------------|
// | queued    | accepted; leave soon or have left   | go on                                      |
// | high      | accepted; above the high mark       | stop until on_writable                     |
// | closed    | dropped: closed or being closed     | let go of the connection                   |
// | over_cap  | dropped: above the cap; it closes   | send less before on_writable               |
class SendResult {
 public:
  enum Value : std::uint8_t { queued, high, closed, over_cap };

  constexpr SendResult(Value value) : value_(value) {}  // NOLINT(google-explicit-constructor)

  // Whether the bytes were accepted. That is not whether the peer got them: no send(2) knows.
  constexpr bool ok() const { return value_ <= high; }
  constexpr Value value() const { return value_; }

  // Ok for `queued` and `high`, FailedPrecondition for `closed`, ResourceExhausted for `over_cap`.
  absl::Status status() const;

  friend constexpr bool operator==(SendResult a, SendResult b) { return a.value_ == b.value_; }

 private:
  Value value_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_SEND_RESULT_H_
