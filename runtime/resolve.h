#ifndef EPORE_RUNTIME_RESOLVE_H_
#define EPORE_RUNTIME_RESOLVE_H_

#include <string>
#include <vector>

#include "epore/runtime/address.h"
#include "epore/runtime/task.h"

namespace epore {

// Finds the addresses that connect() would try for "HOST:PORT", without connecting. They are in the
// sequence of the system (RFC 6724). A number, an empty host and a Unix socket need no lookup.
//
//   for (const epore::SocketAddress& address : co_await epore::resolve("db.example:5432")) {
//     std::cout << address.to_string() << "\n";
//   }
//
// Names of RuntimeOptions::hosts are found there. All others are looked up with getaddrinfo(3), on
// the same four threads as those of connect(). There is no cache. A stop ends the wait at once. A
// lookup that has begun goes on, and is left alone; a name that waits for a thread is taken back.
//
// Errors: InvalidArgument for the text; NotFound: the name has no address; Unavailable: the name
// service does not answer; ResourceExhausted if 10,000 names wait already, or without memory; those
// of a stop; Cancelled once the runtime is shut down.
[[nodiscard]] Task<std::vector<SocketAddress>> resolve(std::string address);

}  // namespace epore

#endif  // EPORE_RUNTIME_RESOLVE_H_
