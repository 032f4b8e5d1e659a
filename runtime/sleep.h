#ifndef EPORE_RUNTIME_SLEEP_H_
#define EPORE_RUNTIME_SLEEP_H_

#include <chrono>
#include <cstdint>

#include "absl/time/time.h"
#include "epore/runtime/internal/task/awaitable.h"

namespace epore {

// A time of the monotonic clock (CLOCK_MONOTONIC), on which deadlines are. Changes of the time of
// day do not move it.
using Instant = std::chrono::steady_clock::time_point;

class Ticker;

namespace internal {

// Waits for a time.
class TimeOperation : public Operation, public Deadline {
 protected:
  ~TimeOperation() = default;
  TimeOperation() = default;
  TimeOperation(TimeOperation&&) = default;

  // At least one turn.
  bool wait_until(TaskNode& node, std::int64_t at);

 private:
  void cancel(const absl::Status& why) override;
  void due() override;
};

class [[nodiscard]] SleepOperation final : public TimeOperation, public WithResult<SleepOperation> {
 public:
  using Value = void;

  explicit SleepOperation(absl::Duration duration) : duration_(duration) {}
  explicit SleepOperation(Instant until) : until_(until), has_time_(true) {}
  SleepOperation(SleepOperation&&) = default;

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  void take() {}

 private:
  const char* name() const override { return "sleep"; }

  absl::Duration duration_ = absl::InfiniteDuration();
  Instant until_;          // if has_time_, otherwise duration_
  bool has_time_ = false;  // of sleep_until()
};

class [[nodiscard]] TickOperation final : public TimeOperation, public WithResult<TickOperation> {
 public:
  using Value = void;

  explicit TickOperation(Ticker& ticker) : ticker_(ticker) {}
  TickOperation(TickOperation&&) = default;

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  void take();

 private:
  const char* name() const override { return "Ticker::tick"; }

  Ticker& ticker_;
  std::int64_t next_ = 0;  // the tick after this one
};

class [[nodiscard]] YieldOperation final : public Operation, public WithResult<YieldOperation> {
 public:
  using Value = void;

  YieldOperation() = default;
  YieldOperation(YieldOperation&&) = default;

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  void take() {}

 private:
  void cancel(const absl::Status&) override {}  // it is completed already
  const char* name() const override { return "yield"; }
};

}  // namespace internal

// Waits for `duration`, at least one turn. With an infinite one until it is stopped.
//
//   co_await epore::sleep_for(absl::Milliseconds(100));
//
// Errors: Cancelled, or DeadlineExceeded by a within() around it.
inline internal::SleepOperation sleep_for(absl::Duration duration) {
  return internal::SleepOperation(duration);
}

// Waits until `when`. As sleep_for().
inline internal::SleepOperation sleep_until(Instant when) { return internal::SleepOperation(when); }

// Lets everything else of the task's order that is ready run first, and other connections.
inline internal::YieldOperation yield() { return {}; }

// A Ticker is a period.
//
//   epore::Ticker minute(absl::Minutes(1));
//   for (;;) {
//     co_await minute.tick();
//     ...
//   }
//
// The first tick comes one period after the first call of tick(). A tick that has passed while
// nobody waited comes at once, and several of them are one, so there is no burst. A tick that is
// not taken, because of a within() or an any() around it, is not lost. With a period of
// zero or less tick() ends with InvalidArgument. One coroutine at a time.
class Ticker {
 public:
  explicit Ticker(absl::Duration period) : period_(period) {}

  internal::TickOperation tick() { return internal::TickOperation(*this); }

 private:
  friend class internal::TickOperation;

  const absl::Duration period_;
  std::int64_t next_ = 0;  // 0: tick() was not called
};

}  // namespace epore

#endif  // EPORE_RUNTIME_SLEEP_H_
