#ifndef EPORE_POLL_EVENT_H_
#define EPORE_POLL_EVENT_H_

#include "epore/poll/readiness.h"
#include "epore/poll/token.h"

namespace epore {

// One ready registration: its token and what it is ready for. 16 bytes, copied freely.
struct Event {
  Token token;
  Readiness readiness;

  constexpr bool is_readable() const { return readiness.is_readable(); }
  constexpr bool is_writable() const { return readiness.is_writable(); }
  constexpr bool is_read_closed() const { return readiness.is_read_closed(); }
  constexpr bool is_write_closed() const { return readiness.is_write_closed(); }
  constexpr bool is_error() const { return readiness.is_error(); }
  constexpr bool is_priority() const { return readiness.is_priority(); }
};

}  // namespace epore

#endif  // EPORE_POLL_EVENT_H_
