#ifndef EPORE_EXAMPLES_DNS_ZONE_H_
#define EPORE_EXAMPLES_DNS_ZONE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/dns_message.h"

namespace examples {

// What a name server knows: the names of one zone. It never changes, so any thread may ask.
//
// The text is a plain form of a master file (RFC 1035, 5): a record on each line, every name and
// time to live written out; `;` begins a comment. The first record is the SOA, whose name is that
// of the zone.
//
//   example.com.        3600 SOA   ns.example.com. admin.example.com. 1 7200 900 86400 300
//   example.com.        3600 MX    10 mail.example.com.
//   _http._tcp.example.com. 300 SRV 10 60 8080 www.example.com.
//   www.example.com.    300  A     192.0.2.1
//   www.example.com.    300  TXT   "some text" "and more"
//   *.pages.example.com 300  CNAME www.example.com.      ; a wildcard
//   lab.example.com.    300  NS    ns.lab.example.com.   ; a delegation
//   ns.lab.example.com. 300  A     192.0.2.53            ; and its glue
//
// A wildcard stands for all names below its own that are not there (RFC 4592). Questions about a
// name that is delegated, or below it, are answered with who has it, and with their addresses as
// far as the zone knows them (RFC 1034, 4.3.2).
class DnsZone {
 public:
  // Errors: InvalidArgument, with the number of the line.
  static absl::StatusOr<DnsZone> parse(std::string_view text);

  // Looks for a name in lower case, which the answer refers to. Aliases (CNAME) are followed inside
  // the zone.
  DnsAnswer find(std::string_view name, std::uint16_t type) const;

  std::size_t size() const { return size_; }  // in records

 private:
  using Records = std::vector<DnsRecord>;

  DnsZone() = default;
  absl::Status add(std::string_view line);
  bool is_inside(std::string_view name) const;
  const Records* find_delegation(std::string_view name) const;
  const Records* find_records(std::string_view name) const;
  void add_start(DnsAnswer& answer) const;
  void refer(const Records& delegation, DnsAnswer& answer) const;

  std::string origin_;
  std::map<std::string, Records, std::less<>> names_;  // also those that only lead to others
  std::size_t size_ = 0;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_DNS_ZONE_H_
