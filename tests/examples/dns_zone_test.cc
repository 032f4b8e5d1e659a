// Zones of examples/dns_server.

#include "examples/dns_zone.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace examples {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kSoa =
    "example.com. 3600 SOA ns.example.com. admin.example.com. 1 7200 900 86400 300\n";

constexpr std::string_view kMore = R"(
; a comment
example.com.        3600 NS    ns.example.com.   ; and another one
example.com.        3600 MX    10 mail.example.com.
WWW.example.com.    300  A     192.0.2.1
www.example.com.    300  A     192.0.2.2
www.example.com.    300  AAAA  2001:db8::1
alias.example.com.  300  CNAME www.example.com.
other.example.com.  300  CNAME www.elsewhere.org.
loop.example.com.   300  CNAME pool.example.com.
pool.example.com.   300  CNAME loop.example.com.
a.b.c.example.com.  300  TXT   "two words" one ""
)";

DnsZone zone() {
  absl::StatusOr<DnsZone> zone = DnsZone::parse(absl::StrCat(kSoa, kMore));
  EXPECT_TRUE(zone.ok()) << zone.status();
  return *std::move(zone);
}

std::string name(std::string_view text) { return *parse_dns_name(text); }

TEST(DnsZoneTest, FindsRecordsOfTheType) {
  const DnsZone zone = examples::zone();
  EXPECT_EQ(zone.size(), 11u);
  const DnsZone::Found found = zone.find(name("www.example.com"), kDnsA);
  EXPECT_EQ(found.code, DnsCode::ok);
  ASSERT_EQ(found.records.size(), 2u);
  EXPECT_EQ(found.records[0]->data, "\xC0\0\2\1"sv);
  EXPECT_EQ(found.records[1]->data, "\xC0\0\2\2"sv);
  EXPECT_EQ(found.records[0]->ttl, 300u);
  EXPECT_EQ(found.start_of_authority, nullptr);
  EXPECT_EQ(zone.find(name("www.example.com"), kDnsAaaa).records[0]->data.size(), 16u);
  EXPECT_EQ(zone.find(name("example.com"), kDnsMx).records[0]->data,
            "\0\x0A\4mail\7example\3com\0"sv);
  EXPECT_EQ(zone.find(name("a.b.c.example.com"), kDnsTxt).records[0]->data,
            "\x09two words\3one\0"sv);
}

TEST(DnsZoneTest, TellsNoSuchTypeFromNoSuchNameAndFromOtherZones) {
  const DnsZone zone = examples::zone();
  const DnsZone::Found no_type = zone.find(name("www.example.com"), kDnsMx);
  EXPECT_EQ(no_type.code, DnsCode::ok);
  EXPECT_TRUE(no_type.records.empty());
  ASSERT_NE(no_type.start_of_authority, nullptr);
  EXPECT_EQ(no_type.start_of_authority->type, kDnsSoa);
  const DnsZone::Found no_name = zone.find(name("missing.example.com"), kDnsA);
  EXPECT_EQ(no_name.code, DnsCode::no_such_name);
  EXPECT_NE(no_name.start_of_authority, nullptr);
  EXPECT_EQ(zone.find(name("b.c.example.com"), kDnsA).code, DnsCode::ok) << "leads to another";
  for (const char* other : {"example.org", "com", ".", "notexample.com"}) {
    EXPECT_EQ(zone.find(name(other), kDnsA).code, DnsCode::refused) << other;
  }
}

TEST(DnsZoneTest, FollowsAliasesInsideTheZone) {
  const DnsZone zone = examples::zone();
  const DnsZone::Found found = zone.find(name("alias.example.com"), kDnsA);
  ASSERT_EQ(found.records.size(), 3u);
  EXPECT_EQ(found.records[0]->type, kDnsCname);
  EXPECT_EQ(found.records[1]->name, name("www.example.com"));
  EXPECT_EQ(zone.find(name("alias.example.com"), kDnsCname).records.size(), 1u);
  EXPECT_EQ(zone.find(name("other.example.com"), kDnsA).records.size(), 1u);
  EXPECT_EQ(zone.find(name("loop.example.com"), kDnsA).records.size(), 9u) << "and it ends";
}

TEST(DnsZoneTest, AnyIsOneType) {
  const DnsZone zone = examples::zone();
  const DnsZone::Found found = zone.find(name("www.example.com"), kDnsAny);
  EXPECT_EQ(found.records.size(), 2u);
  EXPECT_EQ(zone.find(name("example.com"), kDnsAny).records.size(), 1u);
  EXPECT_EQ(zone.find(name("alias.example.com"), kDnsAny).records[0]->type, kDnsCname);
}

TEST(DnsZoneTest, WhatIsBadIsToldWithItsLine) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"www.example.com. 300", "line 2: not NAME TTL TYPE DATA"},
      {"www.example.com. 300 A", "line 2: 0 values are not those of the type: \"A\""},
      {"www.example.com. 300 A 1.2.3", "line 2: not an address: \"1.2.3\""},
      {"www.example.com. 300 A 1.2.3.4 5", "line 2: 2 values are not those of the type: \"A\""},
      {"www.example.com. 300 AAAA 1.2.3.4", "line 2: not an address"},
      {"www.example.com. -1 A 1.2.3.4", "line 2: not a number up to 2147483647: \"-1\""},
      {"www.example.com. 4294967295 A 1.2.3.4", "line 2: not a number"},
      {"www.example.com. 300 MX 65536 a.", "line 2: not a number up to 65535: \"65536\""},
      {"www..example.com. 300 A 1.2.3.4", "line 2: not a name: \"www..example.com.\""},
      {"www.example.com. 300 CNAME a..b", "line 2: not a name: \"a..b\""},
      {"www.example.org. 300 A 1.2.3.4", "line 2: outside of the zone"},
      {"www.example.com. 300 WKS x", "line 2: an unknown type: \"WKS\""},
      {"www.example.com. 300 TXT \"open", "line 2: no closing quote"},
      {"www.example.com. 300 TXT", "line 2: 0 values are not those of the type: \"TXT\""},
      {"example.com. 300 CNAME a.", "line 2: an alias (CNAME) stands alone"},
      {"example.com. 3600 SOA a. b. 1 2 3 4 5", "line 2: the SOA is the first record"},
  };
  for (const auto& [line, why] : cases) {
    const absl::Status status = DnsZone::parse(absl::StrCat(kSoa, line)).status();
    EXPECT_TRUE(absl::StartsWith(status.message(), why)) << status;
  }
  EXPECT_EQ(DnsZone::parse("").status().message(), "there is no record");
  const absl::Status no_soa = DnsZone::parse("example.com. 300 A 1.2.3.4").status();
  EXPECT_TRUE(absl::StartsWith(no_soa.message(), "line 1: the SOA is the first")) << no_soa;
  const std::string text(256, 'x');
  EXPECT_FALSE(DnsZone::parse(absl::StrCat(kSoa, "example.com. 300 TXT ", text)).ok());
}

}  // namespace
}  // namespace examples
