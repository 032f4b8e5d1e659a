#include "epore/runtime/job.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/counted.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

Task<> waits() { co_await sleep_for(absl::InfiniteDuration()); }
Task<> nothing() { co_return; }
Task<> fails(std::string text) { co_await absl::NotFoundError(text); }

TEST(Job, NamesNoTask) {
  const Job job;
  job.stop();
  EXPECT_TRUE(absl::IsFailedPrecondition(job.wait()));
  EXPECT_EQ(job.status(), std::nullopt);
  EXPECT_EQ(job, Job());
}

TEST(Job, HasTheStatus) {
  Runtime runtime;
  const Job job = runtime.spawn(fails, "no");
  EXPECT_EQ(job.wait(), absl::NotFoundError("no"));
  EXPECT_EQ(job.wait(), absl::NotFoundError("no"));
  EXPECT_EQ(job.status(), absl::NotFoundError("no"));
  const Job copy = job;
  EXPECT_EQ(copy, job);
  EXPECT_NE(copy, runtime.spawn(nothing));
}

TEST(Job, HasNoStatusBeforeTheEnd) {
  Runtime runtime;
  const Job job = runtime.spawn(waits);
  EXPECT_EQ(job.status(), std::nullopt);
  job.stop();
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
  job.stop();
}

TEST(Job, OutlivesTheRuntime) {
  Job job;
  {
    Runtime runtime;
    job = runtime.spawn(waits);
    EXPECT_TRUE(runtime.shutdown(absl::Seconds(10)).ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(runtime.spawn(nothing).wait()));
  }
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

TEST(Job, StopFromManyThreads) {
  for (int round = 0; round < 20; ++round) {
    Runtime runtime({.workers = 2});
    const Job job = runtime.spawn([]() -> Task<> {
      for (;;) {
        co_await yield();
        (void)co_await within(absl::Microseconds(50), sleep_for(absl::Seconds(100))).result();
      }
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([copy = job] {
        copy.stop();
        EXPECT_TRUE(absl::IsCancelled(copy.wait()));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(Job, SpawnFromManyThreads) {
  Runtime runtime({.workers = 2});
  std::atomic<int> ended{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        const Job job = runtime.spawn([&ended]() -> Task<> {
          co_await yield();
          ++ended;
        });
        if (n % 3 == 0) {
          EXPECT_TRUE(job.wait().ok());
        }
        if (n % 3 == 1) job.stop();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (ended < 4 * 133) std::this_thread::yield();  // or the shutdown stops the last of them
  EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
  EXPECT_LE(ended.load(), 4 * 200);
}

TEST(Job, WaitInATaskOrACallbackIsRefused) {
  Runtime runtime;
  const Job job = runtime.spawn(waits);
  absl::Status in_task;
  EXPECT_TRUE(runtime
                  .run([&]() -> Task<> {
                    in_task = job.wait();
                    co_return;
                  })
                  .ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(in_task)) << in_task;
  absl::Notification done;
  ASSERT_TRUE(runtime
                  .post([&] {
                    EXPECT_TRUE(absl::IsFailedPrecondition(job.wait()));
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
}

// A run() that cannot wait must not start the task, which uses what is on the stack of run().
TEST(Run, InACallbackStartsNothing) {
  std::atomic<int> began{0};
  {
    Runtime runtime;
    absl::Notification done;
    ASSERT_TRUE(runtime
                    .post([&] {
                      const absl::StatusOr<std::string> got =
                          runtime.run([&began]() -> Task<std::string> {
                            ++began;
                            co_await yield();
                            co_return std::string(100, 'a');
                          });
                      EXPECT_TRUE(absl::IsFailedPrecondition(got.status())) << got.status();
                      const absl::Status none = runtime.run([&began]() -> Task<> {
                        ++began;
                        co_return;
                      });
                      EXPECT_TRUE(absl::IsFailedPrecondition(none)) << none;
                      done.Notify();
                    })
                    .ok());
    done.WaitForNotification();
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(runtime.run(nothing).ok());  // behind it
  }
  EXPECT_EQ(began.load(), 0);
}

TEST(Run, GivesValuesAndErrors) {
  Runtime runtime;
  const auto text = runtime.run(
      [](std::string text) -> Task<std::unique_ptr<std::string>> {
        co_await yield();
        co_return std::make_unique<std::string>(std::move(text));
      },
      std::string(100, 'x'));
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(**text, std::string(100, 'x'));
  const auto error = runtime.run([]() -> Task<int> { co_return absl::NotFoundError("no"); });
  EXPECT_EQ(error.status(), absl::NotFoundError("no"));
  const auto ok = runtime.run([]() -> Task<int> { co_return absl::OkStatus(); });
  EXPECT_TRUE(absl::IsInternal(ok.status())) << ok.status();
  const auto thrown = runtime.run([]() -> Task<int> {
    throw 7;
    co_return 1;
  });
  EXPECT_TRUE(absl::IsInternal(thrown.status())) << thrown.status();
}

TEST(Spawn, CopiesItsArguments) {
  const int before = Counted::live();
  {
    Runtime runtime;
    std::string text(100, 'a');
    Counted counted(5);
    std::string seen;
    const Job job = runtime.spawn(
        [&seen, in_lambda = Counted(1)](const std::string& text, Counted counted) -> Task<> {
          co_await yield();
          seen = text + std::to_string(counted + in_lambda);
        },
        text, counted);
    text = "changed";
    EXPECT_TRUE(job.wait().ok());
    EXPECT_EQ(seen, std::string(100, 'a') + "6");
    EXPECT_EQ(Counted::live(), before + 1);  // the copies are gone when the job has ended
  }
  EXPECT_EQ(Counted::live(), before);
}

TEST(Spawn, References) {
  Runtime runtime;
  std::string text;
  const Job job = runtime.spawn(
      [](std::string& text) -> Task<> {
        co_await yield();
        text = "set";
      },
      std::ref(text));
  EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(text, "set");
}

TEST(Spawn, MoveOnlyArguments) {
  Runtime runtime;
  const Job job = runtime.spawn(
      [](std::unique_ptr<int> number) -> Task<> {
        EXPECT_EQ(*number, 5);
        co_return;
      },
      std::make_unique<int>(5));
  EXPECT_TRUE(job.wait().ok());
}

TEST(Spawn, ACallableThatThrows) {
  Runtime runtime;
  const Job job = runtime.spawn([]() -> Task<> { throw std::runtime_error("no coroutine"); });
  EXPECT_TRUE(absl::IsInternal(job.wait())) << job.wait();
}

TEST(Spawn, InAnotherRuntimesOrderIsRefused) {
  Runtime runtime;
  Runtime other;
  EXPECT_TRUE(absl::IsInvalidArgument(runtime.spawn_in(other.order(), nothing).wait()));
}

TEST(Spawn, ARuntimeThatCouldNotStart) {
  Runtime runtime({.reactors = -1});
  EXPECT_EQ(runtime.spawn(nothing).wait(), runtime.status());
  EXPECT_EQ(runtime.run(nothing), runtime.status());
}

TEST(Spawn, LogsTheErrorThatNobodyLooksAt) {
  LogLines log;
  absl::Notification begun;  // or the shutdown stops it before
  {
    Runtime runtime;
    (void)runtime.spawn([&begun]() -> Task<> {
      begun.Notify();
      co_await absl::NotFoundError("seen-by-nobody");
    });
    begun.WaitForNotification();
    const Job job = runtime.spawn(fails, "waited-for");
    EXPECT_FALSE(job.wait().ok());
    const Job stopped = runtime.spawn(waits);
    stopped.stop();
  }
  EXPECT_TRUE(log.has("seen-by-nobody"));
  EXPECT_FALSE(log.has("waited-for"));
  EXPECT_FALSE(log.has("stopped"));
}

// A program that waits in run() is not woken for every task that ends.
TEST(Job, AWaitIsNotDisturbedByOthers) {
  FaultKernel kernel;
  std::atomic<int> parks{0};
  const std::thread::id waiter = std::this_thread::get_id();
  kernel.before(KernelCall::kPark, [&](const FaultKernel::Call&) {
    if (std::this_thread::get_id() == waiter) ++parks;
  });
  Runtime runtime({.kernel = &kernel});
  absl::Notification parked;
  EXPECT_TRUE(runtime
                  .run([&]() -> Task<> {
                    while (parks.load() == 0) co_await yield();
                    for (int i = 0; i < 100; ++i) {
                      const Job job = runtime.spawn(nothing);
                      while (!job.status().has_value()) co_await yield();
                    }
                  })
                  .ok());
  EXPECT_EQ(parks.load(), 1);
}

}  // namespace
}  // namespace epore
