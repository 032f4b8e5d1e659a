#ifndef EPORE_RUNTIME_TLS_TLS_ENGINE_H_
#define EPORE_RUNTIME_TLS_TLS_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/byte_view.h"
#include "epore/runtime/tls/tls_options.h"

namespace epore::internal {

// A TlsEngine turns bytes into records and back, for one side of one connection. It has no socket:
// what has come from the peer is fed to it, and what is to go there is taken from it after every
// call. One thread at a time.
class TlsEngine {
 public:
  // The most bytes of one record.
  static constexpr std::size_t kRecord = 16 * 1024;

  enum class Step : std::uint8_t {
    done,
    wants_input,  // everything that was fed is used up
    ended,        // read(): the peer has said that nothing more comes
    failed        // error() says why, and nothing else will work
  };

  virtual ~TlsEngine() = default;

  // Lends it bytes of the peer, until a call gives wants_input. They follow those of before.
  virtual void feed(ByteView bytes) = 0;

  // Goes on with the handshake; done: it is finished.
  virtual Step handshake() = 0;

  // Decrypts the next bytes into `into`, at most a record; done: `count` of them, at least one.
  virtual Step read(std::span<std::byte> into, std::size_t& count) = 0;

  // Encrypts 1 to kRecord bytes as one record. wants_input: the peer has sent a part of a message
  // of the handshake, such as a ticket; nothing is written before the rest of that.
  virtual Step write(ByteView bytes) = 0;

  // Says that nothing more is written (close_notify). wants_input: as above.
  virtual Step end() = 0;

  // What is to be sent now, and may be empty.
  virtual std::string take_output() = 0;

  // Unauthenticated: the peer's certificate is refused. Unavailable: the peer's alert, or what it
  // does is not TLS. ResourceExhausted: no memory. Ok as long as nothing has failed.
  virtual const absl::Status& error() const = 0;

  // After the handshake. Empty: there is none.
  virtual std::string alpn() const = 0;
  virtual std::string version() const = 0;
  virtual std::string server_name() const = 0;
  virtual std::string peer_subject() const = 0;
};

// Makes the engines of one context. Any thread may call it.
class TlsEngineFactory {
 public:
  virtual ~TlsEngineFactory() = default;

  // For a client `name` is the server's; for a server it is empty. Errors: InvalidArgument for a
  // name that cannot be verified; ResourceExhausted.
  virtual absl::StatusOr<std::unique_ptr<TlsEngine>> make(std::string name) const = 0;
};

// Those of OpenSSL. Errors: see TlsContext. The options were checked.
absl::StatusOr<std::unique_ptr<TlsEngineFactory>> open_ssl_server(const TlsServerOptions& options);
absl::StatusOr<std::unique_ptr<TlsEngineFactory>> open_ssl_client(const TlsClientOptions& options);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_TLS_TLS_ENGINE_H_
