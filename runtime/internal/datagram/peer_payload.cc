#include "epore/runtime/internal/datagram/peer_payload.h"

#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"

namespace epore::internal {
namespace {

constexpr std::string_view kText = "epore.peer";
constexpr std::string_view kBytes = "epore.peer_bytes";

}  // namespace

void set_peer(absl::Status& status, const SocketAddress& peer) {
  const std::string text = peer.to_string();
  const absl::StatusOr<SocketAddress> parsed = SocketAddress::parse(text);
  if (parsed.ok() && *parsed == peer) {
    status.SetPayload(kText, absl::Cord(text));
  } else {
    const auto* const bytes = reinterpret_cast<const char*>(peer.data());
    status.SetPayload(kBytes, absl::Cord(std::string_view(bytes, peer.size())));
  }
}

SocketAddress get_peer(const absl::Status& status) {
  if (const std::optional<absl::Cord> text = status.GetPayload(kText)) {
    return SocketAddress::parse(std::string(*text)).value_or(SocketAddress());
  }
  const std::optional<absl::Cord> bytes = status.GetPayload(kBytes);
  if (!bytes) return SocketAddress();
  const std::string copy(*bytes);
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(copy.data()),
                                      static_cast<unsigned>(copy.size()));
}

}  // namespace epore::internal
