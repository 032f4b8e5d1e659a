#ifndef EPORE_RUNTIME_INTERNAL_BASE_DEADLINE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_DEADLINE_H_

#include <cstdint>
#include <limits>

namespace epore::internal {

// Deadlines are nanoseconds of CLOCK_MONOTONIC, as Kernel::now() gives them.
inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// Returns a + b, or kNever if that overflows. Requires a >= 0.
constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  return b > kNever - a ? kNever : a + b;
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_DEADLINE_H_
