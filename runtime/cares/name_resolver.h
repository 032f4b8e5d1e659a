#ifndef EPORE_RUNTIME_CARES_NAME_RESOLVER_H_
#define EPORE_RUNTIME_CARES_NAME_RESOLVER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "epore/runtime/address.h"
#include "epore/runtime/cares/name_channel.h"
#include "epore/runtime/cares/name_resolver_options.h"
#include "epore/runtime/cares/service.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/task.h"

namespace epore {

// A NameResolver asks name servers by c-ares, with sockets that the runtime watches. The runtime's
// own lookups, by getaddrinfo(3), need a thread each and know no SRV records. It is no cache, and
// checks no signatures (DNSSEC).
//
//   auto names = epore::NameResolver::create(runtime);
//   ...
//   for (const epore::SocketAddress& address : co_await names->addresses("db.example:5432")) ...
//   for (const epore::ServiceTarget& target : co_await names->services("_http._tcp.example.org"))
//   ...
//
// It is an optional target, //runtime/cares. A build without c-ares has it, and create() then
// returns Unimplemented.
//
// Threads: any thread may call any method; tasks of any order wait. c-ares runs under one lock.
//
// Lifetime: the runtime must outlive it. Its end ends the lookups that go on with Cancelled. Tasks
// that wait may outlive it.
//
// Edges, guaranteed:
//
// 1. A lookup never blocks a thread, but for /etc/hosts, which is read.
// 2. A stop and a deadline end the wait at once. c-ares goes on asking in the background, until the
//    tries of the lookup are over.
// 3. A name that is none is refused before anybody is asked, and so is what an answer names a host.
// 4. At most NameResolverOptions::max_lookups go on.
//
// docs/guide/names.md has more. See ares_getaddrinfo(3), ares_query(3).
class NameResolver {
 public:
  // Errors: InvalidArgument for the options; Unimplemented without c-ares; Internal, with what
  // c-ares says.
  static absl::StatusOr<NameResolver> create(Runtime& runtime,
                                             const NameResolverOptions& options = {});

  NameResolver(NameResolver&& other) noexcept = default;
  NameResolver& operator=(NameResolver&& other) noexcept;
  ~NameResolver();

  // Looks up the addresses of "HOST:PORT", sorted as RFC 6724 says, with that port. A number is its
  // own address. Errors: InvalidArgument for the text; NotFound; Unavailable if no server gives an
  // answer; ResourceExhausted at max_lookups; Cancelled; FailedPrecondition if this was moved from.
  [[nodiscard]] Task<std::vector<SocketAddress>> addresses(std::string host_port) const;

  // Looks up who offers a service, such as "_http._tcp.example.org": the targets of its SRV
  // records, in the order in which they are to be tried (RFC 2782), which is another one each time.
  // Errors: as above; NotFound also if the domain says that it has no such service.
  [[nodiscard]] Task<std::vector<ServiceTarget>> services(std::string name) const;

 private:
  explicit NameResolver(std::shared_ptr<internal::NameChannel> channel)
      : channel_(std::move(channel)) {}

  std::shared_ptr<internal::NameChannel> channel_;  // null: moved from
};

}  // namespace epore

#endif  // EPORE_RUNTIME_CARES_NAME_RESOLVER_H_
