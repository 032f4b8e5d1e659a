#include "examples/delay_route.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "examples/text.h"

namespace examples {
namespace {

// The path of "/path?query" and of "http://host/path"; empty for "*" and the like.
std::string_view path_of(std::string_view target) {
  if (const auto scheme_end = target.find("://"); scheme_end < target.find_first_of("/?#")) {
    target.remove_prefix(scheme_end + 3);
    target.remove_prefix(std::min(target.find_first_of("/?#"), target.size()));
  }
  if (target.empty() || target.front() != '/') return {};
  return target.substr(0, target.find_first_of("?#"));
}

std::string decode(std::string_view segment) {
  return replace_invalid_utf8(percent_decode(segment));
}

std::optional<std::uint64_t> parse_u64(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

}  // namespace

DelayRoute route_delay(std::string_view method, std::string_view target) {
  DelayRoute route;
  std::string_view path = path_of(target);
  if (method != "GET" || path.empty()) return route;
  path.remove_prefix(1);

  const auto slash = path.find('/');
  if (slash == 0 || slash == path.npos) return route;
  const std::string_view message = path.substr(slash + 1);
  if (message.empty() || message.find('/') != message.npos) return route;

  const std::string delay = decode(path.substr(0, slash));
  if (const std::optional<std::uint64_t> milliseconds = parse_u64(delay)) {
    route.delay = DelayRoute::Delay{*milliseconds, decode(message)};
  } else {
    route.not_found_text = absl::StrCat("can not parse \"", delay, "\" to a u64");
  }
  return route;
}

}  // namespace examples
