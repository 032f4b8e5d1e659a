#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_SLOWNESS_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_SLOWNESS_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace epore::internal {

// What is known of how long a connection's runs take: whether they may run on the poll thread, or
// go to a worker at once. Only a hint, so relaxed; for closures and timers, which have no past, one
// is shared by all of a runtime.
class Slowness {
 public:
  // From here on a run is slow: it holds up the others for longer than it costs to hand it over,
  // a hundred times.
  static constexpr std::int64_t kSlow = 1'000'000;  // ns

  bool is_slow() const { return credits_.load(std::memory_order_relaxed) != 0; }

  // Its leader was relieved. Perhaps the leader only had to wait for a processor, so this counts
  // for a few runs; those are timed and tell.
  void was_stuck() { raise(4); }

  // It ran elsewhere, timed.
  void ran(std::int64_t duration) {
    if (duration >= kSlow) {
      raise(32);
    } else if (const std::uint8_t credits = credits_.load(std::memory_order_relaxed); credits > 0) {
      credits_.store(static_cast<std::uint8_t>(credits - 1), std::memory_order_relaxed);
    }
  }

 private:
  void raise(std::uint8_t credits) {
    credits_.store(std::max(credits, credits_.load(std::memory_order_relaxed)),
                   std::memory_order_relaxed);
  }

  std::atomic<std::uint8_t> credits_{0};  // fast runs until it is not slow any more
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_SLOWNESS_H_
