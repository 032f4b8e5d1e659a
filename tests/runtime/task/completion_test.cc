#include "epore/runtime/completion.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

TEST(Completion, OneThatWasMovedFrom) {
  Runtime runtime;
  Completion<int> from;
  const Completer<int> done = from.completer();
  const Completion<int> to = std::move(from);
  EXPECT_FALSE(from.completer().complete(1));
  const absl::Status got = runtime.run([&]() -> Task<> { co_await from.wait(); });
  EXPECT_EQ(got,
            absl::FailedPreconditionError("Completion::wait: this handle names no completion"));
}

TEST(Completion, GivesWhatTheCallbackGot) {
  Runtime runtime;
  std::function<void(int)> callback;  // as an interface with callbacks keeps it
  absl::StatusOr<int> got = runtime.run([&]() -> Task<int> {
    Completion<int> answer;
    callback = [done = answer.completer()](int value) { EXPECT_TRUE(done.complete(value)); };
    co_await runtime.post([&] { callback(42); });
    co_return co_await answer.wait();
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, 42);
}

TEST(Completion, ACompleterIsACallback) {
  Runtime runtime;
  absl::Status status = runtime.run([&]() -> Task<> {
    Completion<std::string> text;
    const std::function<void(std::string)> callback = text.completer();
    callback("a");
    const std::string got = co_await text.wait();
    EXPECT_EQ(got, "a");
    Completion<> done;
    const std::function<void()> tell = done.completer();
    tell();
    co_await done.wait();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Completion, OnlyTheFirstOneCounts) {
  Runtime runtime;
  absl::Status status = runtime.run([&]() -> Task<> {
    Completion<int> number;
    const Completer<int> one = number.completer();
    const Completer<int> other = one;
    EXPECT_TRUE(one.complete(1));
    EXPECT_FALSE(other.complete(2));
    EXPECT_FALSE(one.complete(absl::NotFoundError("no")));
    const int got = co_await number.wait();
    EXPECT_EQ(got, 1);
    EXPECT_FALSE(other.complete(3));
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Completion, CompletesWithAnError) {
  Runtime runtime;
  absl::Status status = runtime.run([&]() -> Task<> {
    Completion<> done;
    done.completer().complete(absl::NotFoundError("no"));
    co_await done.wait();
  });
  EXPECT_EQ(status, absl::NotFoundError("no"));
}

TEST(Completion, DroppedCompletersEndTheWait) {
  Runtime runtime;
  absl::Status status = runtime.run([&]() -> Task<> {
    Completion<int> number;
    auto callback = std::make_unique<Completer<int>>(number.completer());
    auto copy = std::make_unique<Completer<int>>(*callback);
    co_await runtime.post([&] {
      callback.reset();
      copy.reset();
    });
    (void)co_await number.wait();
  });
  EXPECT_TRUE(absl::IsAborted(status)) << status;
}

TEST(Completion, WrongUsesAreErrors) {
  Runtime runtime;
  absl::Status status = runtime.run([&]() -> Task<> {
    Completion<int> number;
    absl::Status nobody = (co_await number.wait().result()).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(nobody)) << nobody;
    const Completer<int> done = number.completer();
    auto waits = [&]() -> Task<> {
      const int got = co_await number.wait();
      EXPECT_EQ(got, 1);
    };
    auto waits_too = [&]() -> Task<> {
      absl::Status second = (co_await number.wait().result()).status();
      EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
      EXPECT_TRUE(done.complete(1));
    };
    co_await all(waits(), waits_too());
    absl::Status taken = (co_await number.wait().result()).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(taken)) << taken;
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Completion, AStopLeavesTheValueForLater) {
  Runtime runtime;
  absl::Status status = runtime.run([&]() -> Task<> {
    Completion<std::unique_ptr<int>> value;
    const Completer<std::unique_ptr<int>> done = value.completer();
    absl::Status late = (co_await within(absl::Nanoseconds(1), value.wait()).result()).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
    AsyncEvent event;
    auto waits = [&]() -> Task<> {
      auto which = co_await any(event.wait(), value.wait());
      EXPECT_EQ(which.index(), 0u);
    };
    auto gives = [&]() -> Task<> {
      event.set();
      EXPECT_TRUE(done.complete(std::make_unique<int>(7)));
      co_return;
    };
    co_await all(waits(), gives());
    std::unique_ptr<int> got = co_await value.wait();
    EXPECT_EQ(*got, 7);
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Completion, CompletedBeatsStopped) {
  Runtime runtime;
  absl::StatusOr<int> got;
  (void)runtime.run([&]() -> Task<> {
    Completion<int> number;
    const Completer<int> done = number.completer();
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> { got = co_await number.wait().result(); });
      EXPECT_TRUE(done.complete(1));
      group.stop();
      group.stop();
      co_return;
    });
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, 1);
}

TEST(Completion, TheCallbackMayComeWhenTheTaskHasGone) {
  Runtime runtime;
  std::optional<Completer<std::unique_ptr<int>>> late;
  absl::Status status = runtime.run([&]() -> Task<> {
    Completion<std::unique_ptr<int>> value;
    late = value.completer();
    (void)co_await within(absl::ZeroDuration(), value.wait());
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_TRUE(late->complete(std::make_unique<int>(1)));
  EXPECT_FALSE(late->complete(std::make_unique<int>(2)));
}

TEST(Completion, AShutdownEndsTheWait) {
  std::optional<Completer<>> never;
  Runtime runtime;
  Job job = runtime.spawn([&]() -> Task<> {
    Completion<> done;
    never = done.completer();
    co_await done.wait();
  });
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
}

// Threads race to complete, and the task is stopped meanwhile.
TEST(Completion, OneOfManyThreadsCompletes) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  for (int round = 0; round < 60; ++round) {
    std::vector<std::thread> threads;
    std::atomic<int> firsts = 0;
    Job job = runtime.spawn([&]() -> Task<> {
      Completion<std::unique_ptr<int>> value;
      for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&firsts, done = value.completer(), i] {
          if (done.complete(std::make_unique<int>(i))) firsts.fetch_add(1);
        });
      }
      (void)co_await value.wait();
    });
    if (round % 2 == 1) job.stop();
    const absl::Status ended = job.wait();
    EXPECT_TRUE(ended.ok() || absl::IsCancelled(ended)) << ended;
    const bool has_begun = !threads.empty();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(firsts.load(), has_begun ? 1 : 0);
  }
}

}  // namespace
}  // namespace epore
