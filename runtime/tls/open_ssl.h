#ifndef EPORE_RUNTIME_TLS_OPEN_SSL_H_
#define EPORE_RUNTIME_TLS_OPEN_SSL_H_

// Whether the machine has OpenSSL 3.0 or later: EPORE_HAVE_OPEN_SSL. (LibreSSL says 2.0.)

#ifdef EPORE_HAVE_SSL
#include <openssl/opensslv.h>
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
#define EPORE_HAVE_OPEN_SSL 1
#endif
#endif

#ifdef EPORE_HAVE_OPEN_SSL

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

namespace epore::internal {

struct OpenSslFree {
  void operator()(ASN1_OCTET_STRING* bytes) const { ASN1_OCTET_STRING_free(bytes); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

template <typename T>
using OpenSslPtr = std::unique_ptr<T, OpenSslFree>;

}  // namespace epore::internal

#endif

#endif  // EPORE_RUNTIME_TLS_OPEN_SSL_H_
