// The stack does not grow with the number of coroutines that complete, whatever the compiler makes
// of them.

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <utility>

#include "absl/base/config.h"
#include "absl/log/check.h"
#include "epore/poll/kernel/sanitizers.h"
#include "epore/runtime/group.h"
#include "epore/runtime/join.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/task.h"
#include "epore/runtime/within.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/manual_home.h"

namespace epore {
namespace {

#ifdef ABSL_HAVE_THREAD_SANITIZER
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = internal::kHasAddressSanitizer;
#endif
constexpr std::size_t kStack = kIsSanitized ? 512 * 1024 : 64 * 1024;
constexpr int kAwaits = kIsSanitized ? 300'000 : 10'000'000;
constexpr int kDepth = kIsSanitized ? 50'000 : 1'000'000;

void run_with_small_stack(std::function<void()> function) {
  pthread_attr_t attributes;
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  CHECK_EQ(pthread_attr_setstacksize(&attributes, kStack), 0);
  pthread_t thread;
  const auto start = [](void* function) -> void* {
    (*static_cast<std::function<void()>*>(function))();
    return nullptr;
  };
  CHECK_EQ(pthread_create(&thread, &attributes, start, &function), 0);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  CHECK_EQ(pthread_attr_destroy(&attributes), 0);
}

void run(std::function<Task<>()> task) {
  run_with_small_stack([&task] {
    ManualHome home;
    home.start(task());
    home.run();
    CHECK_OK(home.status());
  });
}

Task<int> one() { co_return 1; }
Task<int> fails() { co_return absl::NotFoundError("no"); }

TEST(Stack, ManyImmediateAwaits) {
  long sum = 0;
  run([&sum]() -> Task<> {
    for (int i = 0; i < kAwaits; ++i) sum += co_await one();
  });
  EXPECT_EQ(sum, kAwaits);
}

TEST(Stack, ManyImmediateErrors) {
  int failed = 0;
  run([&failed]() -> Task<> {
    for (int i = 0; i < kAwaits / 10; ++i) {
      if (!(co_await fails().result()).ok()) ++failed;
    }
  });
  EXPECT_EQ(failed, kAwaits / 10);
}

Task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await nested(depth - 1);
}

TEST(Stack, NestedTasksThatCompleteAtOnce) {
  int depth = 0;
  run([&depth]() -> Task<> { depth = co_await nested(kDepth); });
  EXPECT_EQ(depth, kDepth);
}

Task<int> nested_later(int depth) {
  if (depth == 0) {
    co_await yield();
    co_return 0;
  }
  co_return 1 + co_await nested_later(depth - 1);
}

TEST(Stack, NestedTasksThatCompleteLater) {
  int depth = 0;
  run([&depth]() -> Task<> { depth = co_await nested_later(kDepth); });
  EXPECT_EQ(depth, kDepth);
}

Task<> nested_error(int depth) {
  if (depth == 0) {
    co_await absl::NotFoundError("no");
    co_return;  // so that clang sees an end of the recursion
  }
  co_await nested_error(depth - 1);
}

TEST(Stack, NestedErrors) {
  bool failed = false;
  run([&failed]() -> Task<> { failed = !(co_await nested_error(kDepth).result()).ok(); });
  EXPECT_TRUE(failed);
}

Task<> nested_joins(int depth) {
  if (depth > 0) co_await all(nested_joins(depth - 1));
}
Task<> nested_limits(int depth) {
  if (depth > 0) co_await within(absl::Hours(1), nested_limits(depth - 1));
}

TEST(Stack, NestedJoinsAndLimits) {
  run([]() -> Task<> { co_await nested_joins(kDepth / 10); });
  run([]() -> Task<> { co_await nested_limits(kDepth / 10); });
}

Task<> waits_in_joins(int depth) {
  if (depth > 0) {
    co_await all(waits_in_joins(depth - 1));
  } else {
    co_await sleep_for(absl::InfiniteDuration());
  }
}

TEST(Stack, AStopOfNestedJoins) {
  run_with_small_stack([] {
    ManualHome home;
    home.start(waits_in_joins(kDepth / 20));
    while (home.posts() < kDepth / 20 / 4000) home.turn_now();
    for (int i = 0; i < 10; ++i) home.turn_now();
    home.ask_stop();
    home.run();
    CHECK(absl::IsCancelled(home.status())) << home.status();
  });
}

TEST(Stack, ManyChildrenOfAGroup) {
  int count = 0;
  run([&count]() -> Task<> {
    co_await group([&count](Group& group) -> Task<> {
      for (int i = 0; i < kAwaits / 100; ++i) {
        group.spawn([&count]() -> Task<> {
          ++count;
          co_return;
        });
      }
      co_return;
    });
  });
  EXPECT_EQ(count, kAwaits / 100);
}

// Each child starts the next one, in the call of spawn().
TEST(Stack, ChildrenThatSpawnChildren) {
  struct Line {
    static Task<> next(Group& group, int left) {
      if (left > 0) group.spawn(next, std::ref(group), left - 1);
      co_return;
    }
  };
  run([]() -> Task<> {
    co_await group([](Group& group) -> Task<> {
      group.spawn(Line::next, std::ref(group), kDepth / 10);
      co_return;
    });
  });
}

}  // namespace
}  // namespace epore
