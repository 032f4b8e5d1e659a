#ifndef EPORE_RUNTIME_INTERNAL_TASK_ONCE_CORE_H_
#define EPORE_RUNTIME_INTERNAL_TASK_ONCE_CORE_H_

#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_list.h"

namespace epore::internal {

class OnceTurnWait;

// A OnceCore is a Once without the value: whose turn it is to compute.
//
//   empty      nobody computes, nobody waits
//   computing  one task has the turn, others wait
//   full       the value is there, nobody waits
class OnceCore {
 public:
  OnceCore() = default;
  OnceCore(const OnceCore&) = delete;
  OnceCore& operator=(const OnceCore&) = delete;
  ~OnceCore();

  bool has_value() const;

  // Whoever has the turn ends it: with the value, with an error for all who wait, or by giving it
  // to the next one.
  void set_full();
  void fail(const absl::Status& error);
  void hand_over();

 private:
  friend class OnceTurnWait;

  enum class State : std::uint8_t { empty, computing, full };

  bool begin(OnceTurnWait& wait, TaskNode& node);
  void cancel(OnceTurnWait& wait, const absl::Status& why);

  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::empty;
  WaitList waiting_ ABSL_GUARDED_BY(mutex_);
};

// The turn to compute, or none if the value is there. The destructor hands it over.
class [[nodiscard]] OnceTurn {
 public:
  explicit OnceTurn(OnceCore* core) : core_(core) {}
  OnceTurn(OnceTurn&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  ~OnceTurn() {
    if (core_ != nullptr) core_->hand_over();
  }

  bool is_mine() const { return core_ != nullptr; }
  void set_full() { std::exchange(core_, nullptr)->set_full(); }
  void fail(const absl::Status& error) { std::exchange(core_, nullptr)->fail(error); }

 private:
  OnceCore* core_;
};

// Waits for the turn or the value.
class OnceTurnWait final : public ListedOperation, public WithResult<OnceTurnWait> {
 public:
  using Value = OnceTurn;

  explicit OnceTurnWait(OnceCore& core) : core_(&core) {}
  OnceTurnWait(OnceTurnWait&&) = default;  // before it begins
  ~OnceTurnWait() {
    if (has_turn_) core_->hand_over();
  }

  bool begin(TaskNode& node) { return core_->begin(*this, node); }
  void finish(TaskNode&) {}
  OnceTurn take() { return OnceTurn(std::exchange(has_turn_, false) ? core_ : nullptr); }

 private:
  friend class OnceCore;

  void cancel(const absl::Status& why) override { core_->cancel(*this, why); }
  const char* name() const override { return "Once::get"; }

  OnceCore* core_;

  // Written under the lock, or by begin(). Its own order reads it when it has completed.
  bool has_turn_ = false;
};

// Ends with `error`, and so do all who wait. Under a stop it ends with that, and keeps the turn.
class OnceFailure final : public WithResult<OnceFailure> {
 public:
  using Value = void;

  OnceFailure(OnceTurn& turn, const absl::Status& error) : turn_(turn), error_(error) {}

  bool begin(TaskNode& node) {
    if (ends_with_stop(node)) return true;
    turn_.fail(error_);
    node.status = error_;
    return true;
  }
  void finish(TaskNode&) {}
  void take() {}

 private:
  OnceTurn& turn_;
  const absl::Status& error_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_ONCE_CORE_H_
