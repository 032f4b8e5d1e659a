#ifndef EPORE_RUNTIME_INTERNAL_NET_RESOLVER_H_
#define EPORE_RUNTIME_INTERNAL_NET_RESOLVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/address.h"

namespace epore::internal {

// What the text of an address means.
struct Target {
  HostPort host_port;                    // without a host for a Unix socket
  std::vector<SocketAddress> addresses;  // none: the host is a name, which is to be resolved
};

// Finds what `text` means, as far as it needs no name service: a Unix socket, a number, and an
// empty host and "*" as the table of HostPort says. Errors: InvalidArgument, that of the text, and
// for "*" if not `to_listen`.
absl::StatusOr<Target> parse_target(std::string_view text, bool to_listen);

// Looks up the addresses of a name with getaddrinfo(3), which blocks. A localhost that the system
// does not know means the loopback addresses. Errors name the host: InvalidArgument, NotFound,
// Unavailable (the name service).
absl::StatusOr<std::vector<SocketAddress>> resolve(Kernel& kernel, const HostPort& host_port,
                                                   bool to_listen);

// A Resolver looks names up on threads of its own, because getaddrinfo(3) blocks without a timeout.
// The threads start on demand, at most kThreads of them.
//
// Nothing can interrupt getaddrinfo(3), so stop() leaves a thread that is inside it behind. It
// takes the callback of such a thread, and with it everything of the runtime. The thread shares the
// State and the kernel, and frees them when the name service answers.
class Resolver {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::vector<SocketAddress>>)>;

  // `owner` keeps `kernel` alive, and the threads hold it. If it is null, `kernel` must outlive the
  // threads.
  explicit Resolver(Kernel& kernel, std::shared_ptr<Kernel> owner = nullptr);

  // The most names that wait for a thread: a name service that hangs would collect them without
  // end.
  static constexpr std::size_t kMostWaiting = 10'000;

  // Calls `done` on a resolver thread, or in this call if no thread can be started. stop() destroys
  // it without a call. `ticket` is set before that. Errors: Cancelled after stop();
  // ResourceExhausted if kMostWaiting names wait.
  using Ticket = std::uint64_t;
  absl::Status start(HostPort host_port, Callback done, Ticket* ticket = nullptr);

  // Takes a name back for which nobody waits any more. Its callback is destroyed without a call, in
  // this call, if no thread has the name yet. Otherwise this does nothing. 0 is no ticket.
  void cancel(Ticket ticket);

  // Returns when no callback runs any more. Does not wait for name servers.
  void stop();

 private:
  static constexpr int kThreads = 4;
  struct State;

  const std::shared_ptr<State> state_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_RESOLVER_H_
