#include "examples/text.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace examples {
namespace {

constexpr std::string_view kR = "\xEF\xBF\xBD";  // U+FFFD

std::string replacements(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += kR;
  return text;
}

TEST(PercentDecode, DecodesOnce) {
  EXPECT_EQ(percent_decode("a%20b"), "a b");
  EXPECT_EQ(percent_decode("%2F"), "/");
  EXPECT_EQ(percent_decode("%2f%3F"), "/?");
  EXPECT_EQ(percent_decode("%2520"), "%20");
  EXPECT_EQ(percent_decode("%C3%A9"), "\xC3\xA9");
  EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
}

TEST(PercentDecode, LeavesPlusAlone) { EXPECT_EQ(percent_decode("a+b"), "a+b"); }

TEST(PercentDecode, LeavesBadEscapesAlone) {
  for (const char* text : {"%", "%2", "%zz", "%2z", "%z2", "100%", "%%", "%-1", "% 1", "%+1"}) {
    EXPECT_EQ(percent_decode(text), text);
  }
  EXPECT_EQ(percent_decode("%%20"), "% ");
  EXPECT_EQ(percent_decode("%2%20"), "%2 ");
}

TEST(ReplaceInvalidUtf8, LeavesValidTextAlone) {
  for (const char* text : {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xC2\x80",
                           "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(replace_invalid_utf8(text), text);
  }
  const std::string zero("a\0b", 3);
  EXPECT_EQ(replace_invalid_utf8(zero), zero);
}

TEST(ReplaceInvalidUtf8, ReplacesEachMaximalPart) {
  EXPECT_EQ(replace_invalid_utf8("a\xFFz"), "a" + replacements(1) + "z");
  EXPECT_EQ(replace_invalid_utf8("\x80"), replacements(1));  // continuation alone
  EXPECT_EQ(replace_invalid_utf8("\xC3"), replacements(1));  // cut off
  EXPECT_EQ(replace_invalid_utf8("\xC3z"), replacements(1) + "z");
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98"), replacements(1));  // cut off, one part
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98z"), replacements(1) + "z");
  EXPECT_EQ(replace_invalid_utf8("\xC0\xAF"), replacements(2));          // overlong '/'
  EXPECT_EQ(replace_invalid_utf8("\xE0\x80\x80"), replacements(3));      // overlong
  EXPECT_EQ(replace_invalid_utf8("\xF0\x80\x80\x80"), replacements(4));  // overlong
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), replacements(3));      // a surrogate
  EXPECT_EQ(replace_invalid_utf8("\xF4\x90\x80\x80"), replacements(4));  // above U+10FFFF
  EXPECT_EQ(replace_invalid_utf8("\xF5\x80"), replacements(2));
}

TEST(OnOneLine, EscapesControlCharacters) {
  EXPECT_EQ(on_one_line("a\nb\tc\rd\x1b[0m\x7f"), "a\\nb\\tc\\x0dd\\x1b[0m\\x7f");
  EXPECT_EQ(on_one_line("caf\xC3\xA9 \\n"), "caf\xC3\xA9 \\n");
  EXPECT_EQ(on_one_line("\xC2\x9B\x32J\xC2\x80\xC2\xA0\xC2"), "\\u009b2J\\u0080\xC2\xA0\xC2");
}

}  // namespace
}  // namespace examples
