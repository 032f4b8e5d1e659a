#ifndef EPORE_RUNTIME_PEER_CREDENTIALS_H_
#define EPORE_RUNTIME_PEER_CREDENTIALS_H_

#include <cstdint>

namespace epore {

// Who is at the other end of a Unix socket, as the system says. See SO_PEERCRED in unix(7).
struct PeerCredentials {
  int pid = 0;  // 0: of a namespace that this process does not see
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;

  friend bool operator==(const PeerCredentials&, const PeerCredentials&) = default;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_PEER_CREDENTIALS_H_
