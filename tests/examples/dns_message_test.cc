// Queries and answers of examples/dns_server: what is malformed is refused, and harms nobody.

#include "examples/dns_message.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace examples {
namespace {

using std::string_literals::operator""s;
using std::string_view_literals::operator""sv;

// A header with these counts, of a query that wants recursion.
std::string header(std::size_t questions, std::size_t additional = 0, std::size_t flags = 0x0100) {
  std::string bytes = "\x12\x34";
  append_16(bytes, flags);
  append_16(bytes, questions);
  append_16(bytes, 0);
  append_16(bytes, 0);
  append_16(bytes, additional);
  return bytes;
}

std::string question(std::string_view name, std::uint16_t type = kDnsA,
                     std::uint16_t of_class = 1) {
  std::string bytes(name);
  append_16(bytes, type);
  append_16(bytes, of_class);
  return bytes;
}

std::string options(std::size_t udp_size, std::size_t version = 0) {
  std::string bytes(1, '\0');
  append_16(bytes, kDnsOpt);
  append_16(bytes, udp_size);
  append_32(bytes, static_cast<std::uint32_t>(version << 16));
  append_16(bytes, 0);
  return bytes;
}

constexpr std::string_view kName = "\3wWw\7example\3com\0"sv;
constexpr std::string_view kLower = "\3www\7example\3com\0"sv;

DnsCode code_of(const std::string& message) {
  const std::optional<DnsQuery> query = parse_dns_query(message);
  EXPECT_TRUE(query) << "no answer would be due";
  return query ? query->code : DnsCode::ok;
}

// Each points to the one before. A message has room for thousands of names that begin at the last.
TEST(DnsMessageTest, AChainOfPointersHasAnEnd) {
  const auto chain_of = [](std::size_t pointers) {
    std::string message = header(0) + '\0';
    std::size_t before = message.size() - 1;
    for (; pointers > 0; --pointers) {
      const std::size_t at = message.size();
      append_16(message, 0xC000 | before);
      before = at;
    }
    std::size_t offset = before;
    return read_dns_name(message, offset);
  };
  EXPECT_EQ(chain_of(127), "\0"s);
  EXPECT_EQ(chain_of(128), std::nullopt);
  EXPECT_EQ(chain_of(8000), std::nullopt);
}

TEST(DnsMessageTest, AQueryIsTakenApart) {
  const std::optional<DnsQuery> query =
      parse_dns_query(header(1, 1) + question(kName, kDnsMx) + options(4096));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->code, DnsCode::ok);
  EXPECT_EQ(query->id, 0x1234);
  EXPECT_TRUE(query->wants_recursion);
  EXPECT_EQ(query->name, kLower);
  EXPECT_EQ(query->question, question(kName, kDnsMx)) << "as it was asked";
  EXPECT_EQ(query->type, kDnsMx);
  EXPECT_TRUE(query->has_edns);
  EXPECT_EQ(query->udp_size, 1232u);
}

TEST(DnsMessageTest, WithoutEdnsADatagramHas512Bytes) {
  EXPECT_EQ(parse_dns_query(header(1) + question(kName))->udp_size, 512u);
  for (const auto& [said, is] :
       {std::pair(0, 512), {511, 512}, {512, 512}, {900, 900}, {65535, 1232}}) {
    const auto query =
        parse_dns_query(header(1, 1) + question(kName) + options(static_cast<std::size_t>(said)));
    EXPECT_EQ(query->udp_size, static_cast<std::size_t>(is)) << said;
  }
}

TEST(DnsMessageTest, NoAnswerIsDueToAnAnswerNorToWhatHasNoHeader) {
  EXPECT_FALSE(parse_dns_query(header(1, 0, 0x8100) + question(kName)));
  const std::string whole = header(1) + question(kName);
  for (std::size_t size = 0; size < 12; ++size) {
    EXPECT_FALSE(parse_dns_query(std::string_view(whole).substr(0, size))) << size;
  }
}

TEST(DnsMessageTest, EveryBeginningOfAQueryIsMalformed) {
  const std::string whole = header(1, 1) + question(kName) + options(1232);
  for (std::size_t size = 12; size < whole.size(); ++size) {
    EXPECT_EQ(code_of(whole.substr(0, size)), DnsCode::bad_format) << size;
  }
  EXPECT_EQ(code_of(whole), DnsCode::ok);
  EXPECT_EQ(code_of(whole + '\0'), DnsCode::bad_format) << "and so is one with more behind it";
}

TEST(DnsMessageTest, OnlyOneQuestionIsAnswered) {
  EXPECT_EQ(code_of(header(0)), DnsCode::bad_format);
  EXPECT_EQ(code_of(header(2) + question(kName) + question(kName)), DnsCode::bad_format);
  EXPECT_EQ(code_of(header(65535) + question(kName)), DnsCode::bad_format);
  EXPECT_EQ(code_of(header(1, 0, 0x0300) + question(kName)), DnsCode::bad_format) << "truncated";
  std::string with_answer = header(1) + question(kName);
  with_answer[7] = 1;
  EXPECT_EQ(code_of(with_answer), DnsCode::bad_format);
  EXPECT_EQ(code_of(header(1, 0, 0x2800) + question(kName)), DnsCode::not_implemented) << "update";
  EXPECT_EQ(code_of(header(1) + question(kName, kDnsA, 3)), DnsCode::refused) << "class CHAOS";
}

TEST(DnsMessageTest, EdnsIsOnceAtTheRootAndOfVersion0) {
  const std::string asked = header(1, 1) + question(kName);
  EXPECT_EQ(code_of(asked + options(1232, 1)), DnsCode::bad_version);
  EXPECT_EQ(code_of(header(1, 2) + question(kName) + options(1232) + options(1232)),
            DnsCode::bad_format);
  EXPECT_EQ(code_of(asked + "\1x" + options(1232)), DnsCode::bad_format);
  std::string longer = options(1232);
  longer[10] = 4;  // of data that is not there
  EXPECT_EQ(code_of(asked + longer), DnsCode::bad_format);
  EXPECT_EQ(code_of(asked + longer + "data"), DnsCode::ok);
  EXPECT_EQ(code_of(header(1, 65535) + question(kName) + options(1232)), DnsCode::bad_format);
}

TEST(DnsMessageTest, ANameEndsWithinTheMessageAndHasNoLoop) {
  struct Case {
    std::string_view why;
    std::string_view bytes;  // behind the header
    std::size_t offset;      // of the name, from there
    std::optional<std::string_view> name;
    std::size_t end = 0;
  };
  const Case cases[] = {
      {"the root", "\0"sv, 0, "\0"sv, 1},
      {"labels", "\1a\1b\0"sv, 0, "\1a\1b\0"sv, 5},
      {"a pointer back", "\1a\0\1b\xC0\x0C"sv, 3, "\1b\1a\0"sv, 7},
      {"two pointers", "\1a\0\1b\xC0\x0C\1c\xC0\x0F"sv, 7, "\1c\1b\1a\0"sv, 11},
      {"no end", "\1a"sv, 0, std::nullopt},
      {"a label beyond the end", "\5abc\0"sv, 0, std::nullopt},
      {"nothing", ""sv, 0, std::nullopt},
      {"half a pointer", "\1a\xC0"sv, 0, std::nullopt},
      {"a pointer to itself", "\xC0\x0C"sv, 0, std::nullopt},
      {"a pointer to its own label", "\1a\xC0\x0C"sv, 0, std::nullopt},
      {"two that point to each other", "\xC0\x0E\xC0\x0C"sv, 2, std::nullopt},
      {"a pointer forward", "\xC0\x0E\1a\0"sv, 0, std::nullopt},
      {"a pointer into the header", "\1a\xC0\x04"sv, 0, std::nullopt},
      {"a pointer beyond the end", "\xFF\xFF"sv, 0, std::nullopt},
      {"a kind of label that nobody knows",
       "\x41"
       "a\0"sv,
       0, std::nullopt},
      {"another one",
       "\x80"
       "a\0"sv,
       0, std::nullopt},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    const std::string message = header(1) + std::string(c.bytes);
    std::size_t offset = 12 + c.offset;
    const std::optional<std::string> name = read_dns_name(message, offset);
    ASSERT_EQ(name.has_value(), c.name.has_value());
    if (!name) continue;
    EXPECT_EQ(*name, *c.name);
    EXPECT_EQ(offset, 12 + c.end);
  }
}

TEST(DnsMessageTest, ANameHas255BytesAtMost) {
  std::string labels;
  for (int i = 0; i < 3; ++i) labels += '\x3F' + std::string(63, 'x');
  const std::string longest = labels + '\x3D' + std::string(61, 'x') + '\0';
  ASSERT_EQ(longest.size(), 255u);
  std::size_t offset = 12;
  EXPECT_EQ(read_dns_name(header(1) + longest, offset), longest);
  offset = 12;
  const std::string longer = labels + '\x3E' + std::string(62, 'x') + '\0';
  EXPECT_FALSE(read_dns_name(header(1) + longer, offset));
  // By pointers as well: each part is short.
  const std::string in_parts = labels + '\0' + '\x3F' + std::string(63, 'y') + "\xC0\x0C";
  offset = 12 + labels.size() + 1;
  EXPECT_FALSE(read_dns_name(header(1) + in_parts, offset));
}

TEST(DnsMessageTest, NamesInTextAreStrict) {
  EXPECT_EQ(parse_dns_name("www.Example.com."), kLower);
  EXPECT_EQ(parse_dns_name("www.example.com"), kLower);
  EXPECT_EQ(parse_dns_name("."), "\0"sv);
  EXPECT_FALSE(parse_dns_name(".."));
  EXPECT_FALSE(parse_dns_name("a..b"));
  EXPECT_FALSE(parse_dns_name(".a"));
  EXPECT_TRUE(parse_dns_name(std::string(63, 'x') + ".a"));
  EXPECT_FALSE(parse_dns_name(std::string(64, 'x') + ".a"));
  std::string text;
  for (int i = 0; i < 127; ++i) text += "a.";
  EXPECT_TRUE(parse_dns_name(text));
  EXPECT_FALSE(parse_dns_name(text + "a."));
}

TEST(DnsMessageTest, AnAnswerRepeatsTheQuestionAndPointsToIt) {
  const DnsQuery query = *parse_dns_query(header(1) + question(kName));
  const DnsRecord record = {
      .name = std::string(kLower), .type = kDnsA, .ttl = 300, .data = "\1\2\3\4"};
  const std::string answer =
      make_dns_answer(query, {.is_authoritative = true, .records = {{record.name, &record}}}, 512);
  EXPECT_EQ(answer, absl::StrCat("\x12\x34\x85\0\0\1\0\1\0\0\0\0"sv, question(kName),
                                 "\xC0\x0C\0\1\0\1\0\0\1\x2C\0\4\1\2\3\4"sv));
}

TEST(DnsMessageTest, AnAnswerHasThreeSections) {
  const DnsQuery query = *parse_dns_query(header(1, 1) + question(kName) + options(1232));
  const DnsRecord wild = {.name = "\1*\3com\0"s, .type = kDnsA, .ttl = 1, .data = "abcd"};
  const DnsRecord server = {.name = "\3com\0"s, .type = kDnsNs, .ttl = 2, .data = "\1n\0"s};
  const DnsRecord glue = {.name = "\1n\0"s, .type = kDnsA, .ttl = 3, .data = "efgh"};
  const std::string answer = make_dns_answer(query,
                                             {.records = {{query.name, &wild}},
                                              .authority = {{server.name, &server}},
                                              .additional = {{glue.name, &glue}}},
                                             512);
  EXPECT_EQ(answer,
            absl::StrCat("\x12\x34\x81\0\0\1\0\1\0\1\0\2"sv, question(kName),
                         "\xC0\x0C\0\1\0\1\0\0\0\1\0\4abcd"sv, "\3com\0\0\2\0\1\0\0\0\2\0\3\1n\0"sv,
                         "\1n\0\0\1\0\1\0\0\0\3\0\4efgh"sv, options(1232)));
}

TEST(DnsMessageTest, AnErrorHasItsCode) {
  const DnsQuery query = *parse_dns_query(header(1, 1) + question(kName) + options(1232, 1));
  const std::string answer = make_dns_answer(query, {.code = query.code}, query.udp_size);
  EXPECT_EQ(answer[3] & 0xF, 0) << "the low bits of BADVERS";
  EXPECT_EQ(answer.substr(answer.size() - 11), "\0\0\x29\x04\xD0\1\0\0\0\0\0"sv);
  const DnsQuery bad = *parse_dns_query(header(0));
  EXPECT_EQ(make_dns_answer(bad, {.code = bad.code}, 512), "\x12\x34\x81\1\0\0\0\0\0\0\0\0"sv);
}

TEST(DnsMessageTest, WhatDoesNotFitIsLeftAwayAndTheTruncationBitSaysSo) {
  const DnsQuery query = *parse_dns_query(header(1) + question(kName));
  std::vector<DnsRecord> all(
      40, {.name = std::string(kLower), .type = kDnsA, .ttl = 300, .data = "abcd"});
  const std::size_t empty = make_dns_answer(query, {}, 512).size();
  for (std::size_t count = 0; count <= all.size(); ++count) {
    std::vector<DnsEntry> records;
    for (std::size_t i = 0; i < count; ++i) records.push_back({all[i].name, &all[i]});
    const std::size_t whole = empty + count * 16;
    const std::string answer = make_dns_answer(query, {.records = records}, 512);
    const bool is_cut = (answer[2] & 2) != 0;
    EXPECT_EQ(is_cut, whole > 512) << count;
    EXPECT_EQ(answer.size(), is_cut ? empty : whole);
    EXPECT_EQ(answer[7], is_cut ? 0 : static_cast<char>(count));
    EXPECT_EQ(make_dns_answer(query, {.records = records}, 65535).size(), whole) << "by TCP";
  }
}

// Whatever comes, it is taken apart or refused; a sanitizer sees a read beyond the end.
TEST(DnsMessageTest, AnyBytesAreTakenApartOrRefused) {
  std::mt19937 random(1);
  const std::string whole = header(1, 1) + question(kName) + options(1232);
  for (int i = 0; i < 100'000; ++i) {
    std::string message = whole.substr(0, random() % (whole.size() + 1));
    for (unsigned k = random() % 4; k > 0 && !message.empty(); --k) {
      message[random() % message.size()] = static_cast<char>(random());
    }
    const std::string exact(message);  // without room behind it
    const std::optional<DnsQuery> query = parse_dns_query({exact.data(), exact.size()});
    if (!query) continue;
    EXPECT_LE(query->name.size(), 255u);
    EXPECT_LE(make_dns_answer(*query, {.code = query->code}, query->udp_size).size(), 512u);
  }
}

}  // namespace
}  // namespace examples
