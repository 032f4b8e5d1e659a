#ifndef EPORE_RUNTIME_TLS_TLS_SETUP_H_
#define EPORE_RUNTIME_TLS_TLS_SETUP_H_

#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "epore/runtime/lane.h"
#include "epore/runtime/tls/tls_engine.h"

namespace epore::internal {

// What a TlsContext names. It does not change.
struct TlsSetup {
  std::unique_ptr<const TlsEngineFactory> engines;
  bool is_server;
  absl::Duration handshake_timeout;
  std::optional<Lane> handshake_lane;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_TLS_TLS_SETUP_H_
