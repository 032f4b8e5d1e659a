#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_DESTINATION_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_DESTINATION_H_

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "epore/runtime/address.h"
#include "epore/runtime/internal/net/resolver.h"

namespace epore::internal {

// A Destination is whom connect() is to reach: the text of an address, or addresses that were found
// before. It is a view of the caller's.
class Destination {
 public:
  explicit Destination(std::string_view text) : to_(text) {}
  explicit Destination(std::span<const SocketAddress> addresses) : to_(addresses) {}

  // For errors: the text, or "192.0.2.7:80 and 2 more". Has no bytes that are not printable.
  std::string to_string() const;

  // What it means, see parse_target(). Errors: InvalidArgument, also for no addresses, an empty one
  // among them, and a Unix socket that is not the only one.
  absl::StatusOr<Target> target() const;

 private:
  std::variant<std::string_view, std::span<const SocketAddress>> to_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_DESTINATION_H_
