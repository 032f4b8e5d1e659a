#ifndef EPORE_TESTS_BENCH_MICRO_TASKS_H_
#define EPORE_TESTS_BENCH_MICRO_TASKS_H_

// What coroutines do, the same on each side of micro.
namespace epore::bench {

enum class TaskWork {
  empty_child,        // calls a coroutine that does nothing
  ready_await,        // awaits what is ready
  yield,              // lets others run
  spawn_ten_yields,   // starts a task that yields ten times; its end starts the next one
  eight_deep,         // calls a coroutine that calls another, and so on: eight of them
  hand_over,          // one value over a channel of 64, to a task of the same order or strand
  rendezvous,         // the same over a channel without room
  hand_over_threads,  // the same over a channel of 64, to a task that another thread runs
  within_wait,        // awaits a value of a rendezvous for at most a minute
  ready_read,         // receives kMessage bytes that are there
  ready_message,      // reads a message of kMessage bytes that is there
};

inline constexpr int kYields = 10;
inline constexpr int kDepth = 8;
inline constexpr int kChannelRoom = 64;

// The bytes of so many messages are sent at once, and then read one by one: they fit into the
// buffers of a socket.
inline constexpr int kMessage = 16;
inline constexpr int kMessagesAtOnce = 2048;

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MICRO_TASKS_H_
