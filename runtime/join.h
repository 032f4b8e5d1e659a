#ifndef EPORE_RUNTIME_JOIN_H_
#define EPORE_RUNTIME_JOIN_H_

#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "epore/runtime/internal/task/join.h"
#include "epore/runtime/task.h"

namespace epore {
namespace internal {

// void as a value.
template <typename T>
using NonVoid = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <typename A>
NonVoid<typename A::Value> take_non_void(AwaitingChild<A>& child) {
  if constexpr (std::is_void_v<typename A::Value>) {
    child.take();
    return {};
  } else {
    return child.take();
  }
}

// all(): the first error stops the others and is the result.
class AllJoin : public Join {
 protected:
  AllJoin() = default;
  AllJoin(AllJoin&&) = default;
  ~AllJoin() = default;

  void decide(JoinChild& child) override {
    if (child.status.ok() || !result_.ok()) return;
    result_ = child.status;
    cancel_children("another part of all() has failed");
  }
  const char* name() const override { return "all"; }
};

template <typename... As>
class All final : public AllJoin, public WithResult<All<As...>> {
 public:
  static constexpr bool kIsVoid = (std::is_void_v<typename As::Value> && ...);
  using Value = std::conditional_t<kIsVoid, void, std::tuple<NonVoid<typename As::Value>...>>;

  explicit All(As&&... awaitables) : children_(AwaitingChild<As>(std::move(awaitables))...) {}
  All(All&&) = default;

  bool begin(TaskNode& node) {
    if (!begin_join(node)) return true;
    std::apply([this](auto&... child) { (this->begin_child(child), ...); }, children_);
    return end_begin(node);
  }
  void finish(TaskNode&) {}
  Value take() {
    return std::apply(
        [](auto&... child) {
          if constexpr (kIsVoid) {
            (child.take(), ...);
          } else {
            return Value{take_non_void(child)...};
          }
        },
        children_);
  }

 private:
  template <typename Child>
  void begin_child(Child& child) {
    if (!result_.ok()) return;  // one before has failed at once
    add(child);
    if (child.begin()) ended_at_once(child);
  }

  std::tuple<AwaitingChild<As>...> children_;
};

template <typename A>
class AllOf final : public AllJoin, public WithResult<AllOf<A>> {
 public:
  using Value = std::conditional_t<std::is_void_v<typename A::Value>, void,
                                   std::vector<NonVoid<typename A::Value>>>;

  explicit AllOf(std::vector<AwaitingChild<A>>&& children) : children_(std::move(children)) {}
  AllOf(AllOf&&) = default;

  bool begin(TaskNode& node) {
    if (!begin_join(node)) return true;
    for (AwaitingChild<A>& child : children_) {
      if (!result_.ok()) break;
      add(child);
      if (child.begin()) ended_at_once(child);
    }
    return end_begin(node);
  }
  void finish(TaskNode&) {}
  Value take() {
    if constexpr (!std::is_void_v<Value>) {
      Value values;
      values.reserve(children_.size());
      for (AwaitingChild<A>& child : children_) values.push_back(child.take());
      return values;
    } else {
      for (AwaitingChild<A>& child : children_) child.take();
    }
  }

 private:
  std::vector<AwaitingChild<A>> children_;
};

// any(): the first success stops the others. If there is none, the first error is the result.
class AnyJoin : public Join {
 protected:
  AnyJoin() = default;
  AnyJoin(AnyJoin&&) noexcept : Join() {}  // before it begins, or after its end
  ~AnyJoin() = default;

  void decide(JoinChild& child) override {
    if (winner_ != nullptr) return;
    if (child.status.ok()) {
      winner_ = &child;
      result_ = absl::OkStatus();
      cancel_children("another part of any() was first");
    } else if (result_.ok()) {
      result_ = child.status;
    }
  }
  const char* name() const override { return "any"; }

  JoinChild* winner_ = nullptr;
};

template <typename... As>
class Any final : public AnyJoin, public WithResult<Any<As...>> {
 public:
  using Value = std::variant<NonVoid<typename As::Value>...>;

  explicit Any(As&&... awaitables) : children_(AwaitingChild<As>(std::move(awaitables))...) {}
  Any(Any&&) = default;

  bool begin(TaskNode& node) {
    if (!begin_join(node)) return true;
    std::apply([this](auto&... child) { (this->begin_child(child), ...); }, children_);
    return end_begin(node);
  }
  void finish(TaskNode&) {}
  Value take() { return take_from<0>(); }

 private:
  template <typename Child>
  void begin_child(Child& child) {
    if (winner_ != nullptr) return;
    add(child);
    if (child.begin()) ended_at_once(child);
  }

  // The value of the winner, which is not before I.
  template <std::size_t I>
  Value take_from() {
    if constexpr (I + 1 < sizeof...(As)) {
      if (&std::get<I>(children_) != winner_) return take_from<I + 1>();
    }
    return Value(std::in_place_index<I>, take_non_void(std::get<I>(children_)));
  }

  std::tuple<AwaitingChild<As>...> children_;
};

template <typename A>
class AnyOf final : public AnyJoin, public WithResult<AnyOf<A>> {
 public:
  using Value = std::conditional_t<std::is_void_v<typename A::Value>, std::size_t,
                                   std::pair<std::size_t, NonVoid<typename A::Value>>>;

  explicit AnyOf(std::vector<AwaitingChild<A>>&& children) : children_(std::move(children)) {}
  AnyOf(AnyOf&&) = default;

  bool begin(TaskNode& node) {
    if (!begin_join(node)) return true;
    if (children_.empty()) has_no_child();
    for (AwaitingChild<A>& child : children_) {
      if (winner_ != nullptr) break;
      add(child);
      if (child.begin()) ended_at_once(child);
    }
    return end_begin(node);
  }
  void finish(TaskNode&) {}
  Value take() {
    std::size_t index = 0;
    while (index + 1 < children_.size() && &children_[index] != winner_) ++index;
    if constexpr (std::is_void_v<typename A::Value>) {
      children_[index].take();
      return index;
    } else {
      return Value(index, children_[index].take());
    }
  }

 private:
  std::vector<AwaitingChild<A>> children_;
};

// By value, so that the caller's vector is empty behind it.
template <typename T>
auto children_of(std::vector<Task<T>> tasks) {
  std::vector<AwaitingChild<TaskCall<T>>> children;
  children.reserve(tasks.size());
  for (Task<T>& task : tasks) children.emplace_back(TaskCall<T>(std::move(task)));
  return children;
}

}  // namespace internal

// Awaits all of them at the same time, and gives a tuple of their values, in which void is a
// std::monostate; nothing if all are void.
//
//   auto [name, size] = co_await epore::all(read_name(file), read_size(file));
//
// It ends when every one has ended. The first error stops the others (they end with Cancelled), and
// is the result. Tasks, operations, within() and other joins can be mixed.
template <typename... As>
[[nodiscard]] auto all(As&&... awaitables) {
  return internal::All<internal::AsAwaitable<As>...>(
      internal::AsAwaitable<As>(std::forward<As>(awaitables))...);
}

// As above for any number of tasks: gives a vector of their values, in the same sequence.
template <typename T>
[[nodiscard]] auto all(std::vector<Task<T>>&& tasks) {
  return internal::AllOf<internal::TaskCall<T>>(internal::children_of(std::move(tasks)));
}
template <typename T>
void all(std::vector<Task<T>>&) {
  static_assert(sizeof(Task<T>) == 0, "await tasks once: co_await all(std::move(tasks))");
}

// Awaits all of them at the same time, and gives the first value, as a variant whose index() says
// which one it was. The others are stopped, and any() ends when every one has ended. What the
// others have got meanwhile is not lost: bytes stay in their connection, items in their channel. If
// all end with errors, the first one is the result.
//
//   auto first = co_await epore::any(peer.read(), bell.wait());
//   if (first.index() == 0) answer(std::get<0>(first));
template <typename... As>
[[nodiscard]] auto any(As&&... awaitables) {
  static_assert(sizeof...(As) > 0, "any() waits for the first of several, and needs one at least");
  if constexpr (sizeof...(As) > 0) {
    return internal::Any<internal::AsAwaitable<As>...>(
        internal::AsAwaitable<As>(std::forward<As>(awaitables))...);
  } else {
    return absl::OkStatus();
  }
}

// As above for any number of tasks: gives the index of the first that has ended without an error,
// and its value: a pair, or the index alone if they have none. Without a task it is
// InvalidArgument.
//
//   auto [which, answer] = co_await epore::any(std::move(questions));
template <typename T>
[[nodiscard]] auto any(std::vector<Task<T>>&& tasks) {
  return internal::AnyOf<internal::TaskCall<T>>(internal::children_of(std::move(tasks)));
}
template <typename T>
void any(std::vector<Task<T>>&) {
  static_assert(sizeof(Task<T>) == 0, "await tasks once: co_await any(std::move(tasks))");
}

}  // namespace epore

#endif  // EPORE_RUNTIME_JOIN_H_
