#ifndef EPORE_POLL_ENGINE_POLL_FLAGS_H_
#define EPORE_POLL_ENGINE_POLL_FLAGS_H_

#include <poll.h>

#include <cstdint>

#include "epore/poll/interest.h"
#include "epore/poll/readiness.h"

namespace epore::internal {

// The flags of poll(2), which epoll(7) and io_uring(7) use with the same values.

// Returns what an engine asks for. The kernel adds errors and hang-ups by itself.
inline std::uint32_t to_poll_flags(Interest interest) {
  std::uint32_t flags = 0;
  if (interest.is_readable()) flags |= POLLIN | POLLRDHUP;
  if (interest.is_writable()) flags |= POLLOUT;
  // A read stops before urgent data (tcp(7), SO_OOBINLINE). Readers take a short read for the end
  // of the data, and the kernel reports no further edge. With POLLPRI the event has the priority
  // bit, and the reader reads on. A level-triggered POLLPRI would spin: few programs take urgent
  // data.
  if (interest.trigger() == Trigger::edge && interest.is_readable()) flags |= POLLPRI;
  return flags;
}

inline Readiness to_readiness(std::uint32_t flags) {
  Readiness readiness;
  if ((flags & ~std::uint32_t{POLLIN | POLLOUT}) == 0) [[likely]] {
    if (flags & POLLIN) readiness |= Readiness::readable();
    if (flags & POLLOUT) readiness |= Readiness::writable();
    return readiness;
  }
  if (flags & (POLLIN | POLLPRI | POLLRDHUP | POLLHUP | POLLERR)) {
    readiness |= Readiness::readable();
  }
  if (flags & (POLLOUT | POLLHUP | POLLERR)) readiness |= Readiness::writable();
  if (flags & (POLLRDHUP | POLLHUP)) readiness |= Readiness::read_closed();
  if (flags & (POLLHUP | POLLERR)) readiness |= Readiness::write_closed();
  if (flags & POLLERR) readiness |= Readiness::error();
  if (flags & POLLPRI) readiness |= Readiness::priority();
  return readiness;
}

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_POLL_FLAGS_H_
