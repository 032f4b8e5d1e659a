#include "examples/http_request_parser.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "llhttp.h"

namespace examples {
namespace {

constexpr std::string_view kHost = "host";
constexpr std::string_view kIfModifiedSince = "if-modified-since";
constexpr std::string_view kIfNoneMatch = "if-none-match";
constexpr std::string_view kExpect = "expect";
constexpr std::size_t kLongestName = kIfModifiedSince.size();

}  // namespace

void HttpRequestParser::next() {
  llhttp_init(&parser_, HTTP_REQUEST, &callbacks());
  parser_.data = this;
  state_ = State::empty;
  head_size_ = 0;
  around_body_ = 0;
  name_.clear();
  field_ = Field::other;
  hosts_ = 0;
  expect_.clear();
  waits_for_continue_ = false;
  expects_more_ = false;
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
  const llhttp_errno_t error = llhttp_execute(&parser_, bytes.data(), bytes.size());
  if (error == HPE_OK) return bytes.size();
  // Paused by us at the end of the request, or an error: that of a callback has its state already.
  if (state_ < State::complete) state_ = State::bad;
  return static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - bytes.data());
}

int HttpRequestParser::head_complete() {
  // Upgrades are declined by not taking them up (RFC 9110, 7.8), and CONNECT by its answer.
  parser_.upgrade = 0;
  if (parser_.http_major != 1) return -1;
  const bool is_http_1_0 = parser_.http_minor == 0;
  // A proxy of HTTP/1.0 in front may take the encoding for no framing (RFC 9112, 6.1).
  if (is_http_1_0 && (parser_.flags & F_TRANSFER_ENCODING) != 0) return -1;
  if (hosts_ > 1) return -1;                     // RFC 9112, 3.2
  if (is_http_1_0) waits_for_continue_ = false;  // it does not know that (RFC 9110, 10.1.1)
  if (expects_more_) {
    state_ = State::unmet;
    return -1;
  }
  request_.has_host = hosts_ == 1;
  request_.method = llhttp_method_name(static_cast<llhttp_method_t>(parser_.method));
  request_.is_http_1_0 = is_http_1_0;
  request_.says_close = (parser_.flags & F_CONNECTION_CLOSE) != 0;
  request_.says_keep_alive = (parser_.flags & F_CONNECTION_KEEP_ALIVE) != 0;
  state_ = State::body;
  return 0;
}

int HttpRequestParser::header_field(std::string_view part) {
  if (name_.size() <= kLongestName) name_ += part;
  return count_around_body(part.size());
}

void HttpRequestParser::header_field_complete() {
  field_ = Field::other;
  if (state_ == State::head) {  // and not in a trailer
    if (absl::EqualsIgnoreCase(name_, kHost)) field_ = Field::host;
    if (absl::EqualsIgnoreCase(name_, kIfModifiedSince)) field_ = Field::if_modified_since;
    if (absl::EqualsIgnoreCase(name_, kIfNoneMatch)) field_ = Field::if_none_match;
    if (absl::EqualsIgnoreCase(name_, kExpect)) field_ = Field::expect;
  }
  if (field_ == Field::host) ++hosts_;
  if (field_ == Field::if_none_match) request_.has_if_none_match = true;
  name_.clear();
}

int HttpRequestParser::header_value(std::string_view part) {
  if (field_ == Field::if_modified_since) request_.if_modified_since += part;
  if (field_ == Field::expect) expect_ += part;
  return count_around_body(part.size());
}

// A list of expectations, and the header may come several times.
void HttpRequestParser::header_value_complete() {
  if (field_ != Field::expect) return;
  for (std::string_view one : absl::StrSplit(expect_, ',')) {
    one = absl::StripAsciiWhitespace(one);
    if (one.empty()) continue;
    (absl::EqualsIgnoreCase(one, "100-continue") ? waits_for_continue_ : expects_more_) = true;
  }
  expect_.clear();
}

// The library has no limit of its own.
int HttpRequestParser::count_around_body(std::size_t size) {
  if (state_ != State::body) return 0;  // the head is counted by feed()
  around_body_ += size;
  if (around_body_ <= kMaxHead) return 0;
  state_ = State::too_large;
  return HPE_USER;
}

HttpRequestParser& HttpRequestParser::self(llhttp_t* parser) {
  return *static_cast<HttpRequestParser*>(parser->data);
}

const llhttp_settings_t& HttpRequestParser::callbacks() {
  static const llhttp_settings_t kCallbacks = [] {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_message_begin = [](llhttp_t* p) {
      self(p).state_ = State::head;
      return 0;
    };
    settings.on_url = [](llhttp_t* p, const char* part, std::size_t size) {
      self(p).request_.target.append(part, size);
      return 0;
    };
    settings.on_headers_complete = [](llhttp_t* p) { return self(p).head_complete(); };
    settings.on_header_field = [](llhttp_t* p, const char* part, std::size_t size) {
      return self(p).header_field({part, size});
    };
    settings.on_header_field_complete = [](llhttp_t* p) {
      self(p).header_field_complete();
      return 0;
    };
    settings.on_header_value = [](llhttp_t* p, const char* part, std::size_t size) {
      return self(p).header_value({part, size});
    };
    settings.on_header_value_complete = [](llhttp_t* p) {
      self(p).header_value_complete();
      return 0;
    };
    settings.on_body = [](llhttp_t* p, const char*, std::size_t) {
      self(p).allow_body();  // it does not wait
      return 0;
    };
    const llhttp_data_cb count = [](llhttp_t* p, const char*, std::size_t size) {
      return self(p).count_around_body(size);
    };
    settings.on_chunk_extension_name = count;
    settings.on_chunk_extension_value = count;
    settings.on_message_complete = [](llhttp_t* p) -> int {
      self(p).state_ = State::complete;
      return HPE_PAUSED;
    };
    return settings;
  }();
  return kCallbacks;
}

}  // namespace examples
