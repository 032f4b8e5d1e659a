#ifndef EPORE_EXAMPLES_DELAY_ROUTE_H_
#define EPORE_EXAMPLES_DELAY_ROUTE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace examples {

// What a request asks of the delay server.
struct DelayRoute {
  struct Delay {
    std::uint64_t milliseconds = 0;
    std::string message;  // decoded, UTF-8
  };

  std::optional<Delay> delay;  // none: the answer is 404 with the text below
  std::string not_found_text;
};

// Routes `GET /{delay}/{message}`. The target is split before it is decoded, so that %2F is a slash
// of the message; a query or fragment is ignored.
DelayRoute route_delay(std::string_view method, std::string_view target);

}  // namespace examples

#endif  // EPORE_EXAMPLES_DELAY_ROUTE_H_
