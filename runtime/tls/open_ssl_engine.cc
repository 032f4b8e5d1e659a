// A TlsEngine by OpenSSL, see SSL_do_handshake(3), SSL_get_error(3), BIO_meth_new(3).

#include "epore/runtime/tls/open_ssl_engine.h"

#ifdef EPORE_HAVE_OPEN_SSL

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace epore::internal {
namespace {

std::string_view text_or_empty(const char* text) { return text != nullptr ? text : ""; }

std::string text_of(unsigned long error) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_SYSTEM_ERROR(error)) return std::generic_category().message(reason);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
    std::string_view alert = SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
    // OpenSSL 3.0 has those of TLS 1.3 as reasons only: "tlsv13 alert certificate required".
    if (alert == "unknown") alert = text_or_empty(ERR_reason_error_string(error));
    return absl::StrCat("the peer's alert: ", alert);
  }
  const char* const text = ERR_reason_error_string(error);
  return text != nullptr ? text : absl::StrCat("OpenSSL's error ", absl::Hex(error));
}

bool is_verify_error(unsigned long error) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL &&
         ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

bool is_memory_error(unsigned long error) { return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE; }

}  // namespace

std::string take_open_ssl_error() {
  const unsigned long error = ERR_get_error();
  std::string text = error != 0 ? text_of(error) : std::string();
  ERR_clear_error();
  return text;
}

std::string subject_of(const X509* certificate) {
  const OpenSslPtr<BIO> memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr) return {};
  constexpr unsigned long kFlags =
      XN_FLAG_ONELINE & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  if (X509_NAME_print_ex(memory.get(), X509_get_subject_name(certificate), 0, kFlags) < 0)
    return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

// The calls of the BIO. They must not throw into OpenSSL.
struct OpenSslEngine::Bio {
  static OpenSslEngine& engine(BIO* bio) { return *static_cast<OpenSslEngine*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* into, std::size_t room, std::size_t* count) {
    ByteView& input = engine(bio).input_;
    BIO_clear_retry_flags(bio);
    *count = std::min(room, input.size());
    if (*count == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    std::memcpy(into, input.data(), *count);
    input = input.subspan(*count);
    return 1;
  }

  static int write(BIO* bio, const char* bytes, std::size_t size, std::size_t* count) {
    OpenSslEngine& self = engine(bio);
    BIO_clear_retry_flags(bio);
    try {
      self.output_.append(bytes, size);
    } catch (const std::bad_alloc&) {
      self.has_no_memory_ = true;
      *count = 0;
      return -1;
    }
    *count = size;
    return 1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
};

const BIO_METHOD* OpenSslEngine::bio_method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "epore");
    if (method != nullptr) {
      BIO_meth_set_read_ex(method, Bio::read);
      BIO_meth_set_write_ex(method, Bio::write);
      BIO_meth_set_ctrl(method, Bio::control);
    }
    return method;  // lives as long as the process
  }();
  return kMethod;
}

bool OpenSslEngine::connect_bio() {
  if (bio_method() == nullptr) return false;
  BIO* const bio = BIO_new(bio_method());
  if (bio == nullptr) return false;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // which owns it
  SSL_set_app_data(ssl_.get(), this);
  return true;
}

int OpenSslEngine::verified(int is_good, X509_STORE_CTX* store) {
  if (is_good == 1) return 1;
  const auto* const ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const self = ssl != nullptr ? static_cast<OpenSslEngine*>(SSL_get_app_data(ssl)) : nullptr;
  const X509* const certificate = X509_STORE_CTX_get_current_cert(store);
  if (self == nullptr || certificate == nullptr) return 0;
  try {
    self->refused_ = subject_of(certificate);
  } catch (const std::bad_alloc&) {  // the error has no subject then
  }
  return 0;
}

TlsEngine::Step OpenSslEngine::step_of(int returned, bool is_read) {
  if (returned > 0) return Step::done;
  const int code = SSL_get_error(ssl_.get(), returned);
  if (code == SSL_ERROR_WANT_READ) return Step::wants_input;
  const bool has_ended = code == SSL_ERROR_ZERO_RETURN;
  if (has_ended && is_read && !has_no_memory_) return Step::ended;
  // The last one is that of the protocol. Those before it are how it came to that.
  const unsigned long error = ERR_peek_last_error();
  const long verify = SSL_get_verify_result(ssl_.get());
  std::string text = error != 0 ? text_of(error) : "the TLS connection has failed";
  ERR_clear_error();
  if (has_no_memory_ || is_memory_error(error)) {
    error_ = absl::ResourceExhaustedError("no memory");
  } else if (is_verify_error(error)) {
    text =
        absl::StrCat("the peer's certificate is refused: ", X509_verify_cert_error_string(verify));
    if (!refused_.empty()) absl::StrAppend(&text, " (", refused_, ")");
    error_ = absl::UnauthenticatedError(text);
  } else if (has_ended) {
    error_ = absl::UnavailableError("the peer has ended TLS");
  } else {
    error_ = absl::UnavailableError(text);
  }
  return Step::failed;
}

// An error of the thread that belongs to somebody else would be taken for one of the call.

TlsEngine::Step OpenSslEngine::handshake() {
  ERR_clear_error();
  return step_of(SSL_do_handshake(ssl_.get()));
}

TlsEngine::Step OpenSslEngine::read(std::span<std::byte> into, std::size_t& count) {
  ERR_clear_error();
  return step_of(SSL_read_ex(ssl_.get(), into.data(), into.size(), &count), true);
}

TlsEngine::Step OpenSslEngine::write(ByteView bytes) {
  ERR_clear_error();
  std::size_t count = 0;
  return step_of(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count));
}

TlsEngine::Step OpenSslEngine::end() {
  ERR_clear_error();
  if (SSL_in_init(ssl_.get()) == 1) {  // which SSL_shutdown(3) takes for an error
    const Step step = step_of(SSL_do_handshake(ssl_.get()));
    if (step != Step::done) return step;
  }
  const int returned = SSL_shutdown(ssl_.get());
  return returned >= 0 ? Step::done : step_of(returned);  // 0: the peer has not said it yet
}

std::string OpenSslEngine::alpn() const {
  const unsigned char* text = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &text, &size);
  return size != 0 ? std::string(reinterpret_cast<const char*>(text), size) : std::string();
}

std::string OpenSslEngine::version() const { return SSL_get_version(ssl_.get()); }

std::string OpenSslEngine::server_name() const {
  return std::string(text_or_empty(SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name)));
}

std::string OpenSslEngine::peer_subject() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  return certificate != nullptr ? subject_of(certificate) : std::string();
}

}  // namespace epore::internal

#endif
