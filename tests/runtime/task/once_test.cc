#include "epore/runtime/once.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

TEST(Once, ComputesOnceForAll) {
  Runtime runtime;
  int computed = 0;
  AsyncEvent go;
  Once<std::string> text([&]() -> Task<std::string> {
    ++computed;
    co_await go.wait();
    co_return "value";
  });
  EXPECT_EQ(text.peek(), nullptr);
  absl::Status status = runtime.run([&]() -> Task<> {
    auto use = [&]() -> Task<> {
      const std::string* const got = co_await text.get();
      EXPECT_EQ(*got, "value");
      EXPECT_EQ(got, text.peek());
    };
    auto let_go = [&]() -> Task<> {
      go.set();
      co_return;
    };
    co_await all(use(), use(), use(), let_go());
    co_await use();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(computed, 1);
}

TEST(Once, AnErrorIsForAllWhoWaitAndIsNotKept) {
  Runtime runtime;
  int computed = 0;
  AsyncEvent go;
  Once<std::unique_ptr<int>> number([&]() -> Task<std::unique_ptr<int>> {
    if (++computed == 1) {
      co_await go.wait();
      co_return absl::NotFoundError("no");
    }
    co_return std::make_unique<int>(computed);
  });
  absl::Status status = runtime.run([&]() -> Task<> {
    auto fails = [&]() -> Task<> {
      absl::Status got = (co_await number.get().result()).status();
      EXPECT_EQ(got, absl::NotFoundError("no"));
    };
    auto let_go = [&]() -> Task<> {
      go.set();
      co_return;
    };
    co_await all(fails(), fails(), let_go());
    const std::unique_ptr<int>* const got = co_await number.get();
    EXPECT_EQ(**got, 2);
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Once, IfTheOneThatComputesIsStoppedTheNextOneDoes) {
  Runtime runtime;
  int computed = 0;
  Once<int> number([&]() -> Task<int> {
    if (++computed == 1) co_await sleep_for(absl::InfiniteDuration());
    co_return computed;
  });
  absl::Status status = runtime.run([&]() -> Task<> {
    auto stopped = [&]() -> Task<> {
      absl::Status got = (co_await within(absl::Nanoseconds(1), number.get()).result()).status();
      EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
    };
    auto waits = [&]() -> Task<> {
      const int* const got = co_await number.get();
      EXPECT_EQ(*got, 2);
    };
    co_await all(stopped(), waits(), waits());
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(computed, 2);
}

TEST(Once, AStoppedWaiterLeavesTheOthersAlone) {
  Runtime runtime;
  AsyncEvent go;
  Once<int> number([&]() -> Task<int> {
    co_await go.wait();
    co_return 1;
  });
  absl::Status status = runtime.run([&]() -> Task<> {
    auto computes = [&]() -> Task<> { (void)co_await number.get(); };
    auto stopped = [&]() -> Task<> {
      absl::Status got = (co_await within(absl::Nanoseconds(1), number.get()).result()).status();
      EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
      go.set();
    };
    co_await all(computes(), stopped(), computes());
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Once, ATurnForATaskThatIsStoppedTooLateIsNotLost) {
  Runtime runtime;
  std::optional<Once<int>> number;
  int computed = 0;
  AsyncEvent go;
  number.emplace([&]() -> Task<int> {
    if (++computed == 1) co_await sleep_for(absl::InfiniteDuration());
    co_return computed;
  });
  AsyncEvent event;
  absl::Status status = runtime.run([&]() -> Task<> {
    co_await group([&](Group& outer) -> Task<> {
      outer.spawn([&]() -> Task<> {
        co_await group([&](Group& inner) -> Task<> {
          inner.spawn([&]() -> Task<> { (void)co_await number->get(); });  // has the turn
          inner.spawn([&]() -> Task<> { (void)co_await number->get(); });  // is the next one
          co_await event.wait();
          inner.stop();  // both
        });
      });
      outer.spawn([&]() -> Task<> {
        const int* const got = co_await number->get();
        EXPECT_EQ(*got, computed);
      });
      event.set();
      co_return;
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_GE(computed, 2);
}

TEST(Once, AFunctionThatThrowsIsAskedAgain) {
  Runtime runtime;
  int computed = 0;
  Once<int> number([&]() -> Task<int> {
    if (++computed == 1) throw 1;
    co_return computed;
  });
  absl::Status status = runtime.run([&]() -> Task<> {
    absl::Status got = (co_await number.get().result()).status();
    EXPECT_TRUE(absl::IsInternal(got)) << got;
    const int* const again = co_await number.get();
    EXPECT_EQ(*again, 2);
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Once, AShutdownEndsAll) {
  Once<int> number([]() -> Task<int> {
    co_await sleep_for(absl::InfiniteDuration());
    co_return 1;
  });
  Runtime runtime;
  std::vector<Job> jobs;
  for (int i = 0; i < 3; ++i) {
    jobs.push_back(runtime.spawn([&]() -> Task<> { (void)co_await number.get(); }));
  }
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  for (const Job& job : jobs) EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
}

TEST(Once, AcrossOrdersWithStops) {
  Runtime runtime({.workers = 3, .dispatch = Dispatch::workers});
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> computed = 0;
    Once<int> number([&]() -> Task<int> {
      co_await yield();
      co_return computed.fetch_add(1) + 1;
    });
    std::vector<Job> jobs;
    for (int i = 0; i < 4; ++i) {
      jobs.push_back(runtime.spawn([&]() -> Task<> {
        const int* const got = co_await number.get();
        EXPECT_EQ(*got, 1);
      }));
    }
    jobs[0].stop();
    jobs[1].stop();
    for (const Job& job : jobs) {
      const absl::Status status = job.wait();
      EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
    }
    EXPECT_TRUE(jobs[2].wait().ok());
    ASSERT_NE(number.peek(), nullptr);
    EXPECT_EQ(computed.load(), 1);
  }
}

}  // namespace
}  // namespace epore
