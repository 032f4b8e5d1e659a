#include "examples/dns_zone.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace examples {
namespace {

// A loop of aliases ends here.
constexpr int kMostAliases = 8;

constexpr std::string_view kWildcard = "\1*";  // the first label

absl::Status bad(std::string_view what, std::string_view word) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": \"", word, "\""));
}

// The words of a line, those in quotes without them.
absl::StatusOr<std::vector<std::string>> split(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty() && line[0] != ';') {
    if (line[0] == ' ' || line[0] == '\t' || line[0] == '\r') {
      line.remove_prefix(1);
    } else if (line[0] == '"') {
      const std::size_t end = line.find('"', 1);
      if (end == line.npos) return bad("no closing quote", line);
      words.emplace_back(line.substr(1, end - 1));
      line.remove_prefix(end + 1);
    } else {
      const std::size_t end = std::min(line.find_first_of(" \t\r;\""), line.size());
      words.emplace_back(line.substr(0, end));
      line.remove_prefix(end);
    }
  }
  return words;
}

absl::StatusOr<std::uint32_t> parse_number(const std::string& word, std::uint32_t most) {
  std::uint32_t number = 0;
  if (!absl::SimpleAtoi(word, &number) || number > most) {
    return bad(absl::StrCat("not a number up to ", most), word);
  }
  return number;
}

absl::Status append_name(std::string& data, const std::string& word) {
  const std::optional<std::string> name = parse_dns_name(word);
  if (!name) return bad("not a name", word);
  data += *name;
  return absl::OkStatus();
}

absl::Status append_address(std::string& data, int family, const std::string& word) {
  in6_addr address = {};  // has room for both
  if (::inet_pton(family, word.c_str(), &address) != 1) return bad("not an address", word);
  data.append(reinterpret_cast<const char*>(&address), family == AF_INET ? 4 : 16);
  return absl::OkStatus();
}

absl::Status append_text(std::string& data, const std::string& word) {
  if (word.size() > 255) return bad("a text of more than 255 bytes", word);
  data += static_cast<char>(word.size());
  data += word;
  return absl::OkStatus();
}

// The type, and in the form of a message what is behind it.
absl::Status parse_data(std::span<const std::string> words, DnsRecord& record) {
  constexpr std::uint32_t kMost = std::numeric_limits<std::int32_t>::max();
  struct Form {
    std::string_view name;
    DnsType type;
    std::string_view fields;  // n: a name, 4 and 6: an address, s: 16 bits, l: 32 bits, t: texts
  };
  static constexpr Form kForms[] = {
      {"A", kDnsA, "4"},        {"AAAA", kDnsAaaa, "6"}, {"CNAME", kDnsCname, "n"},
      {"MX", kDnsMx, "sn"},     {"NS", kDnsNs, "n"},     {"SOA", kDnsSoa, "nnlllll"},
      {"SRV", kDnsSrv, "sssn"}, {"TXT", kDnsTxt, "t"},
  };
  const Form* form = kForms;
  while (form != std::end(kForms) && form->name != words[0]) ++form;
  if (form == std::end(kForms)) return bad("an unknown type", words[0]);
  record.type = form->type;
  const std::span<const std::string> values = words.subspan(1);
  const bool is_list = form->fields == "t";
  if (is_list ? values.empty() : values.size() != form->fields.size()) {
    return bad(absl::StrCat(values.size(), " values are not those of the type"), words[0]);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    absl::Status status;
    switch (form->fields[is_list ? 0 : i]) {
      case 'n':
        status = append_name(record.data, values[i]);
        break;
      case '4':
        status = append_address(record.data, AF_INET, values[i]);
        break;
      case '6':
        status = append_address(record.data, AF_INET6, values[i]);
        break;
      case 't':
        status = append_text(record.data, values[i]);
        break;
      case 's': {
        const absl::StatusOr<std::uint32_t> number = parse_number(values[i], 0xFFFF);
        if (number.ok()) append_16(record.data, *number);
        status = number.status();
        break;
      }
      case 'l': {
        const absl::StatusOr<std::uint32_t> number = parse_number(values[i], kMost);
        if (number.ok()) append_32(record.data, *number);
        status = number.status();
        break;
      }
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// "www.example.com." becomes "example.com."; the root has no parent.
std::string_view parent(std::string_view name) {
  return name.substr(static_cast<unsigned char>(name[0]) + std::size_t{1});
}

}  // namespace

absl::StatusOr<DnsZone> DnsZone::parse(std::string_view text) {
  DnsZone zone;
  std::size_t number = 0;
  for (std::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (absl::Status added = zone.add(line); !added.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", added.message()));
    }
  }
  if (zone.size_ == 0) return absl::InvalidArgumentError("there is no record");
  return zone;
}

absl::Status DnsZone::add(std::string_view line) {
  const absl::StatusOr<std::vector<std::string>> words = split(line);
  if (!words.ok()) return words.status();
  if (words->empty()) return absl::OkStatus();
  if (words->size() < 3) return bad("not NAME TTL TYPE DATA", line);
  const std::optional<std::string> name = parse_dns_name((*words)[0]);
  if (!name) return bad("not a name", (*words)[0]);
  const absl::StatusOr<std::uint32_t> ttl =
      parse_number((*words)[1], std::numeric_limits<std::int32_t>::max());
  if (!ttl.ok()) return ttl.status();
  DnsRecord record = {.name = *name, .ttl = *ttl};
  if (absl::Status data = parse_data(std::span(*words).subspan(2), record); !data.ok()) return data;
  if ((record.type == kDnsSoa) != (size_ == 0)) return bad("the SOA is the first record", line);
  if (size_ == 0) origin_ = *name;
  if (!is_inside(*name)) return bad("outside of the zone", (*words)[0]);
  if (record.type == kDnsNs && absl::StartsWith(*name, kWildcard)) {
    return bad("a wildcard cannot be delegated", (*words)[0]);
  }
  Records& records = names_[*name];
  for (const DnsRecord& other : records) {
    if (other.type == kDnsCname || record.type == kDnsCname) {
      return bad("an alias (CNAME) stands alone", (*words)[0]);
    }
  }
  records.push_back(std::move(record));
  ++size_;
  for (std::string_view up = *name; up != origin_;) {
    up = parent(up);
    names_.try_emplace(std::string(up));
  }
  return absl::OkStatus();
}

bool DnsZone::is_inside(std::string_view name) const {
  while (name.size() > origin_.size()) name = parent(name);
  return name == origin_;
}

// The records of the name that is delegated with `name`: itself or one above it, the highest one.
const DnsZone::Records* DnsZone::find_delegation(std::string_view name) const {
  const Records* delegation = nullptr;
  for (; name != origin_; name = parent(name)) {
    const auto at = names_.find(name);
    if (at == names_.end()) continue;
    for (const DnsRecord& record : at->second) {
      if (record.type == kDnsNs) delegation = &at->second;
    }
  }
  return delegation;
}

// The records of a name, or of the wildcard that stands for it: the one below the lowest name above
// it that is there. Null: there is no such name.
const DnsZone::Records* DnsZone::find_records(std::string_view name) const {
  auto at = names_.find(name);
  if (at != names_.end()) return &at->second;
  while (at == names_.end()) at = names_.find(name = parent(name));  // up to the origin
  at = names_.find(absl::StrCat(kWildcard, name));
  return at != names_.end() ? &at->second : nullptr;
}

// The SOA, beside no records: for how long that holds (RFC 2308).
void DnsZone::add_start(DnsAnswer& answer) const {
  const DnsRecord& start = names_.find(origin_)->second[0];
  answer.authority.push_back({start.name, &start});
}

// Who has what is delegated, and their addresses.
void DnsZone::refer(const Records& delegation, DnsAnswer& answer) const {
  for (const DnsRecord& server : delegation) {
    if (server.type != kDnsNs) continue;
    answer.authority.push_back({server.name, &server});
    const auto at = names_.find(server.data);
    if (at == names_.end()) continue;
    for (const DnsRecord& glue : at->second) {
      if (glue.type == kDnsA || glue.type == kDnsAaaa)
        answer.additional.push_back({glue.name, &glue});
    }
  }
}

DnsAnswer DnsZone::find(std::string_view name, std::uint16_t type) const {
  DnsAnswer answer;
  if (!is_inside(name)) {
    answer.code = DnsCode::refused;
    return answer;
  }
  for (int aliases = 0; aliases <= kMostAliases; ++aliases) {
    // An alias that was found is the zone's own, and so is the answer then (RFC 1035, 4.1.1).
    answer.is_authoritative = true;
    if (const Records* const delegation = find_delegation(name); delegation != nullptr) {
      answer.is_authoritative = aliases != 0;
      refer(*delegation, answer);
      return answer;
    }
    const Records* const records = find_records(name);
    if (records == nullptr) {
      answer.code = DnsCode::no_such_name;
      add_start(answer);
      return answer;
    }
    // To ANY one type is an answer (RFC 8482): all would be much for a forged address.
    const DnsRecord* alias = nullptr;
    const std::size_t before = answer.records.size();
    for (const DnsRecord& record : *records) {
      const bool is_first = answer.records.size() == before;
      const bool is_any =
          type == kDnsAny && (is_first || record.type == answer.records.back().record->type);
      if (record.type == type || is_any) {
        answer.records.push_back({name, &record});
      } else if (record.type == kDnsCname) {
        alias = &record;
      }
    }
    if (alias == nullptr) {
      if (answer.records.size() == before) add_start(answer);
      return answer;
    }
    answer.records.push_back({name, alias});
    if (!is_inside(alias->data)) return answer;
    name = alias->data;
  }
  return answer;
}

}  // namespace examples
