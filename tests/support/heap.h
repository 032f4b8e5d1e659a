#ifndef EPORE_TESTS_SUPPORT_HEAP_H_
#define EPORE_TESTS_SUPPORT_HEAP_H_

#include <cstdint>

namespace epore {

// What malloc() and its kin, which operator new calls, did in this program: linking this library
// replaces them by ones that count and then do the same. All threads together.
//
// Counting is off until it is asked for, so that timed rounds do not pay for it.
struct Heap {
  // False in builds with a sanitizer, which replaces malloc() itself: then everything is 0.
  static bool is_counted();

  static void count(bool on);

  std::uint64_t allocations = 0;

  // Bytes that were taken and not given back, as malloc() has to find them: rounded up, and with
  // the word before each piece. Negative if more was given back.
  std::int64_t bytes = 0;

  // Since counting began for the first time.
  static Heap now();
};

// Counts from here to its end.
class ScopedHeapCount {
 public:
  ScopedHeapCount() { Heap::count(true); }
  ~ScopedHeapCount() { Heap::count(false); }
  ScopedHeapCount(const ScopedHeapCount&) = delete;
  ScopedHeapCount& operator=(const ScopedHeapCount&) = delete;

  Heap so_far() const {
    const Heap now = Heap::now();
    return {now.allocations - begin_.allocations, now.bytes - begin_.bytes};
  }

 private:
  const Heap begin_ = Heap::now();
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_HEAP_H_
