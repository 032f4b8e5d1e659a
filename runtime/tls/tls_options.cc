#include "epore/runtime/tls/tls_options.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

namespace epore {
namespace {

// Of the list of a handshake, RFC 7301.
constexpr std::size_t kLongestProtocol = 255;
constexpr std::size_t kLongestList = 65'535;

absl::Status bad(std::string_view type, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(type, "::", text));
}

absl::Status check_file(std::string_view type, std::string_view name, std::string_view file) {
  if (file.find('\0') == file.npos) return absl::OkStatus();
  return bad(type, absl::StrCat(name, " has a zero byte"));
}

absl::Status check_alpn(std::string_view type, const std::vector<std::string>& alpn) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < alpn.size(); ++i) {
    if (alpn[i].empty() || alpn[i].size() > kLongestProtocol) {
      return bad(type, absl::StrCat("alpn[", i, "] has ", alpn[i].size(), " bytes, must have 1 to ",
                                    kLongestProtocol));
    }
    size += 1 + alpn[i].size();
  }
  if (size <= kLongestList) return absl::OkStatus();
  return bad(type, absl::StrCat("alpn takes ", size, " bytes, must take at most ", kLongestList));
}

// What both sides have.
template <typename Options>
absl::Status check_all(std::string_view type, const Options& options) {
  for (const absl::Status& status :
       {check_file(type, "certificate_file", options.certificate_file),
        check_file(type, "key_file", options.key_file), check_alpn(type, options.alpn)}) {
    if (!status.ok()) return status;
  }
  if (options.handshake_timeout > absl::ZeroDuration()) return absl::OkStatus();
  return bad(type,
             absl::StrCat("handshake_timeout is ", absl::FormatDuration(options.handshake_timeout),
                          ", must be more than zero"));
}

}  // namespace

absl::Status TlsServerOptions::check() const {
  constexpr std::string_view kType = "TlsServerOptions";
  if (certificate_file.empty()) return bad(kType, "certificate_file is empty");
  if (key_file.empty()) return bad(kType, "key_file is empty");
  absl::Status file = check_file(kType, "client_authorities_file", client_authorities_file);
  if (!file.ok()) return file;
  return check_all(kType, *this);
}

absl::Status TlsClientOptions::check() const {
  constexpr std::string_view kType = "TlsClientOptions";
  if (certificate_file.empty() != key_file.empty()) {
    return bad(kType, "certificate_file and key_file need each other, and one is empty");
  }
  if (verify > TlsVerify::nothing) return bad(kType, "verify is none of TlsVerify");
  absl::Status file = check_file(kType, "authorities_file", authorities_file);
  if (!file.ok()) return file;
  return check_all(kType, *this);
}

}  // namespace epore
