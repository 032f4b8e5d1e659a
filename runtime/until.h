#ifndef EPORE_RUNTIME_UNTIL_H_
#define EPORE_RUNTIME_UNTIL_H_

#include <atomic>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/join.h"
#include "epore/runtime/task.h"

namespace epore {
namespace internal {

// Waits for the request of a stop, which any thread may make.
class StopTokenWait final : public Operation {
 public:
  using Value = void;

  explicit StopTokenWait(std::stop_token token) : token_(std::move(token)) {}
  StopTokenWait(StopTokenWait&& other) noexcept : token_(std::move(other.token_)) {}

  bool begin(TaskNode& node);
  void finish(TaskNode&) { callback_.reset(); }
  void take() {}

 private:
  struct Callback {
    void operator()() const { wait->end(absl::OkStatus()); }

    StopTokenWait* wait;
  };

  void end(absl::Status status);
  void cancel(const absl::Status& why) override { end(why); }
  const char* name() const override { return "until"; }

  std::stop_token token_;
  TaskNode* node_ = nullptr;

  // Whether it has to be completed: whoever clears it does so. The callback may be on any thread.
  std::atomic<bool> is_waiting_{false};
  std::optional<std::stop_callback<Callback>> callback_;  // the last one: it ends first
};

// What is inside, beside a wait for the request. The end of one stops the other.
class UntilJoin : public Join {
 protected:
  explicit UntilJoin(std::stop_token token)
      : token_(std::move(token)), watch_(StopTokenWait(token_)) {}
  UntilJoin(UntilJoin&&) = default;
  ~UntilJoin() = default;

  // Whether it ends before it begins: a stop was requested.
  bool is_over(TaskNode& node) const;

  void begin_watch();

 private:
  void decide(JoinChild& child) override;
  const char* name() const override { return "until"; }

  std::stop_token token_;
  AwaitingChild<StopTokenWait> watch_;
};

template <typename A>
class Until final : public UntilJoin, public WithResult<Until<A>> {
 public:
  using Value = typename A::Value;

  Until(std::stop_token token, A&& inside)
      : UntilJoin(std::move(token)), inside_(std::move(inside)) {}
  Until(Until&&) = default;

  bool begin(TaskNode& node) {
    if (is_over(node)) return true;
    if (!begin_join(node)) return true;
    add(inside_);
    if (inside_.begin()) {
      ended_at_once(inside_);
    } else {
      begin_watch();
    }
    return end_begin(node);
  }
  void finish(TaskNode&) {}
  Value take() { return inside_.take(); }

 private:
  AwaitingChild<A> inside_;
};

}  // namespace internal

// Runs `inside` until it ends, or until somebody requests a stop through `token`: then what it
// waits for ends with Cancelled, and so does all it awaits later. `inside` runs to its end, as in
// within(), and its result is that of until().
//
//   std::stop_source source;
//   epore::Job job = runtime.spawn([token = source.get_token()]() -> epore::Task<> {
//     co_await epore::until(token, serve());
//   });
//   ...
//   source.request_stop();  // on any thread
//
// Stops and deadlines from outside hold as well. It costs no allocation.
template <typename A>
[[nodiscard]] auto until(std::stop_token token, A&& inside) {
  if constexpr (internal::kIsResult<std::remove_cvref_t<A>>) {
    static_assert(!std::is_reference_v<decltype(inside.awaitable)>,
                  "give the operation away: until(token, std::move(x).result())");
    return until(std::move(token), std::move(inside.awaitable)).result();
  } else {
    using Inside = internal::AsAwaitable<A>;
    return internal::Until<Inside>(std::move(token), Inside(std::forward<A>(inside)));
  }
}

}  // namespace epore

#endif  // EPORE_RUNTIME_UNTIL_H_
