#ifndef EPORE_RUNTIME_COUNTERS_H_
#define EPORE_RUNTIME_COUNTERS_H_

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
  std::uint64_t read_pauses = 0;     // by pause_reading(), or above the high mark
  // Connections that were reset as the drain timeout of a shutdown was over: they were open, or had
  // bytes to send.
  std::uint64_t connections_cut_off = 0;
  std::uint64_t high_marks = 0;  // a queue rose above its high mark

  // The engine of the event queue, as in RuntimeOptions::selector. The reason is empty, unless the
  // system has refused the engine that was asked for.
  std::string selector;
  std::string selector_reason;

  // The system calls that were made, by name.
  std::vector<std::pair<std::string, std::uint64_t>> system_calls;

  // The count of one system call, or 0.
  std::uint64_t system_call(const std::string& name) const;

  // Returns one line:
  // {"connections":3,...,"selector":"epoll",...,"system_calls":{"recvfrom":17,...}}.
  std::string to_json() const;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_COUNTERS_H_
