#ifndef EPORE_EXAMPLES_HTTP_REQUEST_PARSER_H_
#define EPORE_EXAMPLES_HTTP_REQUEST_PARSER_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "llhttp.h"

namespace examples {

// Lets a client go on that waits with its body: HttpRequestParser::waits_for_continue().
inline constexpr std::string_view kHttpContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// What a server needs of a request; a body is read over and dropped.
struct HttpRequest {
  std::string method;
  std::string target;
  std::string if_modified_since;  // the value of this header
  bool has_if_none_match = false;
  bool has_host = false;
  bool is_http_1_0 = false;
  bool says_close = false;       // Connection: close
  bool says_keep_alive = false;  // Connection: keep-alive
};

// One HTTP/1.x request at a time, from bytes as they come; the parsing itself is llhttp's, at its
// strictest: what two parsers could read as two different requests is bad.
//
//   bytes.remove_prefix(parser.feed(bytes));
//   if (parser.state() == HttpRequestParser::State::complete) answer(parser.request());
//
// Bytes after the end of a request are left to the caller, for after next().
class HttpRequestParser {
 public:
  enum class State {
    empty,      // nothing of a request yet
    head,       // in its request line or headers
    body,       // head complete, body not
    complete,   // all there
    bad,        // no HTTP/1.x, for two hosts, or a framing that cannot be trusted
    too_large,  // the head is over kMaxHead bytes, or what a chunked body has around its data
    unmet       // it expects something that nobody here knows: 417 (RFC 9110, 10.1.1)
  };

  static constexpr std::size_t kMaxHead = 16 * 1024;

  HttpRequestParser() { next(); }
  HttpRequestParser(const HttpRequestParser&) = delete;  // the parser points back at this
  HttpRequestParser& operator=(const HttpRequestParser&) = delete;

  // Takes bytes up to the end of the request and returns how many: all of them, unless the state
  // becomes, or is, one of the last four.
  std::size_t feed(std::string_view bytes);

  State state() const { return state_; }
  const HttpRequest& request() const { return request_; }

  // Whether the client waits with the body until it is told to go on (Expect: 100-continue). It is
  // told kHttpContinue, and then allow_body() is called. If the answer is known already, it is
  // given instead, with a close behind it: the body may come or not (RFC 9110, 10.1.1).
  bool waits_for_continue() const { return state_ == State::body && waits_for_continue_; }
  void allow_body() { waits_for_continue_ = false; }

  // Starts over with the next request.
  void next();

 private:
  enum class Field { other, host, if_modified_since, if_none_match, expect };

  static HttpRequestParser& self(llhttp_t* parser);
  static const llhttp_settings_t& callbacks();
  std::size_t execute(std::string_view bytes);
  int head_complete();
  int header_field(std::string_view part);
  void header_field_complete();
  int header_value(std::string_view part);
  void header_value_complete();
  int count_around_body(std::size_t size);

  llhttp_t parser_;
  State state_ = State::empty;
  std::size_t head_size_ = 0;
  std::size_t around_body_ = 0;  // bytes of chunk extensions and trailers
  std::string name_;             // of the header, as far as it may be one that is wanted
  Field field_ = Field::other;
  int hosts_ = 0;
  std::string expect_;  // the value of this header, as far as it is there
  bool waits_for_continue_ = false;
  bool expects_more_ = false;  // than 100-continue
  HttpRequest request_;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_HTTP_REQUEST_PARSER_H_
