#ifndef EPORE_RUNTIME_INTERNAL_BASE_FETCH_AHEAD_H_
#define EPORE_RUNTIME_INTERNAL_BASE_FETCH_AHEAD_H_

#include <cstddef>
#include <cstdint>

namespace epore::internal {

// Lets the processor fetch the cache lines around `object`, from kBefore bytes before it to kBehind
// bytes behind its begin, while this thread does something else. It only costs time, so the memory
// need not belong to anything.
template <std::size_t kBefore, std::size_t kBehind>
void fetch_ahead(const void* object) {
  constexpr std::uintptr_t kLine = 64;
  const auto begin = reinterpret_cast<std::uintptr_t>(object) - kBefore;
  // A range that begins in the midst of a line may end in one line more.
#pragma GCC unroll 16
  for (std::uintptr_t at = 0; at < kBefore + kBehind + kLine - 1; at += kLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(begin + at));
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_FETCH_AHEAD_H_
