#ifndef EPORE_POLL_EVENT_H_
#define EPORE_POLL_EVENT_H_

#include "epore/poll/readiness.h"
#include "epore/poll/token.h"

namespace epore {

// An Event is one ready registration: its token, and what it is ready for. It is not a queue entry:
// dropping an event loses nothing but the news.
//
//   if (event.is_readable()) read_until_eagain(event.token);
//   if (event.is_writable()) write_until_eagain(event.token);
//
// Threads, lifetime: a plain value of 16 bytes, copied freely. It stays valid after its
// registration has ended, and then names a registration that is gone.
//
// Edges: every bit is a hint. See readiness.h for what each one means.
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
