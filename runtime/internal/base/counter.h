#ifndef EPORE_RUNTIME_INTERNAL_BASE_COUNTER_H_
#define EPORE_RUNTIME_INTERNAL_BASE_COUNTER_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "epore/poll/kernel/thread_counters.h"

namespace epore::internal {

// What a runtime counts. A gauge, such as open connections, is the difference of two counters.
enum class Counter : std::uint8_t {
  connections_opened,
  connections_closed,
  bytes_queued,
  bytes_dequeued,
  blocks_queued,  // see QueueBudget
  blocks_dequeued,
  accepts,
  accept_errors,
  accept_pauses,
  connects,
  connect_errors,
  polls,
  events,
  stale_events,
  callbacks,
  callback_exceptions,
  handler_errors,
  posts,
  connection_posts,
  wakes,
  reliefs,
  shared,
  timers_fired,
  bytes_in,
  bytes_out,
  bytes_of_files,
  bytes_spliced,
  read_pauses,
  connections_cut_off,
  high_marks,
};

inline constexpr std::size_t kCounterKinds = static_cast<std::size_t>(Counter::high_marks) + 1;

// The buckets of Counters::queue_delay.
inline constexpr std::size_t kDelayBuckets = 22;

// One of so many posts, and of so many events, has its queue delay noted.
inline constexpr std::uint32_t kDelaySample = 64;

class RuntimeCounters {
 public:
  // Returns the sum of this thread alone, in most threads.
  std::uint64_t add(Counter counter, std::uint64_t n = 1) {
    return counters_.add(static_cast<std::size_t>(counter), n);
  }
  std::uint64_t sum(Counter counter) const {
    return counters_.sum(static_cast<std::size_t>(counter));
  }

  // Notes that something which was ready has waited for `delay` ns until its callback began.
  void add_delay(std::int64_t delay) { counters_.add(kCounterKinds + bucket_of(delay)); }
  std::uint64_t delays(std::size_t bucket) const { return counters_.sum(kCounterKinds + bucket); }

 private:
  // Bucket i has the delays of less than 2^i us that are in no bucket before it. The last one has
  // all that are longer.
  static std::size_t bucket_of(std::int64_t delay) {
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(delay, 0)) / 1000;
    return std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(us)), kDelayBuckets - 1);
  }

  ThreadCounters<kCounterKinds + kDelayBuckets> counters_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_COUNTER_H_
