#ifndef EPORE_RUNTIME_COUNTERS_H_
#define EPORE_RUNTIME_COUNTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace epore {

// Counters is a copy of what a runtime has counted so far. Runtime::counters() takes it.
//
//   std::puts(runtime.counters().to_json().c_str());
//
// Threads, lifetime: a plain value.
//
// Edges. Guaranteed: no count is lost. The numbers of one copy may be a moment apart from each
// other, because other threads go on while it is taken.
struct Counters {
  // Gauges: the state now.
  std::uint64_t connections = 0;   // open ones, accepted and connected
  std::uint64_t queued_bytes = 0;  // accepted by send() and not yet taken by the system
  std::uint64_t timers_armed = 0;

  // Counts since the start.
  std::uint64_t accepts = 0;
  std::uint64_t accept_errors = 0;  // failed calls, but not for want of descriptors or memory
  std::uint64_t accept_pauses = 0;  // no descriptors, no memory, the limit, or refused too often
  std::uint64_t connects = 0;       // successful attempts
  std::uint64_t connect_errors = 0;
  std::uint64_t polls = 0;  // turns of the reactors
  std::uint64_t events = 0;
  std::uint64_t stale_events = 0;  // dropped: their registration had ended
  std::uint64_t callbacks = 0;
  std::uint64_t callback_exceptions = 0;
  std::uint64_t handler_errors = 0;  // coroutines of connections that ended with an error
  std::uint64_t posts = 0;
  std::uint64_t wakes = 0;    // of a poll thread by another thread
  std::uint64_t reliefs = 0;  // a worker led for a poll thread that was stuck in a callback
  std::uint64_t shared = 0;   // runs that a busy poll thread has offered to workers
  std::uint64_t timers_fired = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_of_files = 0;  // of bytes_out: parts of files
  std::uint64_t bytes_spliced = 0;   // of bytes_out: from connection to connection, not copied
  std::uint64_t read_pauses = 0;     // by pause_reading(), above the high mark, or for want of
                                     // a buffer of a ring
  // Connections that were reset as the drain timeout of a shutdown was over: they were open, or had
  // bytes to send.
  std::uint64_t connections_cut_off = 0;
  std::uint64_t high_marks = 0;  // a queue rose above its high mark

  // Callbacks that have held their thread so long that the watchdog came, which takes some ms. With
  // Dispatch::adaptive and Dispatch::workers only, the others have no watchdog.
  std::uint64_t stuck_callbacks = 0;

  // Which of them has held its thread for longest, such as "connection 7 (peer ...)", and for how
  // long since the watchdog came. One that has not returned yet counts up to now. Empty and 0 if
  // there was none.
  std::string longest_stuck_callback;
  std::uint64_t longest_stuck_callback_us = 0;

  // How long what was ready has waited until its callback began, of a sample. queue_delay[i] counts
  // delays of less than 2^i microseconds that are in no element before it; the last element counts
  // all longer ones. The sample is one of 64 closures of Runtime::post() and Order::post(), from
  // that call on, and one of 64 events, from where its poll returned; what a poll thread hands to
  // workers is sampled more often. An event that came while the poll thread was in a callback was
  // not polled yet: that wait is not in here, but the delay of a post in that time is.
  static constexpr std::size_t kDelayBuckets = 22;
  std::array<std::uint64_t, kDelayBuckets> queue_delay = {};

  // Returns a bound in microseconds that at least the part `part` of the sample, 0 to 1, was below:
  // queue_delay_us(0.99). It is a power of two; 0 if there is no sample, and the largest number if
  // there is no bound. Subtract queue_delay of an earlier copy before, for the time since then.
  std::uint64_t queue_delay_us(double part) const;

  // The engine of the event queue, as in RuntimeOptions::selector. The reason is empty, unless the
  // system has refused the engine that was asked for, or its completions (docs/io-uring.md).
  std::string selector;
  std::string selector_reason;

  // The system calls that were made, by name.
  std::vector<std::pair<std::string, std::uint64_t>> system_calls;

  // The count of one system call, or 0.
  std::uint64_t system_call(const std::string& name) const;

  // Returns one line:
  // {"connections":3,...,"queue_delay_us":{"1":25,"2":3,...,"more":0},"selector":"epoll",...,
  // "system_calls":{"recvfrom":17,...}}. The names of queue_delay_us are the bounds.
  std::string to_json() const;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_COUNTERS_H_
