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
_http._tcp.example.com. 300 SRV 10 60 8080 www.example.com.
WWW.example.com.    300  A     192.0.2.1
www.example.com.    300  A     192.0.2.2
www.example.com.    300  AAAA  2001:db8::1
alias.example.com.  300  CNAME www.example.com.
other.example.com.  300  CNAME www.elsewhere.org.
loop.example.com.   300  CNAME pool.example.com.
pool.example.com.   300  CNAME loop.example.com.
a.b.c.example.com.  300  TXT   "two words" one ""
)";

// With the SOA in front.
DnsZone parse(std::string_view text) {
  absl::StatusOr<DnsZone> zone = DnsZone::parse(absl::StrCat(kSoa, text));
  EXPECT_TRUE(zone.ok()) << zone.status();
  return *std::move(zone);
}

std::string name(std::string_view text) { return *parse_dns_name(text); }

// Whether there is the SOA beside what was found.
bool is_start(const DnsAnswer& answer) {
  return answer.is_authoritative && answer.authority.size() == 1 &&
         answer.authority[0].record->type == kDnsSoa && answer.additional.empty();
}

TEST(DnsZoneTest, FindsRecordsOfTheType) {
  const DnsZone zone = parse(kMore);
  EXPECT_EQ(zone.size(), 12u);
  const DnsAnswer found = zone.find(name("www.example.com"), kDnsA);
  EXPECT_EQ(found.code, DnsCode::ok);
  ASSERT_EQ(found.records.size(), 2u);
  EXPECT_EQ(found.records[0].record->data, "\xC0\0\2\1"sv);
  EXPECT_EQ(found.records[1].record->data, "\xC0\0\2\2"sv);
  EXPECT_EQ(found.records[0].record->ttl, 300u);
  EXPECT_TRUE(found.is_authoritative);
  EXPECT_TRUE(found.authority.empty());
  EXPECT_EQ(zone.find(name("www.example.com"), kDnsAaaa).records[0].record->data.size(), 16u);
  EXPECT_EQ(zone.find(name("example.com"), kDnsMx).records[0].record->data,
            "\0\x0A\4mail\7example\3com\0"sv);
  EXPECT_EQ(zone.find(name("_http._tcp.example.com"), kDnsSrv).records[0].record->data,
            "\0\x0A\0\x3C\x1F\x90\3www\7example\3com\0"sv);
  EXPECT_EQ(zone.find(name("a.b.c.example.com"), kDnsTxt).records[0].record->data,
            "\x09two words\3one\0"sv);
}

TEST(DnsZoneTest, TellsNoSuchTypeFromNoSuchNameAndFromOtherZones) {
  const DnsZone zone = parse(kMore);
  const DnsAnswer no_type = zone.find(name("www.example.com"), kDnsMx);
  EXPECT_EQ(no_type.code, DnsCode::ok);
  EXPECT_TRUE(no_type.records.empty());
  EXPECT_TRUE(is_start(no_type));
  const DnsAnswer no_name = zone.find(name("missing.example.com"), kDnsA);
  EXPECT_EQ(no_name.code, DnsCode::no_such_name);
  EXPECT_TRUE(is_start(no_name));
  EXPECT_EQ(zone.find(name("b.c.example.com"), kDnsA).code, DnsCode::ok) << "leads to another";
  for (const char* other : {"example.org", "com", ".", "notexample.com"}) {
    EXPECT_EQ(zone.find(name(other), kDnsA).code, DnsCode::refused) << other;
  }
}

TEST(DnsZoneTest, FollowsAliasesInsideTheZone) {
  const DnsZone zone = parse(kMore);
  const DnsAnswer found = zone.find(name("alias.example.com"), kDnsA);
  ASSERT_EQ(found.records.size(), 3u);
  EXPECT_EQ(found.records[0].record->type, kDnsCname);
  EXPECT_EQ(found.records[1].name, name("www.example.com"));
  EXPECT_EQ(zone.find(name("alias.example.com"), kDnsCname).records.size(), 1u);
  EXPECT_EQ(zone.find(name("other.example.com"), kDnsA).records.size(), 1u);
  EXPECT_EQ(zone.find(name("loop.example.com"), kDnsA).records.size(), 9u) << "and it ends";
}

TEST(DnsZoneTest, AnAliasMayLeadToNothing) {
  const DnsZone zone = parse(
      "a.example.com. 300 CNAME missing.example.com.\n"
      "b.example.com. 300 CNAME text.example.com.\n"
      "text.example.com. 300 TXT x\n");
  const std::string a = name("a.example.com");
  const DnsAnswer no_name = zone.find(a, kDnsA);
  EXPECT_EQ(no_name.code, DnsCode::no_such_name);
  EXPECT_EQ(no_name.records.size(), 1u);
  EXPECT_TRUE(is_start(no_name));
  const std::string b = name("b.example.com");
  const DnsAnswer no_type = zone.find(b, kDnsA);
  EXPECT_EQ(no_type.code, DnsCode::ok);
  EXPECT_EQ(no_type.records.size(), 1u);
  EXPECT_TRUE(is_start(no_type));
}

// The zone of RFC 4592, 2.2.1, with its questions and what it says to them.
TEST(DnsZoneTest, AWildcardStandsForNamesThatAreNotThere) {
  const DnsZone zone = parse(R"(
example.com.               3600 NS    ns.example.org.
*.example.com.             3600 TXT   "this is a wildcard"
*.example.com.             3600 MX    10 host1.example.com.
sub.*.example.com.         3600 TXT   "this is not a wildcard"
host1.example.com.         3600 A     192.0.2.1
_ssh._tcp.host1.example.com. 3600 TXT x
_ssh._tcp.host2.example.com. 3600 TXT x
subdel.example.com.        3600 NS    ns.example.org.
)");
  const auto ask = [&](std::string_view text, std::uint16_t type) {
    const std::string asked = name(text);
    const DnsAnswer found = zone.find(asked, type);
    if (found.code == DnsCode::no_such_name) return "no such name";
    if (!found.is_authoritative) return "elsewhere";
    if (found.records.empty()) return "no records";
    EXPECT_EQ(found.records.size(), 1u);
    EXPECT_EQ(found.records[0].name, asked);
    return found.records[0].record->name == name("*.example.com") ? "the wildcard" : "its own";
  };
  EXPECT_STREQ(ask("host3.example.com", kDnsMx), "the wildcard");
  EXPECT_STREQ(ask("host3.example.com", kDnsA), "no records");
  EXPECT_STREQ(ask("foo.bar.example.com", kDnsTxt), "the wildcard");
  EXPECT_STREQ(ask("host1.example.com", kDnsMx), "no records") << "it is there";
  EXPECT_STREQ(ask("sub.*.example.com", kDnsMx), "no records") << "and so is this";
  EXPECT_STREQ(ask("sub.*.example.com", kDnsTxt), "its own");
  EXPECT_STREQ(ask("_telnet._tcp.host1.example.com", kDnsTxt), "no such name");
  EXPECT_STREQ(ask("host.subdel.example.com", kDnsA), "elsewhere");
  EXPECT_STREQ(ask("ghost.*.example.com", kDnsMx), "no such name") << "a wildcard has none below";
  EXPECT_STREQ(ask("host2.example.com", kDnsTxt), "no records") << "it leads to others";
  EXPECT_STREQ(ask("*.example.com", kDnsTxt), "the wildcard");
}

TEST(DnsZoneTest, AWildcardMayBeAnAlias) {
  const DnsZone zone = parse(
      "*.example.com. 300 CNAME www.example.com.\n"
      "www.example.com. 300 A 192.0.2.1\n"
      "*.loop.example.com. 300 CNAME x.loop.example.com.\n");
  const std::string any = name("any.example.com");
  const DnsAnswer found = zone.find(any, kDnsA);
  ASSERT_EQ(found.records.size(), 2u);
  EXPECT_EQ(found.records[0].name, any);
  EXPECT_EQ(found.records[0].record->type, kDnsCname);
  EXPECT_EQ(found.records[1].name, name("www.example.com"));
  const std::string loop = name("a.loop.example.com");
  EXPECT_EQ(zone.find(loop, kDnsA).records.size(), 9u) << "and it ends";
}

// Without records of its own it is there all the same (RFC 4592, 2.2.2).
TEST(DnsZoneTest, AWildcardMayOnlyLeadToOthers) {
  const DnsZone zone = parse("a.*.example.com. 300 A 192.0.2.1\n");
  const std::string any = name("any.example.com");
  EXPECT_EQ(zone.find(any, kDnsA).code, DnsCode::ok);
  EXPECT_TRUE(is_start(zone.find(any, kDnsA)));
}

TEST(DnsZoneTest, WhatIsDelegatedIsElsewhere) {
  const DnsZone zone = parse(R"(
example.com.             3600 NS    ns.example.com.
ns.example.com.          3600 A     192.0.2.1
lab.example.com.         3600 NS    ns.lab.example.com.
lab.example.com.         3600 NS    ns.elsewhere.org.
ns.lab.example.com.      3600 A     192.0.2.2
ns.lab.example.com.      3600 AAAA  2001:db8::2
ns.lab.example.com.      3600 TXT   "no glue"
deep.lab.example.com.    3600 NS    ns.deep.lab.example.com.
www.lab.example.com.     3600 A     192.0.2.3
alias.example.com.       3600 CNAME www.lab.example.com.
*.example.com.           3600 A     192.0.2.4
)");
  for (const char* asked : {"lab.example.com", "www.lab.example.com", "ns.lab.example.com",
                            "missing.lab.example.com", "x.deep.lab.example.com"}) {
    for (const std::uint16_t type : {kDnsA, kDnsNs, kDnsAny}) {
      const std::string of = name(asked);
      const DnsAnswer found = zone.find(of, type);
      EXPECT_EQ(found.code, DnsCode::ok) << asked;
      EXPECT_FALSE(found.is_authoritative) << asked;
      EXPECT_TRUE(found.records.empty()) << asked;
      ASSERT_EQ(found.authority.size(), 2u) << asked;
      EXPECT_EQ(found.authority[0].name, name("lab.example.com"));
      EXPECT_EQ(found.authority[0].record->data, name("ns.lab.example.com"));
      ASSERT_EQ(found.additional.size(), 2u) << asked;
      EXPECT_EQ(found.additional[0].name, name("ns.lab.example.com"));
      EXPECT_EQ(found.additional[0].record->type, kDnsA);
      EXPECT_EQ(found.additional[1].record->type, kDnsAaaa);
    }
  }
  const std::string alias = name("alias.example.com");
  const DnsAnswer by_alias = zone.find(alias, kDnsA);
  EXPECT_TRUE(by_alias.is_authoritative) << "for the alias";
  EXPECT_EQ(by_alias.records.size(), 1u);
  EXPECT_EQ(by_alias.authority.size(), 2u);
  const std::string origin = name("example.com");
  const DnsAnswer own = zone.find(origin, kDnsNs);
  EXPECT_TRUE(own.is_authoritative) << "the zone's own name servers delegate nothing";
  EXPECT_EQ(own.records.size(), 1u);
}

TEST(DnsZoneTest, AnyIsOneType) {
  const DnsZone zone = parse(kMore);
  const DnsAnswer found = zone.find(name("www.example.com"), kDnsAny);
  EXPECT_EQ(found.records.size(), 2u);
  EXPECT_EQ(zone.find(name("example.com"), kDnsAny).records.size(), 1u);
  EXPECT_EQ(zone.find(name("alias.example.com"), kDnsAny).records[0].record->type, kDnsCname);
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
      {"*.example.com. 300 NS ns.example.com.",
       "line 2: a wildcard cannot be delegated: \"*.example.com.\""},
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
