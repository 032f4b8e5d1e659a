#ifndef EPORE_RUNTIME_COUNTERS_H_
#define EPORE_RUNTIME_COUNTERS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace epore {

// What a runtime has done so far: a copy, taken at any time from any thread without stopping
// anybody. Each number is exact; together they may be a moment apart.
struct Counters {
  // Now.
  std::uint64_t connections = 0;   // open, accepted and connected together
  std::uint64_t queued_bytes = 0;  // accepted by send(), not taken by the system yet
  std::uint64_t timers_armed = 0;

  // Since the start.
  std::uint64_t accepts = 0;
  std::uint64_t accept_errors = 0;  // failed calls, but not for want of descriptors or memory
  std::uint64_t accept_pauses = 0;  // no descriptors, no memory, the limit, or refused too often
  std::uint64_t connects = 0;       // that succeeded
  std::uint64_t connect_errors = 0;
  std::uint64_t polls = 0;  // turns
  std::uint64_t events = 0;
  std::uint64_t stale_events = 0;  // for registrations that were gone, dropped
  std::uint64_t callbacks = 0;
  std::uint64_t callback_exceptions = 0;
  std::uint64_t posts = 0;
  std::uint64_t wakes = 0;    // of the poll thread by another
  std::uint64_t reliefs = 0;  // of a poll thread that was stuck in a callback, by a worker
  std::uint64_t shared = 0;   // runs that a poll thread has offered to workers, having too many
  std::uint64_t timers_fired = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t read_pauses = 0;  // pause_reading() that took effect
  std::uint64_t high_marks = 0;   // queues that rose above the high mark

  // System calls by name, those that were made.
  std::vector<std::pair<std::string, std::uint64_t>> system_calls;

  // The count of one system call; 0 if it was not made.
  std::uint64_t system_call(const std::string& name) const;

  // One line: {"connections":3,...,"system_calls":{"recvfrom":17,...}}.
  std::string to_json() const;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_COUNTERS_H_
