#ifndef EPORE_RUNTIME_SPLICE_H_
#define EPORE_RUNTIME_SPLICE_H_

#include <cstdint>

#include "epore/runtime/connection.h"
#include "epore/runtime/task.h"

namespace epore {

// Passes bytes on from one connection to another until `from` ends, and gives their number. Then
// the caller ends the other half as well:
//
//   epore::Task<> pump(epore::Connection from, epore::Connection to) {
//     co_await epore::splice(from, to);
//     to.shut_down_write();
//   }
//
// Much data goes by splice(2), without a copy; little is copied, which costs less, and so is what
// the system refuses to splice. A peer of `to` that does not read holds the peer of `from` up: at
// most a pipe of 256 KiB and the write queue of `to` are between them. A connection that waits
// holds no pipe, which is two descriptors.
//
// It reads from `from` and writes to `to` as Connection::read() and write() do, with their rules,
// errors, timeouts and stops. After a stop, bytes that were on their way may be gone.
Task<std::uint64_t> splice(Connection from, Connection to);

}  // namespace epore

#endif  // EPORE_RUNTIME_SPLICE_H_
