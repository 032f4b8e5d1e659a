#include "epore/runtime/internal/endpoints/destination.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/base/printable.h"

namespace epore::internal {
namespace {

using Addresses = std::span<const SocketAddress>;

// The Connector tries a Unix socket again while its backlog is full, so no other address would have
// its turn.
absl::Status check_addresses(Addresses addresses) {
  if (addresses.empty()) return absl::InvalidArgumentError("connect(): there are no addresses");
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const bool is_empty = addresses[i].is_empty();
    if (!is_empty && (!addresses[i].is_unix() || addresses.size() == 1)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("connect(", Destination(addresses).to_string(), "): address ", i + 1, " of ",
                     addresses.size(),
                     is_empty ? " is empty" : " is a Unix socket, which must be the only address"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Destination::to_string() const {
  if (const auto* const text = std::get_if<std::string_view>(&to_)) return printable(*text);
  const Addresses addresses = std::get<Addresses>(to_);
  if (addresses.empty()) return "";
  const std::string first = addresses.front().to_string();
  if (addresses.size() == 1) return first;
  return absl::StrCat(first, " and ", addresses.size() - 1, " more");
}

absl::StatusOr<Target> Destination::target() const {
  if (const auto* const text = std::get_if<std::string_view>(&to_)) {
    return parse_target(*text, /*to_listen=*/false);
  }
  const Addresses addresses = std::get<Addresses>(to_);
  if (absl::Status bad = check_addresses(addresses); !bad.ok()) return bad;
  return Target{HostPort(), {addresses.begin(), addresses.end()}};
}

}  // namespace epore::internal
