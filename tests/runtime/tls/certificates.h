#ifndef EPORE_TESTS_RUNTIME_TLS_CERTIFICATES_H_
#define EPORE_TESTS_RUNTIME_TLS_CERTIFICATES_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "tests/support/temporary_directory.h"

namespace epore {

// The files of a certificate, PEM.
struct CertificateFiles {
  std::string certificate;
  std::string key;
};

struct CertificateOptions {
  std::string_view subject = "server.example";                 // its common name
  std::string_view names = "DNS:server.example,IP:127.0.0.1";  // whom it is for
  absl::Duration from = -absl::Hours(1);                       // from now
  absl::Duration until = absl::Hours(1);
  bool is_self_signed = false;
  bool has_password = false;  // its key
};

// An authority that makes certificates, of P-256. Its files go with it. Requires OpenSSL.
class Authority {
 public:
  // Whether the test was built with OpenSSL.
  static bool is_possible();

  Authority();
  ~Authority();

  // Its own certificate, for who trusts it.
  const std::string& file() const { return file_; }

  CertificateFiles make(const CertificateOptions& options = {});

  // A file of the directory, for others.
  std::string path(std::string_view name) const { return directory_.path(name); }

 private:
  struct Pair;

  const TemporaryDirectory directory_;
  std::unique_ptr<Pair> own_;
  std::string file_;
};

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_TLS_CERTIFICATES_H_
