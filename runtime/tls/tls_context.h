#ifndef EPORE_RUNTIME_TLS_TLS_CONTEXT_H_
#define EPORE_RUNTIME_TLS_TLS_CONTEXT_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "epore/runtime/tls/tls_options.h"

namespace epore {

namespace internal {
struct TlsSetup;
}

// A TlsContext is what the TLS connections of one side have in common: certificates, keys, whom to
// trust, what to speak.
//
//   absl::StatusOr<epore::TlsContext> context = epore::TlsContext::client();
//   ...
//   auto tls = co_await epore::TlsConnection::connect(*context, peer, "example.org");
//
// It is an optional target, //runtime/tls. A build without OpenSSL has it, and server() and
// client() then return Unimplemented.
//
// Guaranteed of both sides: TLS 1.2 and 1.3 only, ciphers with forward secrecy and authenticated
// encryption, certificates of at least 112 bits of security (RSA from 2048 bits on), no
// compression, no renegotiation, no early data.
//
// Making one reads files, so make it at the start, or with blocking().
//
// Threads: any thread may use it. Ownership, lifetime: a handle that cannot be changed; copies name
// the same. Connections keep what they need of it.
//
// docs/guide/tls.md has more. See SSL_CTX_new(3).
class TlsContext {
 public:
  // Errors: those of check(); InvalidArgument for a file that cannot be read or has not what it
  // should, with what OpenSSL says; Unimplemented without OpenSSL; ResourceExhausted.
  static absl::StatusOr<TlsContext> server(const TlsServerOptions& options);
  static absl::StatusOr<TlsContext> client(const TlsClientOptions& options = {});

 private:
  friend class TlsConnection;

  explicit TlsContext(std::shared_ptr<const internal::TlsSetup> setup) : setup_(std::move(setup)) {}

  std::shared_ptr<const internal::TlsSetup> setup_;  // null: moved from
};

}  // namespace epore

#endif  // EPORE_RUNTIME_TLS_TLS_CONTEXT_H_
