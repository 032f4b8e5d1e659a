#ifndef EPORE_RUNTIME_INTERNAL_BASE_FETCH_AHEAD_H_
#define EPORE_RUNTIME_INTERNAL_BASE_FETCH_AHEAD_H_

#include <cstddef>
#include <cstdint>

namespace epore::internal {

// Lets the processor fetch the cache lines around `object`, from `before` bytes before it to
// `behind` bytes behind its begin, while this thread does something else. It only costs time, so
// the memory need not belong to anything.
inline void fetch_ahead(const void* object, std::size_t before, std::size_t behind) {
  constexpr std::uintptr_t kLine = 64;
  const auto at = reinterpret_cast<std::uintptr_t>(object);
  for (std::uintptr_t line = (at - before) / kLine * kLine; line < at + behind; line += kLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(line));
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_FETCH_AHEAD_H_
