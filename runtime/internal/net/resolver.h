#ifndef EPORE_RUNTIME_INTERNAL_NET_RESOLVER_H_
#define EPORE_RUNTIME_INTERNAL_NET_RESOLVER_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/address.h"

namespace epore::internal {

// The addresses of a host, by getaddrinfo(3), blocking; numbers are not looked up. An empty host is
// every address of this machine to listen on, and the loopback to connect to. A localhost that the
// system does not know is the loopback addresses.
// InvalidArgument, NotFound, Unavailable (the name service), naming the host.
absl::StatusOr<std::vector<SocketAddress>> resolve(Kernel& kernel, const HostPort& host_port,
                                                   bool to_listen);

// Resolves names on threads of its own, as getaddrinfo(3) blocks and knows no timeout. They start
// when they are needed, at most kThreads at a time.
//
// Nor can getaddrinfo(3) be interrupted, so stop() leaves a thread that is inside it to itself: it
// has no callback any more, and with it nothing of the runtime's. What it still uses, the state it
// shares with the others and the kernel, it keeps alive, and frees when the name service lets go.
class Resolver {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::vector<SocketAddress>>)>;

  // The threads keep `owner`, which keeps the kernel; with none, it must outlive them.
  explicit Resolver(Kernel& kernel, std::shared_ptr<Kernel> owner = nullptr);

  // Calls `done` on a resolver thread, or here with the error if none can be started; destroyed
  // uncalled by stop().
  absl::Status start(HostPort host_port, Callback done);

  // Returns when no callback runs any more. Waits for callbacks, not for name servers.
  void stop();

 private:
  static constexpr int kThreads = 4;
  struct State;

  const std::shared_ptr<State> state_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_RESOLVER_H_
