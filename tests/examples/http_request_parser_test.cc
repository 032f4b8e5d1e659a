#include "examples/http_request_parser.h"

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
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
  const std::string start = "GET /1/x HTTP/1.1\r\nHost: h\r\nX: ";
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

TEST(HttpRequestParser, KeepsTheTimeThatTheClientKnows) {
  HttpRequestParser parser;
  const std::string_view text =
      "GET / HTTP/1.1\r\nHost: h\r\nIf-Modified-Sinces: no\r\nIF-Modified-Since: Sun, 06 Nov 1994 "
      "08:49:37 GMT\r\nIf-Modified: no\r\n\r\n";
  for (const char c : text) parser.feed({&c, 1});
  ASSERT_EQ(parser.state(), State::complete);
  EXPECT_EQ(parser.request().if_modified_since, "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_FALSE(parser.request().has_if_none_match);
  parser.next();
  parser.feed("GET / HTTP/1.1\r\nHost: h\r\nif-none-match: *\r\n\r\n");
  EXPECT_TRUE(parser.request().has_if_none_match);
  parser.next();
  parser.feed("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(parser.request().if_modified_since, "");
  EXPECT_FALSE(parser.request().has_if_none_match);
}

TEST(HttpRequestParser, TellsWhetherThereIsAHost) {
  HttpRequestParser parser;
  for (const char* without : {
           "GET /1/x HTTP/1.1\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nX-Host: h\r\n\r\n",
           "GET http://h/1/x HTTP/1.1\r\n\r\n",
           "POST /1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: h\r\n\r\n",
       }) {
    parser.feed(without);
    EXPECT_EQ(parser.state(), State::complete) << without;
    EXPECT_FALSE(parser.request().has_host) << without;
    parser.next();
    parser.feed("GET /1/x HTTP/1.1\r\nHOST: h\r\n\r\n");
    EXPECT_TRUE(parser.request().has_host);
    parser.next();
  }
}

TEST(HttpRequestParser, StopsAtTheEndOfARequest) {
  HttpRequestParser parser;
  const std::string first = "GET /1/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  const std::string second = "GET /2/b HTTP/1.1\r\nHost: h\r\n\r\n";
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
    const std::string text = "POST /1/x HTTP/1.1\r\nHost: h\r\n" + body;
    EXPECT_EQ(parser.feed(text + "GET"), text.size()) << text;
    EXPECT_EQ(parser.state(), State::complete) << text;
    EXPECT_EQ(parser.request().method, "POST");
  }
}

TEST(HttpRequestParser, BodiesAreNoLongerThanTheHeadMayBe) {
  HttpRequestParser parser;
  const std::string head = "POST /1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
  const std::string body(1'000'000, 'x');
  EXPECT_EQ(parser.feed(head + body), head.size() + body.size());
  EXPECT_EQ(parser.state(), State::complete);
}

// RFC 9110, 10.1.1.
TEST(HttpRequestParser, TellsWhoWaitsForContinue) {
  const std::string head = "POST /1/x HTTP/1.1\r\nHost: h\r\n";
  for (const std::string rest : {
           "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
           "EXPECT:  100-Continue \r\nContent-Length: 3\r\n\r\n",
           "Transfer-Encoding: chunked\r\nExpect: 100-continue, 100-continue\r\n\r\n",
           "Expect:\r\nExpect: 100-continue,\r\nContent-Length: 3\r\n\r\n",
       }) {
    HttpRequestParser parser;
    for (const char c : head + rest) {
      EXPECT_FALSE(parser.waits_for_continue()) << rest;
      parser.feed({&c, 1});
    }
    EXPECT_EQ(parser.state(), State::body) << rest;
    EXPECT_TRUE(parser.waits_for_continue()) << rest;
    parser.allow_body();
    EXPECT_FALSE(parser.waits_for_continue()) << rest;
    parser.next();
    parser.feed(head + "Content-Length: 3\r\n\r\n");
    EXPECT_FALSE(parser.waits_for_continue()) << "that was the request before";
  }
}

TEST(HttpRequestParser, WhoSendsTheBodyDoesNotWaitForContinue) {
  for (const char* text : {
           "POST /1/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\na",
           "POST /1/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
           "POST /1/x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
           "POST /1/x HTTP/1.1\r\nHost: h\r\nX-Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
       }) {
    HttpRequestParser parser;
    parser.feed(text);
    EXPECT_FALSE(parser.waits_for_continue()) << text;
    EXPECT_TRUE(parser.state() == State::body || parser.state() == State::complete) << text;
  }
}

TEST(HttpRequestParser, OtherExpectationsAreUnmet) {
  for (const char* expect : {"cake", "100-continue, cake", "100-continue;q=1", "100\r\nExpect: "}) {
    const std::string text =
        absl::StrCat("POST /1/x HTTP/1.1\r\nHost: h\r\nExpect: ", expect, "\r\n\r\n");
    EXPECT_EQ(state_after(text), State::unmet) << expect;
  }
}

TEST(HttpRequestParser, UpgradesAreDeclined) {
  HttpRequestParser parser;
  const std::string text =
      "GET /1/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: "
      "2\r\n\r\n"
      "ab";
  EXPECT_EQ(parser.feed(text + "GET"), text.size());
  EXPECT_EQ(parser.state(), State::complete);
  EXPECT_EQ(state_after("CONNECT host:80 HTTP/1.1\r\nHost: host:80\r\n\r\n"), State::complete);
}

TEST(HttpRequestParser, WhatIsNoHttpIsBad) {
  for (const char* text : {
           "hello\r\n\r\n",
           "\x16\x03\x01\x02",                  // TLS
           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",  // HTTP/2
           "GET /1/x HTTP/2.0\r\nHost: h\r\n\r\n",
           "GET /1/x\r\n\r\n",  // HTTP/0.9
           "GET /1/x FTP/1.1\r\nHost: h\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
           "GET /1/\xC3\xA9 HTTP/1.1\r\nHost: h\r\n\r\n",  // must be escaped, RFC 3986
           "GET /1/x HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: "
           "chunked\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
           "GET /1/x HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n",
           "GET /1/x HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n",
           "POST /1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
       }) {
    EXPECT_EQ(state_after(text), State::bad) << text;
  }
}

// What a proxy in front may take for another request than this parser does (RFC 9112, 11.2).
TEST(HttpRequestParser, WhatCouldSmuggleARequestIsBad) {
  for (const std::string_view rest : std::initializer_list<std::string_view>{
           "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
           "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
           "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
           "Content-Length: 1, 1\r\n\r\nx",
           "Content-Length: +1\r\n\r\nx",
           "Content-Length: -1\r\n\r\nx",
           "Content-Length: 0x1\r\n\r\nx",
           "Content-Length: 1 1\r\n\r\nx",
           "Content-Length:\r\n\r\n",
           "Content-Length: 18446744073709551616\r\n\r\n",
           "Content-Length\t: 1\r\n\r\nx",
           "X: a\r\n b\r\n\r\n",  // a folded line
           " X: a\r\n\r\n",
           "X: a\n\r\n",  // a bare LF
           "X: a\r\n\n",
           "X: a\rY: b\r\n\r\n",  // a bare CR
           "X: a\r\n\rGET /2/y HTTP/1.1\r\n\r\n",
           std::string_view("X: a\0b\r\n\r\n", 10),
           "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\n",
       }) {
    EXPECT_EQ(state_after(absl::StrCat("POST /1/x HTTP/1.1\r\nHost: h\r\n", rest)), State::bad)
        << rest;
  }
  for (const char* encoding : {"chunked", "gzip, chunked", "identity"}) {
    EXPECT_EQ(state_after(absl::StrCat("POST /1/x HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: ",
                                       encoding, "\r\n\r\n0\r\n\r\n")),
              State::bad)
        << encoding;
  }
  EXPECT_EQ(state_after("GET /1/x HTTP/1.1\nHost: h\n\n"), State::bad);
  EXPECT_EQ(state_after("GET /1/x\tHTTP/1.1\r\nHost: h\r\n\r\n"), State::bad);
}

TEST(HttpRequestParser, ABadStateStays) {
  HttpRequestParser parser;
  parser.feed("hello\r\n");
  EXPECT_EQ(parser.feed("GET /1/x HTTP/1.1\r\nHost: h\r\n\r\n"), 0u);
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

TEST(HttpRequestParser, WhatIsAroundTheDataOfChunksIsLimitedToo) {
  const std::string head = "POST /1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string half(9'000, 'x');
  EXPECT_EQ(state_after(head + "0\r\nX: " + half + "\r\n\r\n"), State::complete);
  EXPECT_EQ(state_after(head + "0\r\nX: " + half + "\r\nY: " + half), State::too_large);
  EXPECT_EQ(state_after(head + "1;" + half + "\r\nx\r\n1;a=" + half), State::too_large);
}

TEST(HttpRequestParser, EmptyLinesBeforeARequestAreSkippedButCount) {
  HttpRequestParser parser;
  parser.feed("\r\n\r\n");
  EXPECT_EQ(parser.state(), State::empty);
  parser.feed("GET /1/x HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(parser.state(), State::complete);
  EXPECT_EQ(state_after(std::string(20'000, '\n')), State::too_large);
}

}  // namespace
}  // namespace examples
