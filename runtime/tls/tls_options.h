#ifndef EPORE_RUNTIME_TLS_TLS_OPTIONS_H_
#define EPORE_RUNTIME_TLS_TLS_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/lane.h"

namespace epore {

// The options of TlsContext::server().
struct TlsServerOptions {
  // Files in PEM: the server's certificate, then those between it and its root; and its private
  // key, without a password. Both are read once.
  std::string certificate_file = {};
  std::string key_file = {};

  // The protocols that it speaks, the best one first. Of those that the client names the first one
  // here is taken. A client that names only others is refused; one that names none is not.
  std::vector<std::string> alpn = {};

  // The authorities (PEM) that sign the certificates of clients. Empty: clients need none.
  // Otherwise a client without a certificate of theirs is refused.
  std::string client_authorities_file = {};

  // From the beginning of accept() to the end of the handshake. More than zero; may be infinite.
  absl::Duration handshake_timeout = absl::Seconds(10);

  // Where handshakes compute: see blocking(). Nothing: in the order of the connection.
  std::optional<Lane> handshake_lane = std::nullopt;

  // Checks the values, but not the files; server() does so as well. Errors: InvalidArgument, which
  // names the value and what is wrong.
  absl::Status check() const;
};

// What a client wants to know about the server.
enum class TlsVerify : std::uint8_t {
  name,       // its certificate is for the name, and signed by a trusted authority
  authority,  // it is signed, whoever it is for
  nothing,    // anybody will do, also somebody in between: for tests
};

// The options of TlsContext::client().
struct TlsClientOptions {
  // The authorities (PEM) that are trusted. Empty: the system's.
  std::string authorities_file = {};

  TlsVerify verify = TlsVerify::name;

  // The protocols that it speaks, the best one first.
  std::vector<std::string> alpn = {};

  // Files as those of a server, for one that asks for a certificate. Both or none.
  std::string certificate_file = {};
  std::string key_file = {};

  // As those of a server.
  absl::Duration handshake_timeout = absl::Seconds(10);
  std::optional<Lane> handshake_lane = std::nullopt;

  absl::Status check() const;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_TLS_TLS_OPTIONS_H_
