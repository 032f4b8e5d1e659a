#ifndef EPORE_TESTS_RUNTIME_TASK_COUNTED_H_
#define EPORE_TESTS_RUNTIME_TASK_COUNTED_H_

#include <atomic>

namespace epore {

// An object that counts how many of its kind live: what a coroutine has destroyed too rarely or too
// often shows.
class Counted {
 public:
  explicit Counted(int value = 0) : value_(value) { ++live_; }
  Counted(const Counted& other) : value_(other.value_) { ++live_; }
  Counted(Counted&& other) noexcept : value_(other.value_) { ++live_; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --live_; }

  operator int() const { return value_; }

  static int live() { return live_; }

 private:
  inline static std::atomic<int> live_{0};

  int value_;
};

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_TASK_COUNTED_H_
