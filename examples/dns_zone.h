#ifndef EPORE_EXAMPLES_DNS_ZONE_H_
#define EPORE_EXAMPLES_DNS_ZONE_H_

#include <cstddef>
#include <cstdint>
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
// of the zone. Without wildcards and delegations.
//
//   example.com.     3600 SOA   ns.example.com. admin.example.com. 1 7200 900 86400 300
//   example.com.     3600 MX    10 mail.example.com.
//   www.example.com. 300  A     192.0.2.1
//   www.example.com. 300  TXT   "some text" "and more"
class DnsZone {
 public:
  // Errors: InvalidArgument, with the number of the line.
  static absl::StatusOr<DnsZone> parse(std::string_view text);

  struct Found {
    DnsCode code = DnsCode::ok;
    std::vector<const DnsRecord*> records;
    const DnsRecord* start_of_authority = nullptr;  // without records
  };

  // Looks for a name in lower case. Aliases (CNAME) are followed inside the zone.
  Found find(const std::string& name, std::uint16_t type) const;

  std::size_t size() const { return size_; }  // in records

 private:
  using Records = std::vector<DnsRecord>;

  DnsZone() = default;
  absl::Status add(std::string_view line);
  bool is_inside(std::string_view name) const;

  std::string origin_;
  std::map<std::string, Records> names_;  // those without records too that lead to others
  std::size_t size_ = 0;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_DNS_ZONE_H_
