#ifndef EPORE_TESTS_BENCH_MICRO_SIDE_H_
#define EPORE_TESTS_BENCH_MICRO_SIDE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/options.h"
#include "tests/bench/micro_tasks.h"
#include "tests/bench/stopwatch.h"

namespace epore::bench {

// The small costs of a library, the same for each: every method does `count` operations, lets all
// that they cause happen, and returns the time of all of that.
//
// A library has a thread of its own that waits for events, "its thread", and what it may add to it;
// there its callbacks run. Closures and handlers are small: they capture a pointer or two.
class MicroSide {
 public:
  virtual ~MicroSide() = default;

  virtual std::string name() const = 0;
  virtual std::string version() const = 0;

  // To be called first.
  virtual absl::Status start() = 0;

  // A closure posts the next one, and so on; each `burst` closures at a time.
  virtual Stopwatch::Time post_burst(int count, int burst) = 0;

  // `threads` threads of the program post `count` closures together.
  virtual Stopwatch::Time post_from(int threads, int count) = 0;

  // The same to be run one at a time: in a connection's order, in a strand.
  virtual Stopwatch::Time post_in_order_burst(int count, int burst) = 0;
  virtual Stopwatch::Time post_in_order_from(int threads, int count) = 0;

  // Has so many timers pending from now on, with deadlines in the next hours.
  virtual void hold_timers(int count) = 0;

  // Arms a timer for some minutes and cancels it, on its thread.
  virtual Stopwatch::Time arm_and_cancel(int count) = 0;

  // Arms the held timers anew, one after the other, as messages do that put off a timeout.
  virtual Stopwatch::Time rearm(int count) = 0;

  // So many timers become due within 0.1 ms: from then to the last callback.
  virtual Stopwatch::Time expire(int count) = 0;

  // What coroutines do, on its thread.
  virtual Stopwatch::Time run_tasks(TaskWork work, int count) = 0;

  // Starts an echo server on its thread and returns its address. With an idle timeout, of an hour,
  // its connections are made to take as little memory as they can.
  struct Server {
    bool is_coroutine = false;  // and not callbacks
    bool has_timeout = false;
  };
  virtual absl::StatusOr<std::string> serve(Server server) = 0;
};

// Operations of timers in one callback; then what they caused (Asio calls back what was cancelled)
// gets its turn.
inline constexpr int kTimersAtOnce = 64;

std::unique_ptr<MicroSide> make_epore_side(std::optional<Dispatch> dispatch, int workers);
std::unique_ptr<MicroSide> make_asio_side();  // null where there is no Boost

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MICRO_SIDE_H_
