#include "examples/http_response_parser.h"

#include <cstddef>
#include <string_view>

#include "llhttp.h"

namespace examples {

HttpResponseParser::HttpResponseParser() {
  llhttp_init(&parser_, HTTP_RESPONSE, &callbacks());
  parser_.data = this;
}

bool HttpResponseParser::feed(std::string_view bytes) {
  if (is_complete_) return true;
  return llhttp_execute(&parser_, bytes.data(), bytes.size()) == HPE_OK || is_complete_;
}

void HttpResponseParser::end() {
  if (!is_complete_) llhttp_finish(&parser_);
}

HttpResponseParser& HttpResponseParser::self(llhttp_t* parser) {
  return *static_cast<HttpResponseParser*>(parser->data);
}

const llhttp_settings_t& HttpResponseParser::callbacks() {
  static const llhttp_settings_t kCallbacks = [] {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_body = [](llhttp_t* p, const char* part, std::size_t size) {
      self(p).body_.append(part, size);
      return 0;
    };
    settings.on_message_complete = [](llhttp_t* p) -> int {
      self(p).is_complete_ = true;
      return HPE_PAUSED;
    };
    return settings;
  }();
  return kCallbacks;
}

}  // namespace examples
