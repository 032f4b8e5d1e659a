#ifndef EPORE_EXAMPLES_DNS_MESSAGE_H_
#define EPORE_EXAMPLES_DNS_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Messages of the domain name system (RFC 1035, and RFC 6891 for EDNS). A name is a string here as
// it is in a message: each label behind its length, the empty one last, without compression.
namespace examples {

enum class DnsCode : std::uint8_t {
  ok = 0,
  bad_format = 1,
  no_such_name = 3,
  not_implemented = 4,
  refused = 5,
  bad_version = 16,
};

enum DnsType : std::uint16_t {
  kDnsA = 1,
  kDnsNs = 2,
  kDnsCname = 5,
  kDnsSoa = 6,
  kDnsMx = 15,
  kDnsTxt = 16,
  kDnsAaaa = 28,
  kDnsSrv = 33,
  kDnsOpt = 41,
  kDnsAny = 255,
};

// Reads the name at `offset` of a message and moves `offset` behind it. Nothing if it is none: it
// goes beyond the end of the message or has more than 255 bytes; a label is of an unknown kind; a
// pointer does not point to before the labels that led to it, as a loop must not; there are more
// pointers than a name can have labels.
std::optional<std::string> read_dns_name(std::string_view message, std::size_t& offset);

// Reads "www.example.com.", with or without the last dot. Nothing if a label is empty or has more
// than 63 bytes, or all have more than 255.
std::optional<std::string> parse_dns_name(std::string_view text);

// Names are compared without regard to the case of ASCII letters.
std::string dns_lower_case(std::string_view name);

struct DnsQuery {
  std::uint16_t id = 0;
  bool wants_recursion = false;
  std::uint8_t opcode = 0;
  std::string question;  // its bytes; empty if there is no question that can be read
  std::string name;      // in lower case
  std::uint16_t type = 0;
  bool has_edns = false;
  std::size_t udp_size = 512;  // the longest answer that the client takes by UDP
  DnsCode code = DnsCode::ok;  // not ok: this is the answer
};

// Takes a query apart. Nothing: no answer is due, as it is an answer itself, or too short for one.
std::optional<DnsQuery> parse_dns_query(std::string_view message);

struct DnsRecord {
  std::string name = {};
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::string data = {};
};

// A record in an answer. A wildcard's is for the name that was asked for.
struct DnsEntry {
  std::string_view name;
  const DnsRecord* record;
};

// What a server has found.
struct DnsAnswer {
  DnsCode code = DnsCode::ok;
  bool is_authoritative = false;
  std::vector<DnsEntry> records = {};
  std::vector<DnsEntry> authority = {};   // the SOA, if there are none; who else has them
  std::vector<DnsEntry> additional = {};  // the addresses of these others
};

// The answer in at most `limit` bytes, at least 512. If not all records fit there are none, and the
// truncation bit tells the client to ask by TCP.
std::string make_dns_answer(const DnsQuery& query, const DnsAnswer& answer, std::size_t limit);

// Numbers in the order of the network.
void append_16(std::string& bytes, std::size_t number);
void append_32(std::string& bytes, std::uint32_t number);

}  // namespace examples

#endif  // EPORE_EXAMPLES_DNS_MESSAGE_H_
