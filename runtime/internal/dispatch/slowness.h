#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_SLOWNESS_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_SLOWNESS_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace epore::internal {

// A Slowness estimates how long the runs of a connection take. A slow connection goes to a worker
// at once instead of running on the poll thread. Closures and timers have no earlier runs, so all
// of them in a runtime share one Slowness.
class Slowness {
 public:
  // A run of this time or more is slow. It holds up other work a hundred times longer than a
  // handover to a worker costs.
  static constexpr std::int64_t kSlow = 1'000'000;  // ns

  bool is_slow() const { return credits_.load(std::memory_order_relaxed) != 0; }

  // The leader was relieved during a run. Perhaps the leader only waited for a processor, so this
  // counts for a few runs only. A worker times those runs.
  void was_stuck() { raise(4); }

  // A worker ran it, for `duration` nanoseconds.
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

  // The number of fast runs that it takes until this is not slow any more; 0: not slow. The thread
  // that runs or relieves writes, any thread reads, all relaxed. A lost update only costs speed.
  std::atomic<std::uint8_t> credits_{0};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_SLOWNESS_H_
