#ifndef EPORE_RUNTIME_TLS_OPEN_SSL_ENGINE_H_
#define EPORE_RUNTIME_TLS_OPEN_SSL_ENGINE_H_

#include "epore/runtime/tls/open_ssl.h"

#ifdef EPORE_HAVE_OPEN_SSL

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/byte_view.h"
#include "epore/runtime/tls/tls_engine.h"

namespace epore::internal {

// The first error in the queue of this thread, as text; empty if there is none. Clears the queue.
std::string take_open_ssl_error();

// The subject of a certificate as text.
std::string subject_of(const X509* certificate);

// One SSL. Its BIO reads what was fed from where it lies, and writes to a string.
class OpenSslEngine final : public TlsEngine {
 public:
  explicit OpenSslEngine(OpenSslPtr<SSL> ssl) : ssl_(std::move(ssl)) {}
  OpenSslEngine(const OpenSslEngine&) = delete;

  // To be called first. False: there is no memory.
  bool connect_bio();

  void feed(ByteView bytes) override { input_ = bytes; }
  Step handshake() override;
  Step read(std::span<std::byte> into, std::size_t& count) override;
  Step write(ByteView bytes) override;
  Step end() override;
  std::string take_output() override { return std::exchange(output_, {}); }
  const absl::Status& error() const override { return error_; }
  std::string alpn() const override;
  std::string version() const override;
  std::string server_name() const override;
  std::string peer_subject() const override;

  // For SSL_CTX_set_verify(3): takes note of which certificate is refused.
  static int verified(int is_good, X509_STORE_CTX* store);

 private:
  struct Bio;

  static const BIO_METHOD* bio_method();

  // Only a read() may find that the peer has ended.
  Step step_of(int returned, bool is_read = false);

  const OpenSslPtr<SSL> ssl_;
  ByteView input_;
  std::string output_;
  bool has_no_memory_ = false;
  std::string refused_;  // the subject of the certificate that is refused
  absl::Status error_;
};

}  // namespace epore::internal

#endif

#endif  // EPORE_RUNTIME_TLS_OPEN_SSL_ENGINE_H_
