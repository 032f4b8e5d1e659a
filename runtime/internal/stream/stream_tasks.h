#ifndef EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_

#include <atomic>
#include <cstdint>

#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/stream/inflow.h"
#include "epore/runtime/internal/stream/write_queue.h"

namespace epore::internal {

// What a Stream has for coroutines. A connection with callbacks has none of it. The order only.
struct StreamTasks {
  Inflow inflow;
  ReadOperationBase* reader = nullptr;         // waits for bytes
  WriteOperationBase* first_writer = nullptr;  // those that wait for room, in sequence
  WriteOperationBase* last_writer = nullptr;
  ClosedOperation* first_closed = nullptr;  // those that wait for the end
  WriteQueue sent;                // by send(), amid the first writer's bytes: goes behind them
  std::uint32_t searched = 0;     // for the delimiter of the reader: it does not begin before this
  std::int8_t receives_left = 0;  // of this run
  bool is_used : 1 = false;       // a coroutine has read, so on_data is refused
  bool is_of_closed : 1 = false;  // made by closed(), which a connection of callbacks has too
  bool is_draining : 1 = false;   // a read that has no byte and finds none ends

  // Whether a read has got bytes, and its coroutine has not taken them yet: it is in another order,
  // or in line behind others. Meanwhile it is the reader still. No other read begins, and the bytes
  // stay where they are.
  //
  //   the order of the connection            the order of the coroutine
  //   (1) satisfy(): true
  //       completes the coroutine  ------->  (2) take(): false, or
  //   (4) begin_read(): is it false?             nobody takes the bytes: give_back(), by mail
  //   (3) the mail: the bytes are back; false
  //
  // (1) is relaxed, as the completion publishes it. (2) is a release, for the acquire of (4): a
  // later read may then drop the bytes that were taken. (3) is in the order, before any read that
  // began later, because has_turn() lets none overtake the mail.
  std::atomic<bool> has_untaken{false};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_STREAM_TASKS_H_
