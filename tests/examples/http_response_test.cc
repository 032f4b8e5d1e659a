#include "examples/http_response.h"

#include <string>

#include "absl/time/time.h"
#include "examples/http_response_parser.h"
#include "gtest/gtest.h"

namespace examples {
namespace {

const absl::Time kTime = absl::FromUnixSeconds(784111777);  // the example of RFC 9110, 5.6.7

TEST(HttpDate, IsAnImfFixdate) {
  EXPECT_EQ(http_date(kTime), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(absl::UnixEpoch()), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(HttpResponseHead, HasItsHeadersInOrderAndInLowerCase) {
  EXPECT_EQ(http_response_head(200, 5, ConnectionHeader::close, kTime),
            "HTTP/1.1 200 OK\r\n"
            "content-length: 5\r\n"
            "connection: close\r\n"
            "content-type: text/plain; charset=utf-8\r\n"
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
}

TEST(HttpResponseHead, SaysNothingOfTheConnectionUnlessAsked) {
  EXPECT_EQ(http_response_head(404, 0, ConnectionHeader::none, kTime),
            "HTTP/1.1 404 Not Found\r\n"
            "content-length: 0\r\n"
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
}

TEST(HttpResponseHead, EchoesKeepAlive) {
  EXPECT_EQ(http_response_head(431, 0, ConnectionHeader::keep_alive, kTime),
            "HTTP/1.1 431 Request Header Fields Too Large\r\n"
            "content-length: 0\r\n"
            "connection: keep-alive\r\n"
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
}

TEST(HttpResponseParser, ReadsWhatTheHeadAnnounces) {
  HttpResponseParser parser;
  const std::string text = http_response_head(200, 5, ConnectionHeader::none, kTime) + "hello";
  for (const char c : text) {
    EXPECT_FALSE(parser.is_complete());
    EXPECT_TRUE(parser.feed({&c, 1}));
  }
  ASSERT_TRUE(parser.is_complete());
  EXPECT_EQ(parser.status(), 200);
  EXPECT_EQ(parser.body(), "hello");
  EXPECT_TRUE(parser.feed("more"));
  EXPECT_EQ(parser.body(), "hello");
}

TEST(HttpResponseParser, ABodyMayBeTakenInPieces) {
  HttpResponseParser parser;
  EXPECT_TRUE(parser.feed("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"));
  EXPECT_EQ(parser.take_body(), "hel");
  EXPECT_EQ(parser.body(), "");
  EXPECT_TRUE(parser.feed("lo"));
  EXPECT_TRUE(parser.is_complete());
  EXPECT_EQ(parser.take_body(), "lo");
}

TEST(HttpResponseParser, AnswersThatAreCutShortAreNotComplete) {
  HttpResponseParser parser;
  EXPECT_TRUE(parser.feed("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell"));
  parser.end();
  EXPECT_FALSE(parser.is_complete());
}

TEST(HttpResponseParser, TheEndEndsAnAnswerWithoutALength) {
  HttpResponseParser parser;
  EXPECT_TRUE(parser.feed("HTTP/1.0 200 OK\r\n\r\nhello"));
  EXPECT_FALSE(parser.is_complete());
  parser.end();
  EXPECT_TRUE(parser.is_complete());
  EXPECT_EQ(parser.body(), "hello");
}

TEST(HttpResponseParser, InterimResponsesAreReadOver) {
  const std::string interim =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
  const std::string last = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
  for (const std::size_t step : {1u, 7u, 1000u}) {
    HttpResponseParser parser;
    EXPECT_TRUE(parser.feed(interim));
    EXPECT_FALSE(parser.is_complete());
    HttpResponseParser other;
    const std::string text = interim + last;
    for (std::size_t at = 0; at < text.size(); at += step) {
      EXPECT_FALSE(other.is_complete());
      EXPECT_TRUE(other.feed(text.substr(at, step)));
    }
    ASSERT_TRUE(other.is_complete()) << step;
    EXPECT_EQ(other.status(), 200);
    EXPECT_EQ(other.body(), "hello");
  }
  HttpResponseParser cut;
  EXPECT_TRUE(cut.feed(interim));
  cut.end();
  EXPECT_FALSE(cut.is_complete());
  HttpResponseParser switched;
  EXPECT_TRUE(switched.feed("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nx"));
  EXPECT_TRUE(switched.is_complete());
  EXPECT_EQ(switched.status(), 101);
}

TEST(HttpResponseParser, OtherProtocolsAreRefused) {
  HttpResponseParser parser;
  EXPECT_FALSE(parser.feed("220 mail.example.org ESMTP\r\n"));
}

}  // namespace
}  // namespace examples
