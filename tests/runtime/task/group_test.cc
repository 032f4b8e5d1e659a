#include "epore/runtime/group.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/async_event.h"
#include "epore/runtime/join.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/task.h"
#include "epore/runtime/within.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/counted.h"
#include "tests/runtime/task/manual_home.h"

namespace epore {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);

absl::Status run(Task<> task) {
  ManualHome home;
  home.start(std::move(task));
  home.run();
  return home.status();
}

Task<> wait_and_count(absl::Duration time, int& count) {
  Counted local;
  co_await sleep_for(time);
  ++count;
}
Task<> fail_after(absl::Duration time) {
  co_await sleep_for(time);
  co_await absl::NotFoundError("no");
}

TEST(Group, WaitsForAll) {
  int count = 0;
  EXPECT_TRUE(run([](int& count) -> Task<> {
                co_await group([&](Group& group) -> Task<> {
                  for (int i = 0; i < 5; ++i) group.spawn(wait_and_count, kMs * i, std::ref(count));
                  EXPECT_EQ(group.size(), 5u);
                  co_return;
                });
                EXPECT_EQ(count, 5);
              }(count))
                  .ok());
}

TEST(Group, ASpawnOfAnotherThreadIsRefused) {
  Runtime runtime;
  bool was_called = false;
  const absl::Status got = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      std::thread([&] {
        group.spawn([&]() -> Task<> {
          was_called = true;
          co_return;
        });
      }).join();
      co_return;
    });
  });
  EXPECT_TRUE(absl::IsFailedPrecondition(got)) << got;
  EXPECT_FALSE(was_called);
}

TEST(Group, ASpawnOfATimerOfTheOrderIsRefused) {
  Runtime runtime;
  const Order order = runtime.order();
  bool was_called = false;
  const absl::Status got = runtime
                               .spawn_in(order,
                                         [&]() -> Task<> {
                                           co_await group([&](Group& group) -> Task<> {
                                             AsyncEvent fired;
                                             const Timer timer =
                                                 order.post_after(absl::ZeroDuration(), [&] {
                                                   group.spawn([&]() -> Task<> {
                                                     was_called = true;
                                                     co_return;
                                                   });
                                                   fired.set();
                                                 });
                                             co_await fired.wait();
                                           });
                                         })
                               .wait();
  EXPECT_TRUE(absl::IsFailedPrecondition(got)) << got;
  EXPECT_FALSE(was_called);
}

TEST(Group, ASpawnAfterTheEndIsRefused) {
  Runtime runtime;
  bool was_called = false;
  const absl::Status got = runtime.run([&]() -> Task<> {
    Group* left = nullptr;
    auto all_of_it = group([&](Group& group) -> Task<> {
      left = &group;
      co_return;
    });
    co_await all_of_it;
    left->spawn([&]() -> Task<> {
      was_called = true;
      co_return;
    });
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_FALSE(was_called);
}

TEST(Group, Empty) {
  EXPECT_TRUE(run([]() -> Task<> {
                co_await group([](Group& group) -> Task<> {
                  EXPECT_EQ(group.size(), 0u);
                  co_return;
                });
              }())
                  .ok());
}

TEST(Group, TheFirstErrorStopsTheOthers) {
  int count = 0;
  const absl::Status got = run([](int& count) -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn(wait_and_count, kMs * 1, std::ref(count));
      group.spawn(fail_after, kMs * 2);
      group.spawn(wait_and_count, kMs * 3, std::ref(count));
      const absl::Status body = co_await sleep_for(kMs * 9).result();
      EXPECT_TRUE(absl::IsCancelled(body)) << body;
      bool was_called = false;
      group.spawn([&]() -> Task<> {
        was_called = true;
        co_return;
      });
      EXPECT_FALSE(was_called);
    });
  }(count));
  EXPECT_EQ(got, absl::NotFoundError("no"));
  EXPECT_EQ(count, 1);
  EXPECT_EQ(Counted::live(), 0);
}

TEST(Group, AnErrorOfTheBodyStopsTheChildren) {
  int count = 0;
  const absl::Status got = run([](int& count) -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn(wait_and_count, kMs * 9, std::ref(count));
      co_await absl::NotFoundError("body");
    });
  }(count));
  EXPECT_EQ(got, absl::NotFoundError("body"));
  EXPECT_EQ(count, 0);
}

TEST(Group, AChildThatFailsAtOnce) {
  int count = 0;
  const absl::Status got = run([](int& count) -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn(wait_and_count, kMs, std::ref(count));
      group.spawn([]() -> Task<> { co_await absl::NotFoundError("at once"); });
      co_await sleep_for(kMs * 5);
    });
  }(count));
  EXPECT_EQ(got, absl::NotFoundError("at once"));
  EXPECT_EQ(count, 0);
}

TEST(Group, ChildrenSpawnChildren) {
  struct Tree {
    static Task<> grow(Group& group, int depth, int& count) {
      ++count;
      if (depth == 0) co_return;
      group.spawn(grow, std::ref(group), depth - 1, std::ref(count));
      co_await yield();
      group.spawn(grow, std::ref(group), depth - 1, std::ref(count));
    }
  };
  int count = 0;
  EXPECT_TRUE(run([](int& count) -> Task<> {
                co_await group([&](Group& group) -> Task<> {
                  group.spawn(Tree::grow, std::ref(group), 10, std::ref(count));
                  co_return;
                });
              }(count))
                  .ok());
  EXPECT_EQ(count, (1 << 11) - 1);
}

TEST(Group, StopEndsItWithOk) {
  int count = 0;
  EXPECT_TRUE(run([](int& count) -> Task<> {
                co_await group([&](Group& group) -> Task<> {
                  group.spawn(wait_and_count, kMs, std::ref(count));
                  group.spawn(wait_and_count, kMs * 9, std::ref(count));
                  group.spawn([&group]() -> Task<> {
                    co_await sleep_for(kMs * 2);
                    group.stop();
                    const absl::Status me = co_await yield().result();
                    EXPECT_TRUE(absl::IsCancelled(me)) << me;
                  });
                  co_return;
                });
              }(count))
                  .ok());
  EXPECT_EQ(count, 1);
}

TEST(Group, CapturesLiveAsLongAsTheChild) {
  std::string seen;
  EXPECT_TRUE(run([](std::string& seen) -> Task<> {
                co_await group([&](Group& group) -> Task<> {
                  group.spawn(
                      [&seen, text = std::string(100, 'a'),
                       counted = Counted()](std::string more) -> Task<> {
                        co_await sleep_for(kMs);
                        seen = text + more;
                      },
                      "b");
                  co_return;
                });
                EXPECT_EQ(Counted::live(), 0);
              }(seen))
                  .ok());
  EXPECT_EQ(seen, std::string(100, 'a') + "b");
}

TEST(Group, ACallableThatThrows) {
  int count = 0;
  const absl::Status got = run([](int& count) -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn(wait_and_count, kMs, std::ref(count));
      group.spawn([counted = Counted()]() -> Task<> { throw std::runtime_error("no coroutine"); });
      co_return;
    });
  }(count));
  EXPECT_TRUE(absl::IsInternal(got)) << got;
  EXPECT_EQ(count, 0);
  EXPECT_EQ(Counted::live(), 0);
}

TEST(Group, AnArgumentThatCannotBeCopied) {
  struct Stubborn {
    Stubborn() = default;
    Stubborn(const Stubborn&) { throw std::runtime_error("no copy"); }
  };
  const absl::Status got = run([]() -> Task<> {
    co_await group([](Group& group) -> Task<> {
      const Stubborn stubborn;
      group.spawn([](Stubborn) -> Task<> { co_return; }, stubborn);
      co_return;
    });
  }());
  EXPECT_TRUE(absl::IsInternal(got)) << got;
}

// The body is no coroutine. What it has spawned before must have ended when group() does.
TEST(Group, ABodyThatThrowsAfterASpawn) {
  int count = 0;
  const absl::Status got = run([](int& count) -> Task<> {
    const auto body = [&count](Group& group) -> Task<> {
      group.spawn(wait_and_count, kMs, std::ref(count));
      throw std::runtime_error("no coroutine");
    };
    const absl::Status inner = co_await group(body).result();
    EXPECT_EQ(Counted::live(), 0);
    co_await sleep_for(kMs * 5);
    co_await inner;
  }(count));
  EXPECT_TRUE(absl::IsInternal(got)) << got;
  EXPECT_EQ(count, 0);
}

TEST(Group, InADeadline) {
  int count = 0;
  const absl::Status got = run([](int& count) -> Task<> {
    co_await within(kMs * 3, group([&](Group& group) -> Task<> {
                      group.spawn(wait_and_count, kMs, std::ref(count));
                      group.spawn(wait_and_count, kMs * 9, std::ref(count));
                      co_return;
                    }));
  }(count));
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
  EXPECT_EQ(count, 1);
}

// What was asked for has not run, so it is no success.
TEST(Group, AChildThatADeadlineLeavesOutIsTold) {
  for (const bool is_stopped : {false, true}) {
    for (const bool is_spawned_late : {false, true}) {
      int count = 0;
      const absl::Status got = run([](bool is_stopped, bool is_spawned_late, int& count) -> Task<> {
        co_await within(kMs * 5, group([&](Group& group) -> Task<> {
                          co_await shield(sleep_for(kMs * 10));
                          if (is_stopped) group.stop();
                          if (is_spawned_late) group.spawn(wait_and_count, kMs, std::ref(count));
                        }));
      }(is_stopped, is_spawned_late, count));
      EXPECT_EQ(count, 0);
      EXPECT_EQ(absl::IsDeadlineExceeded(got), is_spawned_late && !is_stopped) << got;
      EXPECT_EQ(got.ok(), !is_spawned_late || is_stopped) << got;
    }
  }
}

TEST(Group, AShieldedChildIsWaitedFor) {
  int count = 0;
  const absl::Status got = run([](int& count) -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn(fail_after, kMs);
      group.spawn([&count]() -> Task<> { co_await shield(wait_and_count(kMs * 9, count)); });
      co_return;
    });
  }(count));
  EXPECT_EQ(got, absl::NotFoundError("no"));
  EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace epore
