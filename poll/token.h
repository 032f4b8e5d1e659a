#ifndef EPORE_POLL_TOKEN_H_
#define EPORE_POLL_TOKEN_H_

#include <cstdint>

namespace epore {

// The caller's own 64-bit word, given with a registration and handed back, untouched, with every
// event of it. `poll/` never looks inside. Two registrations may share a token; telling them apart
// is then the caller's business.
//
// Descriptor numbers make poor tokens: the kernel reuses the lowest free number at once, so an
// event that was already copied out can name a descriptor that now belongs to somebody else. Use an
// index with a generation count, as `runtime/` does.
struct Token {
  std::uint64_t value = 0;

  friend constexpr bool operator==(Token a, Token b) { return a.value == b.value; }
  friend constexpr bool operator!=(Token a, Token b) { return a.value != b.value; }
};

}  // namespace epore

#endif  // EPORE_POLL_TOKEN_H_
