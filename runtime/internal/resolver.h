#ifndef EPORE_RUNTIME_INTERNAL_RESOLVER_H_
#define EPORE_RUNTIME_INTERNAL_RESOLVER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "poll/sys/kernel.h"
#include "runtime/address.h"
#include "runtime/internal/gate.h"

namespace epore::internal {

// The addresses of a host, by getaddrinfo(3), blocking; numbers are not looked up. An empty host is
// every address of this machine to listen on, and the loopback to connect to.
// InvalidArgument, NotFound, Unavailable (the name service), naming the host.
absl::StatusOr<std::vector<SocketAddress>> resolve(Kernel& kernel, const HostPort& host_port,
                                                   bool to_listen);

// Resolves names on threads of its own, as getaddrinfo(3) blocks and knows no timeout. They start
// when they are needed, at most kThreads at a time.
class Resolver {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::vector<SocketAddress>>)>;

  explicit Resolver(Kernel& kernel);

  // Calls `done` on a resolver thread, or here with the error if none can be started; destroyed
  // uncalled by stop().
  absl::Status start(HostPort host_port, Callback done);

  // Joins the threads. One that is inside getaddrinfo(3) is waited for.
  void stop();

 private:
  static constexpr int kThreads = 4;

  struct Request {
    HostPort host_port;
    Callback done;
  };

  void work();

  Kernel& kernel_;
  Gate gate_;

  absl::Mutex mutex_;
  std::deque<Request> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> threads_ ABSL_GUARDED_BY(mutex_);
  int starting_ ABSL_GUARDED_BY(mutex_) = 0;
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_RESOLVER_H_
