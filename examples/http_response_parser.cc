#include "examples/http_response_parser.h"

#include <cstddef>
#include <string_view>

#include "http_parser.h"

namespace examples {

HttpResponseParser::HttpResponseParser() {
  http_parser_init(&parser_, HTTP_RESPONSE);
  parser_.data = this;
  http_parser_settings_init(&callbacks_);
  callbacks_.on_body = [](http_parser* p, const char* part, std::size_t size) {
    static_cast<HttpResponseParser*>(p->data)->body_.append(part, size);
    return 0;
  };
  callbacks_.on_message_complete = [](http_parser* p) {
    static_cast<HttpResponseParser*>(p->data)->is_complete_ = true;
    http_parser_pause(p, 1);
    return 0;
  };
}

bool HttpResponseParser::feed(std::string_view bytes) {
  if (is_complete_ || bytes.empty()) return true;  // no bytes would mean the end to http-parser
  http_parser_execute(&parser_, &callbacks_, bytes.data(), bytes.size());
  return is_complete_ || HTTP_PARSER_ERRNO(&parser_) == HPE_OK;
}

void HttpResponseParser::end() {
  if (!is_complete_) http_parser_execute(&parser_, &callbacks_, nullptr, 0);
}

}  // namespace examples
