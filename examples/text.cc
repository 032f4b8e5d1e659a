#include "examples/text.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace examples {
namespace {

// The length of the UTF-8 sequence at the start of `bytes`; if there is none, minus the number of
// bytes that one replacement stands for.
int sequence_length(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;  // a continuation, an overlong form, above U+10FFFF
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

  // The second byte has less room after four leads: overlong forms, surrogates, above U+10FFFF.
  const unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (int i = 1; i < length; ++i) {
    if (static_cast<std::size_t>(i) == bytes.size()) return -i;
    const unsigned char next = byte(i);
    if (next < (i == 1 ? lowest : 0x80) || next > (i == 1 ? highest : 0xBF)) return -i;
  }
  return length;
}

// Whether U+0080 to U+009F begins here. Terminals take U+009B for the start of an escape sequence.
bool is_c1(std::string_view text) {
  return text.size() > 1 && text[0] == '\xC2' && static_cast<unsigned char>(text[1]) >= 0x80 &&
         static_cast<unsigned char>(text[1]) < 0xA0;
}

}  // namespace

std::string percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string byte;
    if (text[i] == '%' && text.size() - i > 2 &&
        absl::HexStringToBytes(text.substr(i + 1, 2), &byte)) {
      decoded += byte;
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string valid;
  valid.reserve(bytes.size());
  while (!bytes.empty()) {
    const int length = sequence_length(bytes);
    const std::size_t taken = static_cast<std::size_t>(length > 0 ? length : -length);
    valid += length > 0 ? bytes.substr(0, taken) : std::string_view("\xEF\xBF\xBD");
    bytes.remove_prefix(taken);
  }
  return valid;
}

std::string on_one_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_c1(text.substr(i))) {
      absl::StrAppend(&line, "\\u00", absl::Hex(static_cast<unsigned char>(text[++i])));
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppend(&line, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace examples
