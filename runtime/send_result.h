#ifndef EPORE_RUNTIME_SEND_RESULT_H_
#define EPORE_RUNTIME_SEND_RESULT_H_

#include <cstdint>

#include "absl/status/status.h"

namespace epore {

// A SendResult says what became of the bytes that were given to Connection::send(). It is one byte,
// so that the hot path builds no message; status() builds one.
//
// | value     | the bytes are                       | the caller should                          |
// |-----------|-------------------------------------|--------------------------------------------|
// | queued    | accepted; they leave soon           | go on                                      |
// | high      | accepted; above the high mark       | stop until on_writable                     |
// | closed    | dropped: the connection is closing  | let go of the connection                   |
// | over_cap  | dropped; the connection is reset    | send less before on_writable               |
// | no_memory | dropped; the connection is reset    | as with `closed`                           |
class SendResult {
 public:
  enum Value : std::uint8_t { queued, high, closed, over_cap, no_memory };

  constexpr SendResult(Value value) : value_(value) {}  // NOLINT(google-explicit-constructor)

  // Whether the bytes were accepted. Whether the peer gets them is not known, as with send(2).
  constexpr bool ok() const { return value_ <= high; }
  constexpr Value value() const { return value_; }

  // Ok for `queued` and `high`, FailedPrecondition for `closed`, ResourceExhausted for `over_cap`
  // and `no_memory`.
  absl::Status status() const;

  friend constexpr bool operator==(SendResult a, SendResult b) { return a.value_ == b.value_; }

 private:
  Value value_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_SEND_RESULT_H_
