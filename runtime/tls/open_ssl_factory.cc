// The contexts of OpenSSL, see SSL_CTX_new(3). Without OpenSSL they say so.

#include "absl/status/status.h"
#include "epore/runtime/tls/open_ssl_engine.h"
#include "epore/runtime/tls/tls_engine.h"

#ifndef EPORE_HAVE_OPEN_SSL

namespace epore::internal {
namespace {

absl::Status missing() {
  return absl::UnimplementedError("TLS: built without OpenSSL 3.0 or later (Debian: libssl-dev)");
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsEngineFactory>> open_ssl_server(const TlsServerOptions&) {
  return missing();
}

absl::StatusOr<std::unique_ptr<TlsEngineFactory>> open_ssl_client(const TlsClientOptions&) {
  return missing();
}

}  // namespace epore::internal

#else

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace epore::internal {
namespace {

constexpr std::size_t kLongestName = 253;

// Of TLS 1.2; those of TLS 1.3 are all of that kind.
constexpr char kCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

// RSA of 2048 bits and more, no SHA-1.
constexpr int kSecurityLevel = 2;

absl::Status no_memory() { return absl::ResourceExhaustedError("TLS: no memory"); }

absl::Status bad_file(std::string_view option, std::string_view file) {
  return absl::InvalidArgumentError(
      absl::StrCat(option, " \"", file, "\": ", take_open_ssl_error()));
}

// Of a key that has one. OpenSSL would ask at the terminal.
int no_password(char*, int, int, void*) { return -1; }

// As in a handshake: each with its length in front.
std::string wire_format(const std::vector<std::string>& alpn) {
  std::string wire;
  for (const std::string& protocol : alpn) {
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

// The protocols of a list that is well-formed, as OpenSSL has checked that of a client.
std::vector<std::string_view> protocols(std::string_view wire) {
  std::vector<std::string_view> all;
  while (!wire.empty()) {
    const std::size_t size = static_cast<unsigned char>(wire.front());
    all.push_back(wire.substr(1, size));
    wire.remove_prefix(std::min(wire.size(), 1 + size));
  }
  return all;
}

class OpenSslFactory final : public TlsEngineFactory {
 public:
  OpenSslFactory(bool is_server, TlsVerify verify, const std::vector<std::string>& alpn)
      : is_server_(is_server), verify_(verify), alpn_(wire_format(alpn)) {}

  absl::Status open();
  absl::Status use_certificate(std::string_view type, const std::string& certificate_file,
                               const std::string& key_file);
  absl::Status ask_clients(const std::string& authorities_file);
  absl::Status trust(const std::string& authorities_file);

  absl::StatusOr<std::unique_ptr<TlsEngine>> make(std::string name) const override;

 private:
  static int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size,
                         const unsigned char* offered, unsigned int offered_size, void* self);

  absl::Status expect(SSL* ssl, std::string name) const;

  const bool is_server_;
  const TlsVerify verify_;
  const std::string alpn_;
  OpenSslPtr<SSL_CTX> context_;
};

absl::Status OpenSslFactory::open() {
  ERR_clear_error();
  context_.reset(SSL_CTX_new(is_server_ ? TLS_server_method() : TLS_client_method()));
  SSL_CTX* const context = context_.get();
  if (context == nullptr) return no_memory();
  const int level = std::max(kSecurityLevel, SSL_CTX_get_security_level(context));
  SSL_CTX_set_security_level(context, level);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb(context, no_password);
  // Tickets keep the sessions with the clients. A cache here would keep 20,000.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  constexpr unsigned char kSessions[] = "epore";
  bool is_good = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                 SSL_CTX_set_cipher_list(context, kCiphers) == 1 &&
                 SSL_CTX_set_session_id_context(context, kSessions, sizeof kSessions - 1) == 1;
  if (!alpn_.empty() && is_server_) SSL_CTX_set_alpn_select_cb(context, select_alpn, this);
  if (!alpn_.empty() && !is_server_) {
    const auto* const wire = reinterpret_cast<const unsigned char*>(alpn_.data());
    const auto size = static_cast<unsigned int>(alpn_.size());
    is_good = is_good && SSL_CTX_set_alpn_protos(context, wire, size) == 0;  // 0: done
  }
  if (is_good) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("TLS: ", take_open_ssl_error()));
}

absl::Status OpenSslFactory::use_certificate(std::string_view type,
                                             const std::string& certificate_file,
                                             const std::string& key_file) {
  ERR_clear_error();
  SSL_CTX* const context = context_.get();
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    return bad_file(absl::StrCat(type, "::certificate_file"), certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return bad_file(absl::StrCat(type, "::key_file"), key_file);
  }
  return absl::OkStatus();
}

// The server's side: only clients with a certificate.
absl::Status OpenSslFactory::ask_clients(const std::string& authorities_file) {
  ERR_clear_error();
  SSL_CTX* const context = context_.get();
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(authorities_file.c_str());
  if (names == nullptr ||
      SSL_CTX_load_verify_locations(context, authorities_file.c_str(), nullptr) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return bad_file("TlsServerOptions::client_authorities_file", authorities_file);
  }
  SSL_CTX_set_client_CA_list(context, names);  // which owns them
  constexpr int kMust = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, kMust, OpenSslEngine::verified);
  return absl::OkStatus();
}

// The client's side.
absl::Status OpenSslFactory::trust(const std::string& authorities_file) {
  ERR_clear_error();
  SSL_CTX* const context = context_.get();
  if (verify_ == TlsVerify::nothing) {
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    return absl::OkStatus();
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, OpenSslEngine::verified);
  if (authorities_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) == 1) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("TLS: the system's authorities: ", take_open_ssl_error()));
  }
  if (SSL_CTX_load_verify_locations(context, authorities_file.c_str(), nullptr) == 1) {
    return absl::OkStatus();
  }
  return bad_file("TlsClientOptions::authorities_file", authorities_file);
}

// The first of ours that the client names as well. Not SSL_select_next_proto(3), which would take
// one of the client's if there is none.
int OpenSslFactory::select_alpn(SSL*, const unsigned char** out, unsigned char* out_size,
                                const unsigned char* offered, unsigned int offered_size,
                                void* self) {
  const std::string_view theirs(reinterpret_cast<const char*>(offered), offered_size);
  try {
    const std::vector<std::string_view> all = protocols(theirs);
    for (const std::string_view ours : protocols(static_cast<OpenSslFactory*>(self)->alpn_)) {
      const auto same = std::find(all.begin(), all.end(), ours);
      if (same == all.end()) continue;
      *out = reinterpret_cast<const unsigned char*>(same->data());  // as the caller wants it
      *out_size = static_cast<unsigned char>(same->size());
      return SSL_TLSEXT_ERR_OK;
    }
  } catch (const std::bad_alloc&) {  // refused
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Whom the client wants to talk to.
absl::Status OpenSslFactory::expect(SSL* ssl, std::string name) const {
  if (name.ends_with('.')) name.pop_back();  // certificates have none
  const bool verifies = verify_ == TlsVerify::name;
  if (name.empty()) {
    if (!verifies) return absl::OkStatus();
    return absl::InvalidArgumentError("the name is empty, and the server must have one");
  }
  if (name.size() > kLongestName || name.find('\0') != name.npos) {
    return absl::InvalidArgumentError("the name is too long, or has a zero byte");
  }
  // OpenSSL takes a name with a dot in front for everything below it.
  if (name.starts_with('.') || name.ends_with('.') || name.find("..") != name.npos) {
    return absl::InvalidArgumentError("the name has an empty label");
  }
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl);
  const OpenSslPtr<ASN1_OCTET_STRING> number(a2i_IPADDRESS(name.c_str()));
  if (number != nullptr) {  // which is no name for SNI (RFC 6066)
    if (!verifies || X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) == 1) {
      return absl::OkStatus();
    }
    return no_memory();
  }
  if (SSL_set_tlsext_host_name(ssl, name.c_str()) != 1) return no_memory();
  if (!verifies) return absl::OkStatus();
  // The subject of a certificate is no name (RFC 9525).
  X509_VERIFY_PARAM_set_hostflags(
      wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_host(wanted, name.data(), name.size()) != 1) return no_memory();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TlsEngine>> OpenSslFactory::make(std::string name) const {
  ERR_clear_error();
  OpenSslPtr<SSL> ssl(SSL_new(context_.get()));
  if (ssl == nullptr) return no_memory();
  if (is_server_) {
    SSL_set_accept_state(ssl.get());
  } else {
    SSL_set_connect_state(ssl.get());
    if (absl::Status bad = expect(ssl.get(), std::move(name)); !bad.ok()) return bad;
  }
  auto engine = std::make_unique<OpenSslEngine>(std::move(ssl));
  if (!engine->connect_bio()) return no_memory();
  return engine;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsEngineFactory>> open_ssl_server(const TlsServerOptions& options) {
  auto factory = std::make_unique<OpenSslFactory>(true, TlsVerify::nothing, options.alpn);
  absl::Status status = factory->open();
  if (status.ok()) {
    status =
        factory->use_certificate("TlsServerOptions", options.certificate_file, options.key_file);
  }
  if (status.ok() && !options.client_authorities_file.empty()) {
    status = factory->ask_clients(options.client_authorities_file);
  }
  if (!status.ok()) return status;
  return factory;
}

absl::StatusOr<std::unique_ptr<TlsEngineFactory>> open_ssl_client(const TlsClientOptions& options) {
  auto factory = std::make_unique<OpenSslFactory>(false, options.verify, options.alpn);
  absl::Status status = factory->open();
  if (status.ok()) status = factory->trust(options.authorities_file);
  if (status.ok() && !options.certificate_file.empty()) {
    status =
        factory->use_certificate("TlsClientOptions", options.certificate_file, options.key_file);
  }
  if (!status.ok()) return status;
  return factory;
}

}  // namespace epore::internal

#endif
