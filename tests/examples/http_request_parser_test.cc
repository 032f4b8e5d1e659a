#include "examples/http_request_parser.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace examples {
namespace {

using State = HttpRequestParser::State;

State state_after(std::string_view bytes) {
  HttpRequestParser parser;
  parser.feed(bytes);
  return parser.state();
}

// A complete request whose head has exactly `size` bytes.
std::string head_of(std::size_t size) {
  const std::string start = "GET /1/x HTTP/1.1\r\nX: ";
  return start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n";
}

TEST(HttpRequestParser, ReadsARequest) {
  HttpRequestParser parser;
  const std::string_view text = "GET /1/x?y HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(parser.state(), State::empty);
  EXPECT_EQ(parser.feed(text), text.size());
  ASSERT_EQ(parser.state(), State::complete);
  EXPECT_EQ(parser.request().method, "GET");
  EXPECT_EQ(parser.request().target, "/1/x?y");
  EXPECT_FALSE(parser.request().is_http_1_0);
  EXPECT_FALSE(parser.request().says_close);
  EXPECT_FALSE(parser.request().says_keep_alive);
}

TEST(HttpRequestParser, ReadsByteByByte) {
  HttpRequestParser parser;
  const std::string_view text =
      "POST /1/a%20b HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_EQ(parser.state(), i == 0                ? State::empty
                              : i < text.size() - 3 ? State::head
                                                    : State::body)
        << i;
    EXPECT_EQ(parser.feed(text.substr(i, 1)), 1u);
  }
  ASSERT_EQ(parser.state(), State::complete);
  EXPECT_EQ(parser.request().method, "POST");
  EXPECT_EQ(parser.request().target, "/1/a%20b");
  EXPECT_TRUE(parser.request().is_http_1_0);
  EXPECT_TRUE(parser.request().says_keep_alive);
}

TEST(HttpRequestParser, StopsAtTheEndOfARequest) {
  HttpRequestParser parser;
  const std::string first = "GET /1/a HTTP/1.1\r\nConnection: close\r\n\r\n";
  const std::string second = "GET /2/b HTTP/1.1\r\n\r\n";
  const std::string both = first + second;
  EXPECT_EQ(parser.feed(both), first.size());
  EXPECT_EQ(parser.request().target, "/1/a");
  EXPECT_TRUE(parser.request().says_close);
  EXPECT_EQ(parser.feed(second), 0u);

  parser.next();
  EXPECT_EQ(parser.state(), State::empty);
  EXPECT_EQ(parser.feed(second), second.size());
  ASSERT_EQ(parser.state(), State::complete);
  EXPECT_EQ(parser.request().target, "/2/b");
  EXPECT_FALSE(parser.request().says_close);
}

TEST(HttpRequestParser, BodiesAreReadOver) {
  for (const std::string body :
       {"Content-Length: 21\r\n\r\nGET /9/z HTTP/1.1\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n15\r\nGET /9/z HTTP/1.1\r\n\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTrailer: 1\r\n\r\n"}) {
    HttpRequestParser parser;
    const std::string text = "POST /1/x HTTP/1.1\r\n" + body;
    EXPECT_EQ(parser.feed(text + "GET"), text.size()) << text;
    EXPECT_EQ(parser.state(), State::complete) << text;
    EXPECT_EQ(parser.request().method, "POST");
  }
}

TEST(HttpRequestParser, BodiesAreNoLongerThanTheHeadMayBe) {
  HttpRequestParser parser;
  const std::string head = "POST /1/x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
  const std::string body(1'000'000, 'x');
  EXPECT_EQ(parser.feed(head + body), head.size() + body.size());
  EXPECT_EQ(parser.state(), State::complete);
}

TEST(HttpRequestParser, UpgradesAreDeclined) {
  HttpRequestParser parser;
  const std::string text =
      "GET /1/x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab";
  EXPECT_EQ(parser.feed(text + "GET"), text.size());
  EXPECT_EQ(parser.state(), State::complete);
  EXPECT_EQ(state_after("CONNECT host:80 HTTP/1.1\r\n\r\n"), State::complete);
}

TEST(HttpRequestParser, WhatIsNoHttpIsBad) {
  for (const char* text : {
           "hello\r\n\r\n",
           "\x16\x03\x01\x02",                  // TLS
           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",  // HTTP/2
           "GET /1/x HTTP/2.0\r\n\r\n",
           "GET /1/x\r\n\r\n",  // HTTP/0.9
           "GET /1/x FTP/1.1\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nno colon\r\n\r\n",
           "GET /1/\xC3\xA9 HTTP/1.1\r\n\r\n",  // must be escaped, RFC 3986
           "GET /1/x HTTP/1.1\r\nContent-Length : 5\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nContent-Length: x\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
           "POST /1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
       }) {
    EXPECT_EQ(state_after(text), State::bad) << text;
  }
}

TEST(HttpRequestParser, ABadStateStays) {
  HttpRequestParser parser;
  parser.feed("hello\r\n");
  EXPECT_EQ(parser.feed("GET /1/x HTTP/1.1\r\n\r\n"), 0u);
  EXPECT_EQ(parser.state(), State::bad);
}

TEST(HttpRequestParser, HeadsUpTo16KiBAreTaken) {
  EXPECT_EQ(state_after(head_of(16 * 1024)), State::complete);
  EXPECT_EQ(state_after(head_of(16 * 1024 + 1)), State::too_large);
  EXPECT_EQ(state_after("GET /" + std::string(16 * 1024, 'x')), State::too_large);
}

TEST(HttpRequestParser, LargeHeadsInPiecesAreFound) {
  HttpRequestParser parser;
  const std::string text = head_of(20'000);
  std::size_t fed = 0;
  while (parser.state() != State::too_large && fed < text.size()) {
    fed += parser.feed(std::string_view(text).substr(fed, 1000));
  }
  EXPECT_EQ(parser.state(), State::too_large);
  EXPECT_EQ(fed, HttpRequestParser::kMaxHead);
}

TEST(HttpRequestParser, EmptyLinesBeforeARequestAreSkippedButCount) {
  HttpRequestParser parser;
  parser.feed("\r\n\r\n");
  EXPECT_EQ(parser.state(), State::empty);
  parser.feed("GET /1/x HTTP/1.1\r\n\r\n");
  EXPECT_EQ(parser.state(), State::complete);
  EXPECT_EQ(state_after(std::string(20'000, '\n')), State::too_large);
}

}  // namespace
}  // namespace examples
