// Addresses: what parses has a text that parses to the same, and an error names what is wrong.

#include <string_view>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/address.h"
#include "tests/fuzz/fuzz_target.h"

namespace epore {

std::vector<std::string> fuzz_seeds() {
  return {"127.0.0.1:80",
          "[::1]:8080",
          "[fe80::1%lo]:1",
          "[fe80::1%1]:1",
          "[::ffff:192.0.2.1]:80",
          "0.0.0.0:0",
          "[::]:65535",
          ":7000",
          "*:1",
          "localhost:http",
          "a.example.com.:443",
          "http://example.com:80/",
          "unix:/run/x.sock",
          "unix:@name",
          "unix:./x",
          "unix:",
          "inherited:web",
          "1.2.3.4.5:6",
          "[1:2:3:4:5:6:7:8]:9",
          std::string("unix:@a\0b", 9),
          std::string(64, 'a') + ".b:1",
          "unix:/" + std::string(106, 'a'),
          "unix:/" + std::string(107, 'a')};
}

}  // namespace epore

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const absl::StatusOr<epore::SocketAddress> address = epore::SocketAddress::parse(text);
  if (address.ok()) {
    CHECK(!address->is_empty());
    const std::string written = address->to_string();
    const absl::StatusOr<epore::SocketAddress> again = epore::SocketAddress::parse(written);
    // A Unix path with bytes that are not printable is written for a log only.
    CHECK(again.ok() || address->is_unix()) << written << ": " << again.status();
    if (again.ok()) {
      CHECK(*again == *address || address->is_unix()) << written;
      CHECK_EQ(again->to_string().empty(), false);
    }
    const epore::SocketAddress copy =
        epore::SocketAddress::from_sockaddr(address->data(), address->size());
    CHECK(copy == *address) << written;
    CHECK(address->with_port(address->port()) == *address) << written;
    CHECK(address->unmapped().unmapped() == address->unmapped()) << written;
  } else {
    CHECK(absl::IsInvalidArgument(address.status())) << address.status();
    CHECK(!address.status().message().empty());
  }
  const absl::StatusOr<epore::HostPort> parts = epore::HostPort::parse(text);
  if (parts.ok()) {
    CHECK_LE(parts->host.size(), size);
    CHECK_EQ(parts->host.find('\0'), std::string::npos);
  } else {
    CHECK(absl::IsInvalidArgument(parts.status())) << parts.status();
    CHECK(!parts.status().message().empty());
  }
  return 0;
}
