#ifndef EPORE_POLL_TOKEN_H_
#define EPORE_POLL_TOKEN_H_

#include <cstdint>

namespace epore {

// A Token is the caller's own 64-bit word. It is given with a registration and comes back with
// every event of that registration. `poll/` never looks inside it. A token is not a descriptor
// number.
//
//   std::vector<Client> clients;
//   absl::Status added =
//       registry->register_fd(fd, epore::Token{clients.size()}, epore::Interest::readable());
//   ...
//   Client& client = clients[event.token.value];
//
// Threads, lifetime: a plain value, copied freely.
//
// Edges: two registrations may share a token. The caller then has no way to tell their events
// apart.
//
// Do not use the descriptor number as the token. The kernel gives the lowest free number to the
// next descriptor that is opened (open(2)). An event that was copied out earlier would then name
// the wrong descriptor. Use an index together with a generation count, as `runtime/` does.
struct Token {
  std::uint64_t value = 0;

  friend constexpr bool operator==(Token a, Token b) { return a.value == b.value; }
  friend constexpr bool operator!=(Token a, Token b) { return a.value != b.value; }
};

}  // namespace epore

#endif  // EPORE_POLL_TOKEN_H_
