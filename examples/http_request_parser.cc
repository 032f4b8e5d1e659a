#include "examples/http_request_parser.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "http_parser.h"

namespace examples {

void HttpRequestParser::next() {
  http_parser_init(&parser_, HTTP_REQUEST);
  parser_.data = this;
  state_ = State::empty;
  head_size_ = 0;
  request_ = HttpRequest();
}

std::size_t HttpRequestParser::feed(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ < State::complete) {
    std::string_view rest = bytes.substr(taken);
    if (state_ != State::body) {
      // Not one byte more than the limit is looked at before the head is complete.
      rest = rest.substr(0, std::min(rest.size(), kMaxHead - head_size_));
      head_size_ += rest.size();
      if (rest.empty()) {
        state_ = State::too_large;
        break;
      }
    }
    taken += execute(rest);
  }
  return taken;
}

std::size_t HttpRequestParser::execute(std::string_view bytes) {
  const std::size_t taken = http_parser_execute(&parser_, &callbacks(), bytes.data(), bytes.size());
  switch (HTTP_PARSER_ERRNO(&parser_)) {
    case HPE_OK:
    case HPE_PAUSED:  // by us, at the end of the request
      break;
    case HPE_HEADER_OVERFLOW:  // of a chunked body's trailers: the library's own limit
      state_ = State::too_large;
      break;
    default:
      state_ = State::bad;
  }
  return taken;
}

int HttpRequestParser::head_complete() {
  // Upgrades are declined by not taking them up (RFC 9110, 7.8), and CONNECT by its answer.
  parser_.upgrade = 0;
  if (parser_.http_major != 1) return -1;
  request_.method = http_method_str(static_cast<http_method>(parser_.method));
  request_.is_http_1_0 = parser_.http_minor == 0;
  request_.says_close = (parser_.flags & F_CONNECTION_CLOSE) != 0;
  request_.says_keep_alive = (parser_.flags & F_CONNECTION_KEEP_ALIVE) != 0;
  state_ = State::body;
  return 0;
}

HttpRequestParser& HttpRequestParser::self(http_parser* parser) {
  return *static_cast<HttpRequestParser*>(parser->data);
}

const http_parser_settings& HttpRequestParser::callbacks() {
  static const http_parser_settings kCallbacks = [] {
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    settings.on_message_begin = [](http_parser* p) {
      self(p).state_ = State::head;
      return 0;
    };
    settings.on_url = [](http_parser* p, const char* part, std::size_t size) {
      self(p).request_.target.append(part, size);
      return 0;
    };
    settings.on_headers_complete = [](http_parser* p) { return self(p).head_complete(); };
    settings.on_message_complete = [](http_parser* p) {
      self(p).state_ = State::complete;
      http_parser_pause(p, 1);
      return 0;
    };
    return settings;
  }();
  return kCallbacks;
}

}  // namespace examples
