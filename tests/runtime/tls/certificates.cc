#include "tests/runtime/tls/certificates.h"

#include <memory>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/tls/open_ssl.h"

#ifndef EPORE_HAVE_OPEN_SSL

namespace epore {

struct Authority::Pair {};

bool Authority::is_possible() { return false; }
Authority::Authority() = default;
Authority::~Authority() = default;
CertificateFiles Authority::make(const CertificateOptions&) {
  CHECK(false) << "built without OpenSSL";
  return {};
}

}  // namespace epore

#else

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace epore {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = internal::OpenSslPtr<X509>;
using Bio = internal::OpenSslPtr<BIO>;

void add(X509* certificate, int kind, const std::string& value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  CHECK(extension != nullptr) << value;
  CHECK_EQ(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

}  // namespace

struct Authority::Pair {
  Pair(const CertificateOptions& options, int number, const Pair* issuer)
      : key(EVP_EC_gen("P-256")), certificate(X509_new()) {
    CHECK(key != nullptr && certificate != nullptr);
    X509* const x509 = certificate.get();
    CHECK_EQ(X509_set_version(x509, X509_VERSION_3), 1);
    CHECK_EQ(ASN1_INTEGER_set(X509_get_serialNumber(x509), number), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), absl::ToInt64Seconds(options.from));
    X509_gmtime_adj(X509_getm_notAfter(x509), absl::ToInt64Seconds(options.until));
    CHECK_EQ(X509_set_pubkey(x509, key.get()), 1);
    const std::string subject(options.subject);
    CHECK_EQ(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                                        reinterpret_cast<const unsigned char*>(subject.data()), -1,
                                        -1, 0),
             1);
    const Pair& signer = issuer != nullptr ? *issuer : *this;
    CHECK_EQ(X509_set_issuer_name(x509, X509_get_subject_name(signer.certificate.get())), 1);
    const bool is_authority = options.names.empty();
    add(x509, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (!is_authority) add(x509, NID_subject_alt_name, std::string(options.names));
    CHECK_GT(X509_sign(x509, signer.key.get(), EVP_sha256()), 0);
  }

  void write(const CertificateFiles& files, bool has_password) const {
    const Bio certificate_file(BIO_new_file(files.certificate.c_str(), "w"));
    CHECK_EQ(PEM_write_bio_X509(certificate_file.get(), certificate.get()), 1);
    const Bio key_file(BIO_new_file(files.key.c_str(), "w"));
    char password[] = "secret";
    CHECK_EQ(PEM_write_bio_PKCS8PrivateKey(
                 key_file.get(), key.get(), has_password ? EVP_aes_128_cbc() : nullptr,
                 has_password ? password : nullptr, has_password ? 6 : 0, nullptr, nullptr),
             1);
  }

  const Key key;
  const Certificate certificate;
  int made = 0;  // how many certificates this has signed
};

bool Authority::is_possible() { return true; }

Authority::Authority()
    : own_(std::make_unique<Pair>(CertificateOptions{.subject = "Test Authority", .names = ""}, 1,
                                  nullptr)),
      file_(directory_.path("authority.pem")) {
  own_->write({.certificate = file_, .key = directory_.path("authority.key")}, false);
}

Authority::~Authority() = default;

CertificateFiles Authority::make(const CertificateOptions& options) {
  const std::string number = absl::StrCat(++own_->made);
  CertificateFiles files = {.certificate = directory_.path(number + ".pem"),
                            .key = directory_.path(number + ".key")};
  const Pair* const issuer = options.is_self_signed ? nullptr : own_.get();
  Pair(options, own_->made + 1, issuer).write(files, options.has_password);
  return files;
}

}  // namespace epore

#endif
