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
  while (!is_complete_) {
    const llhttp_errno_t error = llhttp_execute(&parser_, bytes.data(), bytes.size());
    if (error == HPE_OK) return true;
    if (error != HPE_PAUSED) return is_complete_;
    // Behind a response, an interim one or the last.
    bytes.remove_prefix(static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - bytes.data()));
    if (!is_complete_) llhttp_resume(&parser_);
  }
  return true;
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
      // Interim responses come before the one that was asked for (RFC 9110, 15.2).
      const bool is_interim = p->status_code / 100 == 1 && p->status_code != 101;
      self(p).is_complete_ = !is_interim;
      if (is_interim) self(p).body_.clear();
      return HPE_PAUSED;
    };
    return settings;
  }();
  return kCallbacks;
}

}  // namespace examples
