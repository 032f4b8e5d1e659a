#ifndef EPORE_RUNTIME_GROUP_H_
#define EPORE_RUNTIME_GROUP_H_

#include <atomic>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/bound_task.h"
#include "epore/runtime/internal/base/exceptions.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/task/join.h"
#include "epore/runtime/task.h"

namespace epore {
namespace internal {

// A child of a group, with its callable.
class GroupChild : public JoinChild, public InFrameCache {
 public:
  virtual ~GroupChild() = default;

  // Returns whether it has ended.
  virtual bool begin() = 0;

 private:
  TaskNode* ended() override;
};

template <typename Bound>
class GroupChildOf final : public GroupChild {
 public:
  template <typename... As>
  explicit GroupChildOf(As&&... arguments) : bound_(std::forward<As>(arguments)...) {}

  bool begin() override { return TaskCall<void>(bound_()).begin(*this); }

 private:
  Bound bound_;
};

template <typename F>
class GroupCall;

}  // namespace internal

// A Group is a set of child tasks, which may grow while they run. See group().
//
// A child begins in the call of spawn(), and is in the order of the group. Only the body and the
// children may call the methods. A spawn() elsewhere (on another thread, in a callback or a timer,
// or after the end of the group) is refused: nothing begins, the log has a line, and a group that
// has not ended ends with FailedPrecondition. It can be told only as long as the Group exists: to
// the end of the expression with group(). Let what is outside send to a Channel of which a child
// receives.
class Group final : private internal::Join {
 public:
  // Starts function(arguments...), which makes a Task<>. The function and copies of the arguments
  // (references by std::ref) live until the child has ended, so it may be a lambda with captures.
  // In a group that is stopped, or without memory, which stops it, the function is not called.
  //
  // A child must not refer to variables of the body: the body may end first. Let them belong to the
  // coroutine that awaits group(), which waits for all children.
  template <typename F, typename... Args>
  requires internal::TaskFunction<F, Args...>
  void spawn(F&& function, Args&&... arguments) {
    static_assert((internal::kLasts<Args> && ...),
                  "a view may end before the task: pass a std::string or epore::Bytes");
    using Bound = internal::BoundTaskOf<F, Args...>;
    if (!may_spawn() || is_stopped()) return;
    internal::call_or(
        [&] {
          start(new internal::GroupChildOf<Bound>(std::forward<F>(function),
                                                  std::forward<Args>(arguments)...));
        },
        [this] { fail_to_start(); });
  }

  // Stops the body and all children: what they wait for ends with Cancelled. The group ends with ok
  // if none of them has failed otherwise.
  void stop();

  // The number of children that have not ended.
  std::size_t size() const { return running_ - (body_runs_ ? 1 : 0); }

 private:
  template <typename F>
  friend class internal::GroupCall;
  friend class internal::GroupChild;

  class Body final : public internal::JoinChild {
   private:
    internal::TaskNode* ended() override;
  };

  Group() = default;
  Group(Group&&) noexcept : Join() {}  // before it begins

  bool may_spawn();
  void start(internal::GroupChild* child);
  void fail_to_start();
  bool begin(internal::TaskNode& node);
  bool begin_body(internal::TaskNode& node, Task<> body);
  bool fail_to_begin(internal::TaskNode& node);
  void decide(internal::JoinChild& child) override;
  const char* name() const override { return "group"; }

  Body body_;
  bool was_stopped_ = false;
  bool body_runs_ = false;
  std::atomic<bool> is_misused_ = false;  // by a spawn() that was refused, on any thread
};

namespace internal {

template <typename F>
class GroupCall : public WithResult<GroupCall<F>> {
 public:
  using Value = void;

  explicit GroupCall(F function) : function_(std::forward<F>(function)) {}
  GroupCall(GroupCall&&) = default;

  bool begin(TaskNode& node) {
    if (!group_.begin_join(node)) return true;
    return call_or([&] { return group_.begin_body(node, function_(group_)); },
                   [&] { return group_.fail_to_begin(node); });
  }
  void finish(TaskNode&) {}
  void take() {}

 private:
  F function_;
  Group group_;
};

}  // namespace internal

// Runs body(group), a Task<> that spawns child tasks, and waits for it and all children. The first
// error stops all the others (they end with Cancelled), and is the result.
//
//   co_await epore::group([&](epore::Group& group) -> epore::Task<> {
//     for (const Shard& shard : shards) group.spawn(ask, std::ref(shard), std::ref(query));
//     co_return;
//   });
//
// gcc 12 destroys a temporary lambda with captures twice in an awaiting expression if it has a
// destructor: capture by reference, or give the lambda a name.
template <typename F>
requires std::is_same_v<std::invoke_result_t<F&, Group&>, Task<>>
[[nodiscard]] auto group(F&& body) {
  static_assert(internal::kMayBeAwaited<F>,
                "gcc destroys the captures of this temporary lambda twice; give it a name, "
                "and await group(name)");
  if constexpr (std::is_lvalue_reference_v<F>) {
    return internal::GroupCall<F>(body);
  } else {
    return internal::GroupCall<std::decay_t<F>>(std::move(body));
  }
}

}  // namespace epore

#endif  // EPORE_RUNTIME_GROUP_H_
