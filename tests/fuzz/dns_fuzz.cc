// DNS messages and zones: a query that can be read has an answer that fits, and a name its text.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/dns_message.h"
#include "examples/dns_zone.h"
#include "tests/fuzz/fuzz_target.h"

namespace epore {
namespace {

constexpr std::string_view kZone =
    "example.com. 3600 SOA ns.example.com. admin.example.com. 1 7200 900 86400 300\n"
    "example.com. 3600 MX 10 mail.example.com.\n"
    "www.example.com. 300 A 192.0.2.1\n"
    "www.example.com. 300 TXT \"some text\" \"and more\"\n"
    "*.pages.example.com. 300 CNAME www.example.com.  ; a wildcard\n"
    "lab.example.com. 300 NS ns.lab.example.com.\n"
    "ns.lab.example.com. 300 A 192.0.2.53\n";

std::string query(std::string_view name, std::uint16_t type, bool has_edns) {
  std::string bytes;
  examples::append_16(bytes, 1);
  examples::append_16(bytes, 0x0100);
  examples::append_16(bytes, 1);
  examples::append_32(bytes, 0);
  examples::append_16(bytes, has_edns ? 1 : 0);
  bytes += examples::parse_dns_name(name).value_or(std::string(1, '\0'));
  examples::append_16(bytes, type);
  examples::append_16(bytes, 1);
  if (!has_edns) return bytes;
  bytes += '\0';
  examples::append_16(bytes, examples::kDnsOpt);
  examples::append_16(bytes, 4096);
  examples::append_32(bytes, 0);
  examples::append_16(bytes, 0);
  return bytes;
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  std::string loop = query("a.example.com", examples::kDnsA, false);
  loop.replace(12, 2, "\xC0\x0C");
  return {query("www.example.com", examples::kDnsA, false),
          query("x.pages.example.com", examples::kDnsA, true),
          query("x.lab.example.com", examples::kDnsAny, true),
          query(".", examples::kDnsNs, false),
          loop,
          std::string(kZone),
          "example.com. 1 SOA a. b. 1 2 3 4 5\nexample.com. 1 TXT \"a\\\"\"\n"};
}

}  // namespace epore

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const examples::DnsZone* const zone = [] {
    absl::StatusOr<examples::DnsZone> parsed = examples::DnsZone::parse(epore::kZone);
    CHECK_OK(parsed.status());
    return new examples::DnsZone(*std::move(parsed));
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const std::optional<examples::DnsQuery> query = examples::parse_dns_query(bytes)) {
    examples::DnsAnswer answer{.code = query->code};
    if (query->code == examples::DnsCode::ok) answer = zone->find(query->name, query->type);
    CHECK_GE(query->udp_size, 512u);
    const std::string message = examples::make_dns_answer(*query, answer, query->udp_size);
    CHECK_LE(message.size(), query->udp_size);
    CHECK_GE(message.size(), 12u);
    CHECK(!examples::parse_dns_query(message).has_value());  // an answer, which has none
    if (query->code == examples::DnsCode::ok) CHECK_LE(query->name.size(), 255u);
  }
  for (std::size_t at : {std::size_t{0}, std::size_t{12}}) {
    if (at > size) continue;
    const std::size_t begin = at;
    if (const std::optional<std::string> name = examples::read_dns_name(bytes, at)) {
      CHECK_GT(at, begin);
      CHECK_LE(at, size);
      CHECK(!name->empty() && name->size() <= 255 && name->back() == '\0');
    }
  }
  if (const std::optional<std::string> name = examples::parse_dns_name(bytes)) {
    std::size_t at = 0;
    CHECK(examples::read_dns_name(*name, at) == name);
    CHECK_EQ(at, name->size());
  }
  const absl::StatusOr<examples::DnsZone> other = examples::DnsZone::parse(bytes);
  CHECK(other.ok() || absl::IsInvalidArgument(other.status())) << other.status();
  return 0;
}
