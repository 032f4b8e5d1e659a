#include "examples/resp.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace examples {
namespace {

constexpr std::size_t kSmallestBulk = 6;  // "$0\r\n\r\n"

// What a client that asks nothing keeps at most: the rest of a long request's memory goes.
constexpr std::size_t kKeptArguments = 64;
constexpr std::size_t kKeptLine = 1024;

}  // namespace

RespParser::State RespParser::parse(std::string_view bytes) {
  if (state_ == State::complete) {  // the next request begins
    at_ = searched_ = 0;
    missing_ = bulk_size_ = -1;
    pieces_.clear();
    arguments_.clear();
    // An assignment may keep it.
    if (pieces_.capacity() > kKeptArguments) std::vector<Piece>().swap(pieces_);
    if (arguments_.capacity() > kKeptArguments) std::vector<std::string_view>().swap(arguments_);
    if (unquoted_.capacity() > kKeptLine) std::string().swap(unquoted_);
  }
  if (state_ == State::bad) return state_;
  if (bytes.empty()) return want(1);
  return state_ = bytes[0] == '*' ? parse_array(bytes) : parse_inline(bytes);
}

RespParser::State RespParser::want(std::size_t size) {
  wanted_ = size;
  return state_ = State::incomplete;
}

RespParser::State RespParser::refuse(std::string error) {
  error_ = std::move(error);
  return state_ = State::bad;
}

// The line that begins at at_, without "\r\n"; none if its end is not there.
std::optional<std::string_view> RespParser::take_line(std::string_view bytes) {
  const std::size_t end = bytes.find('\r', std::max(at_, searched_));
  if (end == bytes.npos || end + 1 == bytes.size()) {
    searched_ = std::min(end, bytes.size());
    return std::nullopt;
  }
  const std::string_view line = bytes.substr(at_, end - at_);
  at_ = end + 2;
  return line;
}

RespParser::State RespParser::parse_array(std::string_view bytes) {
  if (missing_ < 0) {
    const std::optional<std::string_view> head = take_line(bytes);
    if (!head && bytes.size() > kMaxLine) return refuse("too big mbulk count string");
    if (!head) return want(bytes.size() + 1);
    const std::optional<std::int64_t> count = parse_integer(head->substr(1));
    const auto most = static_cast<std::int64_t>(max_request_ / kSmallestBulk);
    if (!count || *count > most) return refuse("invalid multibulk length");
    missing_ = std::max<std::int64_t>(*count, 0);
  }
  while (missing_ > 0) {
    if (bulk_size_ < 0) {
      const std::size_t begin = at_;
      const std::optional<std::string_view> head = take_line(bytes);
      if (!head && bytes.size() - begin > kMaxLine) return refuse("too big bulk count string");
      if (!head) return want(bytes.size() + 1);
      if (head->empty() || (*head)[0] != '$') {
        const char got = bytes[begin];
        return refuse(absl::StrCat("expected '$', got '",
                                   absl::ascii_isprint(static_cast<unsigned char>(got))
                                       ? std::string(1, got)
                                       : absl::CHexEscape({&got, 1}),
                                   "'"));
      }
      const std::optional<std::int64_t> size = parse_integer(head->substr(1));
      if (!size || *size < 0 || *size > static_cast<std::int64_t>(max_request_)) {
        return refuse("invalid bulk length");
      }
      bulk_size_ = *size;
    }
    const auto size = static_cast<std::size_t>(bulk_size_);
    const std::size_t end = at_ + size + 2;
    if (end > max_request_) return refuse("too big request");
    if (bytes.size() < end) return want(end);
    pieces_.push_back({.at = at_, .size = size});
    at_ = end;
    bulk_size_ = -1;
    --missing_;
  }
  for (const Piece& piece : pieces_) arguments_.push_back(bytes.substr(piece.at, piece.size));
  return State::complete;
}

RespParser::State RespParser::parse_inline(std::string_view bytes) {
  const std::size_t end = bytes.find('\n', searched_);
  if (std::min(end, bytes.size()) > kMaxLine) return refuse("too big inline request");
  if (end == bytes.npos) {
    searched_ = bytes.size();
    return want(bytes.size() + 1);
  }
  at_ = end + 1;
  std::string_view line = bytes.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!split(line)) return refuse("unbalanced quotes in request");
  for (const Piece& piece : pieces_) {
    arguments_.push_back(std::string_view(unquoted_).substr(piece.at, piece.size));
  }
  return State::complete;
}

// Words, "text with \"escapes\" \x00" and 'text'. False: a quote does not end, or something but a
// space follows it.
bool RespParser::split(std::string_view line) {
  unquoted_.clear();
  std::size_t i = 0;
  const auto is_space = [&] { return absl::ascii_isspace(static_cast<unsigned char>(line[i])); };
  while (true) {
    while (i < line.size() && is_space()) ++i;
    if (i == line.size()) return true;
    const std::size_t begin = unquoted_.size();
    while (i < line.size() && !is_space()) {
      if (line[i] != '"' && line[i] != '\'') {
        unquoted_ += line[i++];
        continue;
      }
      const char quote = line[i++];
      const std::size_t text = i;
      while (i < line.size() && line[i] != quote) i += line[i] == '\\' ? 2 : 1;
      if (i >= line.size()) return false;
      const std::string_view quoted = line.substr(text, i++ - text);
      std::string plain(quoted);
      if (quote == '"' && !absl::CUnescape(quoted, &plain)) return false;
      unquoted_ += plain;
      if (i < line.size() && !is_space()) return false;
    }
    pieces_.push_back({.at = begin, .size = unquoted_.size() - begin});
  }
}

void add_simple(std::string& out, std::string_view text) {
  absl::StrAppend(&out, "+", text, "\r\n");
}

void add_error(std::string& out, std::string_view text) {
  absl::StrAppend(&out, "-", text, "\r\n");
}

void add_integer(std::string& out, std::int64_t number) {
  absl::StrAppend(&out, ":", number, "\r\n");
}

void add_bulk(std::string& out, std::string_view bytes) {
  absl::StrAppend(&out, "$", bytes.size(), "\r\n", bytes, "\r\n");
}

void add_nil(std::string& out) { out += "$-1\r\n"; }

void add_array(std::string& out, std::size_t size) { absl::StrAppend(&out, "*", size, "\r\n"); }

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.starts_with('0') && text != "0") return std::nullopt;
  return number;
}

namespace {

// Whether the first element of a pattern, which is not empty and no "*", matches a character.
// `size` becomes the element's size.
bool matches_one(std::string_view pattern, char c, std::size_t& size) {
  size = 1;
  if (pattern[0] == '?') return true;
  if (pattern[0] == '\\' && pattern.size() > 1) {
    size = 2;
    return pattern[1] == c;
  }
  if (pattern[0] != '[') return pattern[0] == c;
  const bool is_negated = pattern.substr(1).starts_with('^');
  if (is_negated) ++size;
  bool is_in = false;
  for (; size < pattern.size() && pattern[size] != ']'; ++size) {
    if (pattern[size] == '\\' && size + 1 < pattern.size()) ++size;
    const char low = pattern[size];
    char high = low;
    if (pattern.size() - size > 2 && pattern[size + 1] == '-') {
      size += 2;
      high = pattern[size];
    }
    is_in |= std::min(low, high) <= c && c <= std::max(low, high);
  }
  size = std::min(size + 1, pattern.size());
  return is_in != is_negated;
}

}  // namespace

bool matches(std::string_view pattern, std::string_view name) {
  std::size_t steps = std::numeric_limits<std::size_t>::max();
  return matches(pattern, name, steps);
}

bool matches(std::string_view pattern, std::string_view name, std::size_t& steps) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = pattern.npos;  // behind the last one, which takes the name up to `taken`
  std::size_t taken = 0;
  while (steps > 0) {
    --steps;
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      if (star == pattern.size()) return true;
      taken = n;
      continue;
    }
    std::size_t size = 0;
    if (n == name.size() && p == pattern.size()) return true;
    const bool is_match =
        n < name.size() && p < pattern.size() && matches_one(pattern.substr(p), name[n], size);
    steps -= std::min(steps, size);
    if (is_match) {
      p += size;
      ++n;
      continue;
    }
    if (star == pattern.npos || taken >= name.size()) return false;
    p = star;
    n = ++taken;
  }
  return false;
}

}  // namespace examples
