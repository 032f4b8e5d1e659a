#include "examples/dns_message.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"

namespace examples {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestLabel = 63;

// A name has no more labels than that, so no more pointers lead to some.
constexpr int kMostPointers = 127;

constexpr std::uint16_t kInternet = 1;
constexpr std::uint16_t kAnyClass = 255;

// More than this is cut into fragments somewhere, which get lost (DNS flag day 2020).
constexpr std::size_t kLargestDatagram = 1232;

std::size_t byte_at(std::string_view bytes, std::size_t offset) {
  return static_cast<unsigned char>(bytes[offset]);
}

std::uint16_t number_at(std::string_view bytes, std::size_t offset) {
  return static_cast<std::uint16_t>(byte_at(bytes, offset) << 8 | byte_at(bytes, offset + 1));
}

// What may stand behind the question of a query: EDNS, and what only others understand.
DnsCode read_additional(std::string_view message, std::size_t& offset, DnsQuery& query) {
  const std::optional<std::string> name = read_dns_name(message, offset);
  if (!name || message.size() - offset < 10) return DnsCode::bad_format;
  const std::uint16_t type = number_at(message, offset);
  const std::uint16_t udp_size = number_at(message, offset + 2);
  const std::size_t version = byte_at(message, offset + 5);
  const std::size_t data_size = number_at(message, offset + 8);
  offset += 10;
  if (message.size() - offset < data_size) return DnsCode::bad_format;
  offset += data_size;
  if (type != kDnsOpt) return DnsCode::ok;
  if (query.has_edns || name->size() != 1) return DnsCode::bad_format;
  query.has_edns = true;
  query.udp_size = std::clamp<std::size_t>(udp_size, 512, kLargestDatagram);
  return version == 0 ? DnsCode::ok : DnsCode::bad_version;
}

// Everything behind the header.
DnsCode read_body(std::string_view message, DnsQuery& query) {
  if (query.opcode != 0) return DnsCode::not_implemented;
  const bool is_truncated = (byte_at(message, 2) & 2) != 0;
  const bool has_answers = number_at(message, 6) != 0 || number_at(message, 8) != 0;
  if (is_truncated || has_answers || number_at(message, 4) != 1) return DnsCode::bad_format;
  std::size_t offset = kHeader;
  const std::optional<std::string> name = read_dns_name(message, offset);
  if (!name || message.size() - offset < 4) return DnsCode::bad_format;
  query.name = dns_lower_case(*name);
  query.type = number_at(message, offset);
  const std::uint16_t of_class = number_at(message, offset + 2);
  offset += 4;
  query.question = message.substr(kHeader, offset - kHeader);
  DnsCode code = DnsCode::ok;
  for (std::size_t left = number_at(message, 10); left > 0 && code == DnsCode::ok; --left) {
    code = read_additional(message, offset, query);
  }
  if (code != DnsCode::ok) return code;
  if (offset != message.size()) return DnsCode::bad_format;
  return of_class == kInternet || of_class == kAnyClass ? DnsCode::ok : DnsCode::refused;
}

void append_records(std::string& bytes, const std::vector<DnsEntry>& records,
                    const DnsQuery& query) {
  for (const auto& [name, record] : records) {
    if (name == query.name) {
      append_16(bytes, 0xC000 | kHeader);  // a pointer to the question
    } else {
      bytes += name;
    }
    append_16(bytes, record->type);
    append_16(bytes, kInternet);
    append_32(bytes, record->ttl);
    append_16(bytes, record->data.size());
    bytes += record->data;
  }
}

}  // namespace

void append_16(std::string& bytes, std::size_t number) {
  bytes += static_cast<char>(number >> 8 & 0xFF);
  bytes += static_cast<char>(number & 0xFF);
}

void append_32(std::string& bytes, std::uint32_t number) {
  append_16(bytes, number >> 16);
  append_16(bytes, number & 0xFFFF);
}

std::optional<std::string> read_dns_name(std::string_view message, std::size_t& offset) {
  std::string name;
  std::size_t at = offset;
  std::size_t begin = at;  // of the labels that are being read
  int pointers = 0;
  while (at < message.size()) {
    const std::size_t length = byte_at(message, at);
    if (length > kLongestLabel) {
      if (length < 0xC0 || message.size() - at < 2) return std::nullopt;
      if (pointers == 0) offset = at + 2;
      if (++pointers > kMostPointers) return std::nullopt;
      at = number_at(message, at) & 0x3FFF;
      if (at < kHeader || at >= begin) return std::nullopt;
      begin = at;
      continue;
    }
    if (message.size() - at < length + 1 || name.size() + length + 1 > kLongestName) break;
    name += message.substr(at, length + 1);
    at += length + 1;
    if (length != 0) continue;
    if (pointers == 0) offset = at;
    return name;
  }
  return std::nullopt;
}

std::optional<std::string> parse_dns_name(std::string_view text) {
  std::string name;
  if (text == ".") text = "";
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('.'), text.size());
    if (length == 0 || length > kLongestLabel) return std::nullopt;
    name += static_cast<char>(length);
    name += text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  name += '\0';
  if (name.size() > kLongestName) return std::nullopt;
  return dns_lower_case(name);
}

// The length of a label is less than any letter.
std::string dns_lower_case(std::string_view name) { return absl::AsciiStrToLower(name); }

std::optional<DnsQuery> parse_dns_query(std::string_view message) {
  if (message.size() < kHeader) return std::nullopt;
  const std::size_t flags = byte_at(message, 2);
  if ((flags & 0x80) != 0) return std::nullopt;  // else two servers might go on for ever
  DnsQuery query;
  query.id = number_at(message, 0);
  query.opcode = static_cast<std::uint8_t>(flags >> 3 & 0xF);
  query.wants_recursion = (flags & 1) != 0;
  query.code = read_body(message, query);
  return query;
}

std::string make_dns_answer(const DnsQuery& query, const DnsAnswer& answer, std::size_t limit) {
  const std::size_t code = static_cast<std::size_t>(answer.code);
  std::string options;
  if (query.has_edns) {
    options += '\0';
    append_16(options, kDnsOpt);
    append_16(options, kLargestDatagram);
    append_32(options, static_cast<std::uint32_t>(code >> 4 << 24));  // the rest of the code
    append_16(options, 0);
  }
  std::string records;
  append_records(records, answer.records, query);
  append_records(records, answer.authority, query);
  append_records(records, answer.additional, query);
  const std::size_t size = kHeader + query.question.size() + records.size() + options.size();
  const bool is_cut = size > limit;
  std::string bytes;
  append_16(bytes, query.id);
  append_16(bytes, std::size_t{0x8000} | static_cast<std::size_t>(query.opcode) << 11 |
                       (answer.is_authoritative ? 0x0400 : 0) | (is_cut ? 0x0200 : 0) |
                       (query.wants_recursion ? 0x0100 : 0) | (code & 0xF));
  append_16(bytes, query.question.empty() ? 0 : 1);
  append_16(bytes, is_cut ? 0 : answer.records.size());
  append_16(bytes, is_cut ? 0 : answer.authority.size());
  append_16(bytes, (is_cut ? 0 : answer.additional.size()) + (query.has_edns ? 1 : 0));
  bytes += query.question;
  if (!is_cut) bytes += records;
  return bytes + options;
}

}  // namespace examples
