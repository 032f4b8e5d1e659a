#ifndef EPORE_RUNTIME_INTERNAL_BASE_COUNTER_H_
#define EPORE_RUNTIME_INTERNAL_BASE_COUNTER_H_

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

class RuntimeCounters {
 public:
  void add(Counter counter, std::uint64_t n = 1) {
    counters_.add(static_cast<std::size_t>(counter), n);
  }
  std::uint64_t sum(Counter counter) const {
    return counters_.sum(static_cast<std::size_t>(counter));
  }

 private:
  ThreadCounters<kCounterKinds> counters_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_COUNTER_H_
