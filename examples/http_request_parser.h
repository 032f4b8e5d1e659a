#ifndef EPORE_EXAMPLES_HTTP_REQUEST_PARSER_H_
#define EPORE_EXAMPLES_HTTP_REQUEST_PARSER_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "http_parser.h"

namespace examples {

// What a server needs of a request; a body is read over and dropped.
struct HttpRequest {
  std::string method;
  std::string target;
  bool is_http_1_0 = false;
  bool says_close = false;       // Connection: close
  bool says_keep_alive = false;  // Connection: keep-alive
};

// One HTTP/1.x request at a time, from bytes as they come; the parsing itself is http-parser's.
//
//   bytes.remove_prefix(parser.feed(bytes));
//   if (parser.state() == HttpRequestParser::State::complete) answer(parser.request());
//
// Bytes after the end of a request are left to the caller, for after next().
class HttpRequestParser {
 public:
  enum class State {
    empty,     // nothing of a request yet
    head,      // in its request line or headers
    body,      // head complete, body not
    complete,  // all there
    bad,       // no HTTP/1.x, or a framing that cannot be trusted
    too_large  // the head is over kMaxHead bytes
  };

  static constexpr std::size_t kMaxHead = 16 * 1024;

  HttpRequestParser() { next(); }
  HttpRequestParser(const HttpRequestParser&) = delete;  // the parser points back at this
  HttpRequestParser& operator=(const HttpRequestParser&) = delete;

  // Takes bytes up to the end of the request and returns how many: all of them, unless the state
  // becomes, or is, one of the last three.
  std::size_t feed(std::string_view bytes);

  State state() const { return state_; }
  const HttpRequest& request() const { return request_; }

  // Starts over with the next request.
  void next();

 private:
  static HttpRequestParser& self(http_parser* parser);
  static const http_parser_settings& callbacks();
  std::size_t execute(std::string_view bytes);
  int head_complete();

  http_parser parser_;
  State state_ = State::empty;
  std::size_t head_size_ = 0;
  HttpRequest request_;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_HTTP_REQUEST_PARSER_H_
