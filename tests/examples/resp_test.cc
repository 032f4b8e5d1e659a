#include "examples/resp.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace examples {
namespace {

using State = RespParser::State;
using Strings = std::vector<std::string>;

constexpr std::size_t kMax = 1000;

Strings arguments_of(const RespParser& parser) {
  return {parser.arguments().begin(), parser.arguments().end()};
}

// Of one whole request, and nothing behind it.
Strings parse(const std::string& bytes) {
  RespParser parser(kMax);
  EXPECT_EQ(parser.parse(bytes), State::complete) << bytes << parser.error();
  EXPECT_EQ(parser.size(), bytes.size()) << bytes;
  return arguments_of(parser);
}

std::string error_of(const std::string& bytes, std::size_t max_request = kMax) {
  RespParser parser(max_request);
  EXPECT_EQ(parser.parse(bytes), State::bad) << bytes;
  EXPECT_EQ(parser.parse(bytes), State::bad) << bytes;
  return parser.error();
}

TEST(RespParser, TakesArrays) {
  EXPECT_EQ(parse("*1\r\n$4\r\nPING\r\n"), Strings({"PING"}));
  EXPECT_EQ(parse("*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n"), Strings({"ECHO", "a\r\nb"}));
  EXPECT_EQ(parse("*2\r\n$3\r\nGET\r\n$0\r\n\r\n"), Strings({"GET", ""}));
  EXPECT_EQ(parse("*0\r\n"), Strings());
  EXPECT_EQ(parse("*-1\r\n"), Strings());
}

TEST(RespParser, TakesLines) {
  EXPECT_EQ(parse("PING\r\n"), Strings({"PING"}));
  EXPECT_EQ(parse("  set a\t b \n"), Strings({"set", "a", "b"}));
  EXPECT_EQ(parse("\r\n"), Strings());
  EXPECT_EQ(parse("set \"a b\\n\\x41\\\"\" 'c\"d' \"\"\r\n"),
            Strings({"set", "a b\nA\"", "c\"d", ""}));
}

TEST(RespParser, RefusesWhatRedisRefuses) {
  EXPECT_EQ(error_of("*x\r\n"), "invalid multibulk length");
  EXPECT_EQ(error_of("*9999999999999999999999\r\n"), "invalid multibulk length");
  EXPECT_EQ(error_of("*1000\r\n"), "invalid multibulk length");
  EXPECT_EQ(error_of("*1\r\nGET\r\n"), "expected '$', got 'G'");
  EXPECT_EQ(error_of("*1\r\n\r\n"), "expected '$', got '\\r'");
  EXPECT_EQ(error_of("*1\r\n$x\r\n"), "invalid bulk length");
  EXPECT_EQ(error_of("*1\r\n$-1\r\n"), "invalid bulk length");
  EXPECT_EQ(error_of("*1\r\n$1001\r\n"), "invalid bulk length");
  EXPECT_EQ(error_of("*2\r\n$3\r\nGET\r\n$990\r\n"), "too big request");
  EXPECT_EQ(error_of("get \"a\r\n"), "unbalanced quotes in request");
  EXPECT_EQ(error_of("get \"a\"b\r\n"), "unbalanced quotes in request");
  const std::string digits(RespParser::kMaxLine + 1, '1');
  EXPECT_EQ(error_of(digits), "too big inline request");
  EXPECT_EQ(error_of("*" + digits), "too big mbulk count string");
  EXPECT_EQ(error_of("*1\r\n$" + digits, 1 << 20), "too big bulk count string");
}

// However the bytes are cut, and wherever they lie.
TEST(RespParser, TakesRequestsInPieces) {
  const std::string requests =
      "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$12\r\nhello\r\nworld\r\nGET "
      "a\r\n\r\n*1\r\n$4\r\nPING\r\n*0\r\n";
  const std::vector<Strings> expected = {
      {"SET", "a", "hello\r\nworld"}, {"GET", "a"}, {}, {"PING"}, {}};
  for (std::size_t first = 1; first <= requests.size(); ++first) {
    for (std::size_t step = 1; step < 9; ++step) {
      RespParser parser(kMax);
      std::vector<Strings> got;
      std::string unread;
      std::size_t piece = first;
      for (std::size_t at = 0; at < requests.size(); at += piece, piece = step) {
        std::string more = unread + requests.substr(at, piece == step || at == 0 ? piece : step);
        unread.swap(more);  // the bytes move
        while (parser.parse(unread) == State::complete) {
          got.push_back(arguments_of(parser));
          unread.erase(0, parser.size());
        }
        EXPECT_GT(parser.wanted(), unread.size());
      }
      EXPECT_EQ(got, expected) << first << " " << step;
      EXPECT_EQ(unread, "");
    }
  }
}

TEST(RespParser, SaysHowMuchItWants) {
  RespParser parser(kMax);
  EXPECT_EQ(parser.parse(""), State::incomplete);
  EXPECT_EQ(parser.wanted(), 1);
  EXPECT_EQ(parser.parse("*1\r\n$100\r\nabc"), State::incomplete);
  EXPECT_EQ(parser.wanted(), 4 + 6 + 100 + 2);
}

// Nothing that a peer sends does harm, and what is taken is what was given.
TEST(RespParser, TakesAnything) {
  constexpr std::string_view kBytes = "*$12-09 \r\n\r\n\"'\\xaG";
  std::minstd_rand random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (std::size_t size = random() % 40; bytes.size() < size;) {
      bytes += random() % 8 == 0 ? static_cast<char>(random()) : kBytes[random() % kBytes.size()];
    }
    RespParser parser(kMax);
    std::string_view rest = bytes;
    while (!rest.empty() && parser.parse(rest) == State::complete) {
      ASSERT_GT(parser.size(), 0u);
      ASSERT_LE(parser.size(), rest.size());
      rest.remove_prefix(parser.size());
    }
  }
}

TEST(Resp, ParsesIntegersAsRedisDoes) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("-12"), -12);
  EXPECT_EQ(parse_integer("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  for (const char* bad : {"", "-", "+1", " 1", "1 ", "01", "-0", "1.5", "9223372036854775808"}) {
    EXPECT_EQ(parse_integer(bad), std::nullopt) << bad;
  }
}

// An idle client keeps no memory of a long request.
TEST(Resp, KeepsLittleOfALongRequest) {
  RespParser parser(1 << 20);
  std::string array = "*10000\r\n";
  for (int i = 0; i < 10000; ++i) array += "$1\r\na\r\n";
  for (const std::string& request : {array, std::string(60'000, 'a') + " b\n"}) {
    ASSERT_EQ(parser.parse(request), RespParser::State::complete);
    EXPECT_EQ(parser.parse(""), RespParser::State::incomplete);
    EXPECT_LT(parser.arguments().capacity(), 1000u);
  }
}

TEST(Resp, AMatchGivesUpAfterSomeSteps) {
  const std::string name(1000, 'a');
  std::size_t steps = 100'000;
  EXPECT_FALSE(matches("*" + std::string(500, 'a') + "b", name, steps));
  EXPECT_EQ(steps, 0u);
  steps = 100'000;
  EXPECT_FALSE(matches("*[" + std::string(500, 'x') + "]", name, steps));
  EXPECT_EQ(steps, 0u);
  steps = 100'000;
  EXPECT_TRUE(matches("*a*b", name + "b", steps));
  EXPECT_GT(steps, 90'000u);
  steps = 1000;  // a star at the end takes the rest at once
  EXPECT_TRUE(matches("aa*", name, steps));
  EXPECT_GT(steps, 990u);
}

TEST(Resp, MatchesPatterns) {
  for (const char* pattern : {"hello", "h?llo", "h*o", "*", "**", "h[ae]llo", "h[^b]llo",
                              "h[a-f]llo", "h[f-a]llo", "\\hello", "*l*", "hello*", "h[e"}) {
    EXPECT_EQ(matches(pattern, "hello"), std::string(pattern) != "h[e") << pattern;
  }
  for (const char* pattern :
       {"", "hell", "hello?", "h[^e]llo", "h[x-z]llo", "h\\?llo", "*x*", "[", "\\"}) {
    EXPECT_FALSE(matches(pattern, "hello")) << pattern;
  }
  EXPECT_TRUE(matches("", ""));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("h\\*llo", "h*llo"));
}

// It would take ages if each star were tried with each other.
TEST(Resp, MatchesManyStars) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*a";
  EXPECT_FALSE(matches(pattern + "b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace examples
