// HTTP requests and responses: however their bytes are cut, they are the same.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "examples/http_request_parser.h"
#include "examples/http_response_parser.h"
#include "tests/fuzz/fuzz_target.h"

namespace epore {

std::vector<std::string> fuzz_seeds() {
  return {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /a?b HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: "
          "a\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: "
          "b\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
          "chunked\r\n\r\n0\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade, close\r\n\r\nxx",
          "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
          "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n A: b\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
          "HTTP/1.0 404 Not Found\r\n\r\nuntil the end",
          "GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: x\r\nIf-None-Match: y\r\n\r\n",
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"};
}

}  // namespace epore

namespace {

using examples::HttpRequestParser;
using examples::HttpResponseParser;

struct Requests {
  std::vector<std::string> all;  // what is known of each
  HttpRequestParser::State last{};
  bool operator==(const Requests&) const = default;
};

Requests read_requests(std::string_view bytes, std::size_t step) {
  HttpRequestParser parser;
  Requests read;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string piece(bytes.substr(at, step));
    const std::size_t taken = parser.feed(piece);
    CHECK_LE(taken, piece.size());
    at += taken;
    if (parser.state() == HttpRequestParser::State::complete) {
      CHECK_GT(taken, 0u);
      const examples::HttpRequest& request = parser.request();
      read.all.push_back(request.method + ' ' + request.target + ' ' +
                         std::to_string(request.is_http_1_0) + std::to_string(request.says_close) +
                         std::to_string(request.says_keep_alive) +
                         std::to_string(request.has_if_none_match) + request.if_modified_since);
      parser.next();
    } else if (parser.state() > HttpRequestParser::State::complete) {
      break;
    } else {
      CHECK_EQ(taken, piece.size());
    }
  }
  read.last = parser.state();
  return read;
}

std::string read_response(std::string_view bytes, std::size_t step) {
  HttpResponseParser parser;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::string piece(bytes.substr(at, step));
    if (!parser.feed(piece)) return "bad";
  }
  parser.end();
  if (!parser.is_complete()) return "incomplete";
  return std::to_string(parser.status()) + ' ' + parser.body();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t all = std::max<std::size_t>(size, 1);
  const Requests requests = read_requests(bytes, all);
  CHECK(read_requests(bytes, 1) == requests);
  CHECK(read_requests(bytes, 7) == requests);
  const std::string response = read_response(bytes, all);
  CHECK_EQ(read_response(bytes, 1), response);
  CHECK_EQ(read_response(bytes, 7), response);
  return 0;
}
