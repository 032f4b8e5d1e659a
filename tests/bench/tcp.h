#ifndef EPORE_TESTS_BENCH_TCP_H_
#define EPORE_TESTS_BENCH_TCP_H_

#include <netinet/in.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"

namespace epore::bench {

// An IPv4 address and a port: enough for loopback.
struct Endpoint {
  sockaddr_in address = {};

  // "127.0.0.1:7000".
  static absl::StatusOr<Endpoint> parse(std::string_view text);
  std::string to_string() const;
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&address); }
};

// A listening socket; port 0 takes a free one.
absl::StatusOr<OwnedFd> listen_tcp(const Endpoint& local);
absl::StatusOr<Endpoint> local_endpoint(int fd);

// Begins to connect, with TCP_NODELAY. Writable means: look at SO_ERROR. Not null `local`: from
// that address.
absl::StatusOr<OwnedFd> start_connect(const Endpoint& server, const Endpoint* local = nullptr);

// 0 or the errno of a connection attempt that has ended.
int socket_error(int fd);

// Lets this process open `count` descriptors more than it may need otherwise, raising the soft
// limit.
absl::Status reserve_descriptors(int count);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_TCP_H_
