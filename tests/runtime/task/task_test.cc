#include "epore/runtime/task.h"

#include <memory>
#include <string>
#include <vector>

#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

Task<int> one() { co_return 1; }
Task<int> fails() { co_return absl::NotFoundError("no"); }
Task<int> sum(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await sum(depth - 1);
  co_return below + co_await one();
}

TEST(Task, GivesAValue) {
  Runtime runtime;
  absl::StatusOr<int> got = runtime.run(one);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, 1);
}

TEST(Task, OneThatWasMovedFromIsAnError) {
  Runtime runtime;
  absl::Status got = runtime.run([]() -> Task<> {
    Task<int> task = one();
    EXPECT_EQ(co_await std::move(task), 1);
    absl::StatusOr<int> again = co_await std::move(task).result();
    EXPECT_TRUE(absl::IsFailedPrecondition(again.status())) << again.status();
    Task<> nothing = []() -> Task<> { co_return; }();
    Task<> taken = std::move(nothing);
    co_await std::move(taken);
    co_await std::move(nothing);
  });
  EXPECT_EQ(got, absl::FailedPreconditionError(
                     "a task was awaited that was moved from, or awaited before"));
}

TEST(Task, Nested) {
  Runtime runtime;
  absl::StatusOr<int> got = runtime.run(sum, 100000);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, 100000);
}

TEST(Task, AnErrorEndsTheAwaitingTask) {
  Runtime runtime;
  bool went_on = false;
  absl::Status got = runtime.run([&]() -> Task<> {
    auto text = std::make_unique<int>(5);
    co_await fails();
    went_on = true;
  });
  EXPECT_EQ(got, absl::NotFoundError("no"));
  EXPECT_FALSE(went_on);
}

TEST(Task, ResultGivesTheStatus) {
  Runtime runtime;
  absl::Status got = runtime.run([]() -> Task<> {
    absl::StatusOr<int> number = co_await fails().result();
    EXPECT_EQ(number.status(), absl::NotFoundError("no"));
    co_await number.status();
  });
  EXPECT_EQ(got, absl::NotFoundError("no"));
}

TEST(Task, Sleeps) {
  Runtime runtime;
  EXPECT_TRUE(runtime
                  .run([]() -> Task<> {
                    co_await sleep_for(absl::Milliseconds(2));
                    for (int i = 0; i < 1000; ++i) co_await yield();
                    Ticker ticker(absl::Milliseconds(1));
                    for (int i = 0; i < 3; ++i) co_await ticker.tick();
                  })
                  .ok());
}

TEST(Task, Within) {
  Runtime runtime;
  absl::Status got = runtime.run([]() -> Task<> {
    co_await within(absl::Milliseconds(1), sleep_for(absl::InfiniteDuration()));
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
}

TEST(Task, Joins) {
  Runtime runtime;
  absl::Status got = runtime.run([]() -> Task<> {
    auto both = co_await all(one(), sum(3), sleep_for(absl::Milliseconds(1)));
    EXPECT_EQ(std::get<0>(both) + std::get<1>(both), 4);
    auto first = co_await any(sleep_for(absl::Hours(1)), one());
    EXPECT_EQ(first.index(), 1u);
    int count = 0;
    co_await group([&](Group& group) -> Task<> {
      for (int i = 0; i < 10; ++i) {
        group.spawn(
            [&count, text = std::string(100, 'a')](int by) -> Task<> {
              co_await yield();
              count += by + static_cast<int>(text.size()) - 100;
            },
            2);
      }
      co_return;
    });
    EXPECT_EQ(count, 20);
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 5; ++i) tasks.push_back(sum(i));
    std::vector<int> sums = co_await all(std::move(tasks));
    EXPECT_EQ(sums, std::vector<int>({0, 1, 2, 3, 4}));
  });
  EXPECT_TRUE(got.ok()) << got;
}

TEST(Task, Stop) {
  Runtime runtime;
  Job job = runtime.spawn([]() -> Task<> { co_await sleep_for(absl::InfiniteDuration()); });
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

}  // namespace
}  // namespace epore
