#ifndef EPORE_EXAMPLES_HTTP_RESPONSE_PARSER_H_
#define EPORE_EXAMPLES_HTTP_RESPONSE_PARSER_H_

#include <string>
#include <string_view>
#include <utility>

#include "llhttp.h"

namespace examples {

// The one response that a client waits for, from bytes as they come. Interim ones before it, such
// as 103 Early Hints, are read over.
class HttpResponseParser {
 public:
  HttpResponseParser();
  HttpResponseParser(const HttpResponseParser&) = delete;  // the parser points back at this
  HttpResponseParser& operator=(const HttpResponseParser&) = delete;

  // False: this is no HTTP response. Bytes after its end are ignored.
  bool feed(std::string_view bytes);

  // The peer has sent everything, which ends a response that names no length.
  void end();

  bool is_complete() const { return is_complete_; }
  int status() const { return parser_.status_code; }
  const std::string& body() const { return body_; }

  // Takes what has come of the body since the last call; body() begins anew behind it. For bodies
  // that shall not be in memory as a whole.
  std::string take_body() { return std::exchange(body_, {}); }

 private:
  static HttpResponseParser& self(llhttp_t* parser);
  static const llhttp_settings_t& callbacks();

  llhttp_t parser_;
  std::string body_;
  bool is_complete_ = false;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_HTTP_RESPONSE_PARSER_H_
