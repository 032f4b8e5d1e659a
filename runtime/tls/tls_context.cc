#include "epore/runtime/tls/tls_context.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/tls/tls_engine.h"
#include "epore/runtime/tls/tls_setup.h"

namespace epore {
namespace {

using Factory = absl::StatusOr<std::unique_ptr<internal::TlsEngineFactory>>;

template <typename Options>
absl::StatusOr<std::shared_ptr<const internal::TlsSetup>> set_up(const Options& options,
                                                                 bool is_server,
                                                                 Factory (*open)(const Options&)) {
  if (absl::Status bad = options.check(); !bad.ok()) return bad;
  Factory engines = open(options);
  if (!engines.ok()) return engines.status();
  return std::make_shared<const internal::TlsSetup>(
      internal::TlsSetup{.engines = *std::move(engines),
                         .is_server = is_server,
                         .handshake_timeout = options.handshake_timeout,
                         .handshake_lane = options.handshake_lane});
}

}  // namespace

absl::StatusOr<TlsContext> TlsContext::server(const TlsServerOptions& options) {
  auto setup = set_up(options, true, internal::open_ssl_server);
  if (!setup.ok()) return setup.status();
  return TlsContext(*std::move(setup));
}

absl::StatusOr<TlsContext> TlsContext::client(const TlsClientOptions& options) {
  auto setup = set_up(options, false, internal::open_ssl_client);
  if (!setup.ok()) return setup.status();
  return TlsContext(*std::move(setup));
}

}  // namespace epore
