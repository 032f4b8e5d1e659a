#ifndef EPORE_RUNTIME_COMPLETION_H_
#define EPORE_RUNTIME_COMPLETION_H_

#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/base/exceptions.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/completion_core.h"

namespace epore {
namespace internal {

template <typename T>
class CompletionState final : public CompletionCore {
 public:
  bool complete(absl::StatusOr<T>&& result) {
    if (!claim()) return false;
    absl::Status status = result.status();
    if (result.ok()) {
      call_or_undo(
          [&] { value_.emplace(*std::move(result)); },
          [this] { finish(absl::InternalError("Completion: the move of the result threw")); });
    }
    finish(std::move(status));
    return true;
  }
  T take() {
    set_taken();
    T value = *std::move(value_);
    value_.reset();
    return value;
  }

 private:
  std::optional<T> value_;  // between claim() and finish(), and later of the task
};

template <>
class CompletionState<void> final : public CompletionCore {
 public:
  bool complete(absl::Status&& result) {
    if (!claim()) return false;
    finish(std::move(result));
    return true;
  }
  void take() { set_taken(); }
};

template <typename T>
class CompletionOperation final : public CompletionWait, public WithResult<CompletionOperation<T>> {
 public:
  using Value = T;

  explicit CompletionOperation(Ref<CompletionState<T>> state) : CompletionWait(std::move(state)) {}
  CompletionOperation(CompletionOperation&&) = default;

  T take() { return static_cast<CompletionState<T>&>(core()).take(); }
};

}  // namespace internal

template <typename T>
class Completion;

// The other end of a Completion, for the callback. Copies complete the same one, on any thread, and
// may outlive it. It is a callback itself: `client.call(request, reply.completer())`.
template <typename T = void>
class Completer {
 public:
  using Result = internal::ResultType<T>;  // a StatusOr<T>, or a Status

  Completer(const Completer& other) : Completer(other.state_) {}
  Completer(Completer&& other) noexcept = default;
  Completer& operator=(Completer other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Completer() {
    if (state_) state_->drop_completer();
  }

  // Completes it with a value or an error. Returns true for the first call of all copies, and false
  // for later ones, which do nothing. The task is resumed in its order, and never inside this call.
  bool complete(Result result) const { return state_ && state_->complete(std::move(result)); }
  bool complete() const requires std::is_void_v<T> { return complete(absl::OkStatus()); }

  void operator()(Result result) const { (void)complete(std::move(result)); }
  void operator()() const requires std::is_void_v<T> { (void)complete(); }

 private:
  friend class Completion<T>;

  explicit Completer(internal::Ref<internal::CompletionState<T>> state) : state_(std::move(state)) {
    if (state_) state_->add_completer();
  }

  internal::Ref<internal::CompletionState<T>> state_;
};

// A Completion makes something that a task can await of an interface with callbacks. It completes
// once.
//
//   epore::Task<Reply> call(Client& client, const Request& request) {
//     epore::Completion<Reply> reply;
//     client.call(request, [done = reply.completer()](Reply r) { done.complete(std::move(r)); });
//     co_return co_await reply.wait();
//   }
//
// If the callback is destroyed without a call, so that no completer is left, it completes with
// Aborted. So no task waits for something that nobody will do.
//
// Threads: Completers may be on any thread. One task at a time waits.
//
// Lifetime: Completers may outlive the Completion. What they bring later is dropped, so what the
// callback refers to must outlive the callback, as ever: a stop of the task does not call the
// client off. If it must be, stop the client after `co_await reply.wait().result()`, or under a
// shield().
template <typename T = void>
class Completion {
 public:
  // Throws std::bad_alloc.
  Completion()
      : state_(internal::Ref<internal::CompletionState<T>>::adopt(
            new internal::CompletionState<T>())) {}
  Completion(Completion&&) noexcept = default;
  Completion& operator=(Completion&&) noexcept = default;

  // A handle that completes this, for the callback.
  [[nodiscard]] Completer<T> completer() const { return Completer<T>(state_); }

  // Waits for the result. Errors: the one that it was completed with; Aborted if all completers are
  // gone; those of a stop, and then it can be awaited again; FailedPrecondition if there was no
  // completer, another task waits, the value was taken before, or this was moved from.
  [[nodiscard]] internal::CompletionOperation<T> wait() {
    return internal::CompletionOperation<T>(state_);
  }

 private:
  internal::Ref<internal::CompletionState<T>> state_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_COMPLETION_H_
