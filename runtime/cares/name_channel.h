#ifndef EPORE_RUNTIME_CARES_NAME_CHANNEL_H_
#define EPORE_RUNTIME_CARES_NAME_CHANNEL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "epore/runtime/address.h"
#include "epore/runtime/cares/name_resolver_options.h"
#include "epore/runtime/cares/service.h"
#include "epore/runtime/completion.h"
#include "epore/runtime/runtime.h"

namespace epore::internal {

// What one lookup has found.
struct NameAnswer {
  std::vector<SocketAddress> addresses;
  std::vector<ServiceTarget> targets;  // in the order of the answer
};

// A NameChannel asks name servers. Any thread may call any method.
class NameChannel {
 public:
  virtual ~NameChannel() = default;

  // Ends all lookups with Cancelled. Sockets are closed when it returns.
  virtual void close() = 0;

  // Each asks for a name that check_name() has accepted, and completes `done` once. Errors:
  // NotFound, Unavailable (no server that answers, or an error of it), ResourceExhausted (too many
  // lookups, no memory), Cancelled.
  virtual void find_addresses(const HostPort& host_port, Completer<NameAnswer> done) = 0;
  virtual void find_targets(const std::string& service, Completer<NameAnswer> done) = 0;
};

// Opens a channel of c-ares. `runtime` must outlive its close(). Errors: InvalidArgument for the
// options; Unimplemented if this was built without c-ares; Internal for what else c-ares says.
absl::StatusOr<std::shared_ptr<NameChannel>> open_cares_channel(Runtime& runtime,
                                                                const NameResolverOptions& options);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_CARES_NAME_CHANNEL_H_
