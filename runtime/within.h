#ifndef EPORE_RUNTIME_WITHIN_H_
#define EPORE_RUNTIME_WITHIN_H_

#include <chrono>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/task.h"

namespace epore {
namespace internal {

// The scope of a within(), an at() or a shield().
class LimitScope final : public Deadline, private TaskScope {
 public:
  explicit LimitScope(const absl::Duration& duration) { at_ = absl::ToInt64Nanoseconds(duration); }
  explicit LimitScope(Instant at) : has_time_(true) {
    at_ = std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
  }
  LimitScope() {
    is_shield = true;
    at_ = kNever;
  }
  LimitScope(LimitScope&& other) noexcept : has_time_(other.has_time_) {  // before open()
    is_shield = other.is_shield;
    at_ = other.at_;
    unit_ = other.unit_;
    count_ = other.count_;
  }
  ~LimitScope() {
    if (is_armed_) disarm();
  }

  // Between open() and close().
  bool is_open() const { return chain != nullptr; }

  // Whether it is open for `node`.
  bool is_around(const TaskNode& node) const {
    const TaskScope* scope = node.scope;
    while (scope != nullptr && scope != this) scope = scope->up;
    return scope != nullptr;
  }

  const char* name() const { return is_shield ? "shield" : has_time_ ? "at" : "within"; }

  void open(TaskNode& node);
  void suspended();  // what is inside has not completed at once
  void close(TaskNode& node) {
    node.scope = up;
    if (is_armed_) disarm();
    chain = nullptr;
  }

 private:
  void due() override;
  bool is_limit() const override { return true; }
  void note_limit(std::int64_t limit);
  absl::Duration limit() const;
  absl::Status describe() const noexcept;
  void disarm();

  // It is in the frame of every connection that waits, so it is small: these are in the word of
  // is_shield. Deadline::at_ has the limit of within() before open(), and then the time.
  bool has_time_ : 1 = false;  // of at()
  bool is_armed_ : 1 = false;

  // The limit of within() for the message: a number of nanoseconds, microseconds, milliseconds or
  // seconds, in the finest unit in which it fits. So seven digits are right.
  std::uint8_t unit_ : 2 = 0;
  std::uint32_t count_ = 0;
};

template <typename A>
class Limited : public WithResult<Limited<A>> {
 public:
  using Value = typename A::Value;

  template <typename Limit>
  Limited(Limit limit, A&& inside) : scope_(std::move(limit)), inside_(std::move(inside)) {}

  bool begin(TaskNode& node) {
    if (scope_.is_open()) [[unlikely]]
      return fails_as_awaited(scope_.name(), true, node);
    scope_.open(node);
    if (inside_.begin(node)) return true;
    scope_.suspended();
    return false;
  }
  void finish(TaskNode& node) {
    if (!scope_.is_around(node)) [[unlikely]]
      return;  // another coroutine awaits it
    inside_.finish(node);
    scope_.close(node);
  }
  Value take() { return inside_.take(); }

  // One with a name may be awaited again, and outlives a coroutine that it has ended.
  void leave(TaskNode& node) {
    if constexpr (requires { inside_.leave(node); }) inside_.leave(node);
    if (scope_.is_open() && scope_.is_around(node)) scope_.close(node);
  }

 private:
  LimitScope scope_;
  A inside_;
};

// Puts `scope` around `inside`. x.result() inside is the same as result() outside.
template <typename A>
auto limit(LimitScope scope, A&& inside) {
  using Plain = std::remove_cvref_t<A>;
  if constexpr (kIsResult<Plain>) {
    static_assert(!std::is_reference_v<decltype(inside.awaitable)>,
                  "give the operation away: within(limit, std::move(x).result())");
    return limit(std::move(scope), std::move(inside.awaitable)).result();
  } else {
    using Inside = AsAwaitable<A>;
    return Limited<Inside>(std::move(scope), Inside(std::forward<A>(inside)));
  }
}

}  // namespace internal

// Gives `inside`, and everything that it awaits, at most `limit`. When the time is over, what it
// waits for ends with DeadlineExceeded, and so does all it awaits later. `inside` then runs to its
// end, and its result is that of within(). A value that it gives in spite of that is a value. Bytes
// that came in time count, even if the process did not look for long: they are read first.
//
//   absl::StatusOr<epore::ByteView> head =
//       co_await epore::within(absl::Seconds(5), peer.read_until("\r\n", 1024)).result();
//
// within(limit, x.result()) is the same as within(limit, x).result().
//
// Deadlines are inherited: of several that are around each other the earliest holds. An infinite
// limit is none. It costs no allocation.
template <typename A>
[[nodiscard]] auto within(const absl::Duration& limit, A&& inside) {
  return internal::limit(internal::LimitScope(limit), std::forward<A>(inside));
}

// As within(), until `deadline`.
template <typename A>
[[nodiscard]] auto at(Instant deadline, A&& inside) {
  return internal::limit(internal::LimitScope(deadline), std::forward<A>(inside));
}

// Keeps stops and deadlines from outside away from `inside`: for the end of something that must not
// stay half done. Give it a deadline of its own inside, as nothing else ends it:
//
//   co_await epore::shield(epore::within(absl::Seconds(1), session.log_out()));
//
// A shutdown whose drain timeout has passed does not spare it.
template <typename A>
[[nodiscard]] auto shield(A&& inside) {
  return internal::limit(internal::LimitScope(), std::forward<A>(inside));
}

}  // namespace epore

#endif  // EPORE_RUNTIME_WITHIN_H_
