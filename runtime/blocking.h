#ifndef EPORE_RUNTIME_BLOCKING_H_
#define EPORE_RUNTIME_BLOCKING_H_

#include <concepts>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/bound_task.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/blocking_work.h"
#include "epore/runtime/lane.h"

namespace epore {
namespace internal {

// Waits for the return of a function on a thread of a BlockingPool.
class BlockingCall : public Operation, public BlockingWork {
 public:
  bool begin(TaskNode& node);
  void finish(TaskNode&) {}

 protected:
  explicit BlockingCall(const Lane& lane) : lane_(lane) {}
  BlockingCall(BlockingCall&&) = default;  // before it begins
  ~BlockingCall() = default;

 private:
  // On the thread of the pool: calls the function, and keeps its value. May throw.
  virtual absl::Status call() = 0;

  void run() override;
  void fail(const absl::Status& error) override;
  void cancel(const absl::Status& why) override;
  const char* name() const override { return "blocking"; }

  Lane lane_;
  BlockingPool* pool_ = nullptr;
  TaskNode* node_ = nullptr;
};

template <typename R>
struct BlockingValueOf {
  using Type = R;
};
template <>
struct BlockingValueOf<absl::Status> {
  using Type = void;
};
template <typename T>
struct BlockingValueOf<absl::StatusOr<T>> {
  using Type = T;
};

template <typename R, typename F, typename... Args>
class BlockingOperation final : public BlockingCall,
                                public WithResult<BlockingOperation<R, F, Args...>> {
 public:
  using Value = typename BlockingValueOf<R>::Type;

  template <typename G, typename... As>
  explicit BlockingOperation(const Lane& lane, G&& function, As&&... arguments)
      : BlockingCall(lane),
        function_(std::forward<G>(function)),
        arguments_(std::forward<As>(arguments)...) {}
  BlockingOperation(BlockingOperation&&) = default;

  Value take() {
    if constexpr (!std::is_void_v<Value>) return *std::move(value_);
  }

 private:
  absl::Status call() override {
    const auto invoke = [this] {
      return std::apply(
          [this](Args&... arguments) -> R {
            return std::invoke(function_, std::move(arguments)...);
          },
          arguments_);
    };
    if constexpr (std::is_same_v<R, absl::Status>) {
      return invoke();
    } else if constexpr (std::is_void_v<R>) {
      invoke();
      return absl::OkStatus();
    } else if constexpr (std::is_same_v<R, Value>) {
      value_.emplace(invoke());
      return absl::OkStatus();
    } else {
      R result = invoke();
      if (result.ok()) value_.emplace(*std::move(result));
      return result.status();
    }
  }

  F function_;
  std::tuple<Args...> arguments_;

  // Written on the thread of the pool before it completes, and then of the task.
  std::optional<std::conditional_t<std::is_void_v<Value>, bool, Value>> value_;
};

}  // namespace internal

// Calls function(arguments...), which may block, on a thread that runs no callbacks, and gives what
// it returns: for files, name services, databases and long computations. If it returns a Status or
// a StatusOr, an error of it is an error of blocking(). The task goes on in its order.
//
//   const std::string text = co_await epore::blocking(read_file, path);
//
// Each runtime has at most eight threads for this, which start on demand. More calls wait in line,
// as many as RuntimeOptions::blocking_queue says.
// With a `lane` the call runs on a thread of it, see Runtime::lane().
//
// A call that has begun cannot be interrupted: a stop, a deadline and a shutdown wait until it
// returns, and its value is the result. A call that waits in line ends at once with the stop.
//
// The function, and copies of the arguments (references by std::ref), live in the awaiting
// coroutine until then. It may use epore, but not wait for the runtime: Job::wait(), Runtime::run()
// and shutdown() are refused there, as in a callback. Errors: its own; Internal if it throws; those
// of a stop; ResourceExhausted if too many calls wait already, and the like if no thread can be
// started; InvalidArgument for a lane of another runtime.
//
// gcc 12 destroys a temporary lambda with captures twice in an awaiting expression if it has a
// destructor: capture by reference, pass arguments, or give the lambda a name.
template <typename F, typename... Args>
[[nodiscard]] auto blocking(const Lane& lane, F&& function, Args&&... arguments) {
  static_assert(internal::kMayBeAwaited<F>,
                "gcc destroys the captures of this temporary lambda twice; give it a name, "
                "and await blocking(name)");
  using R = std::remove_cvref_t<std::invoke_result_t<std::decay_t<F>&, std::decay_t<Args>...>>;
  static_assert(!internal::kIsTask<R>,
                "blocking() takes a function that blocks, and no coroutine: await the task itself");
  return internal::BlockingOperation<R, std::decay_t<F>, std::decay_t<Args>...>(
      lane, std::forward<F>(function), std::forward<Args>(arguments)...);
}
template <typename F, typename... Args>
requires(!std::same_as<std::remove_cvref_t<F>, Lane>)
    [[nodiscard]] auto blocking(F&& function, Args&&... arguments) {
  return blocking(Lane(), std::forward<F>(function), std::forward<Args>(arguments)...);
}

}  // namespace epore

#endif  // EPORE_RUNTIME_BLOCKING_H_
