#include "epore/runtime/async_event.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

// Tells when the last copy of a callable is gone.
struct End {
  explicit End(absl::Notification& ended) : ended(ended) {}
  ~End() { ended.Notify(); }

  absl::Notification& ended;
};

TEST(AsyncEvent, LetsGoOnWhileItIsSet) {
  Runtime runtime;
  AsyncEvent event(true);
  EXPECT_TRUE(runtime
                  .run([&]() -> Task<> {
                    co_await event.wait();
                    co_await event.wait();
                  })
                  .ok());
  event.reset();
  EXPECT_FALSE(event.is_set());
}

TEST(AsyncEvent, OneOperationIsAwaitedByOneTask) {
  Runtime runtime;
  AsyncEvent event;
  auto wait = event.wait();
  auto await = [&](std::vector<absl::Status>& ends) -> Task<> {
    ends.push_back(co_await wait.result());
    event.set();
  };
  std::vector<absl::Status> ends;
  const absl::Status got = runtime.run([&]() -> Task<> { co_await all(await(ends), await(ends)); });
  EXPECT_TRUE(got.ok()) << got;
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_TRUE(absl::IsFailedPrecondition(ends[0])) << ends[0];
  EXPECT_TRUE(ends[1].ok()) << ends[1];
}

TEST(AsyncEvent, ResumesAllThatWaitAndNobodyInsideTheCall) {
  Runtime runtime;
  AsyncEvent event;
  int resumed = 0;
  absl::Status got = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      for (int i = 0; i < 3; ++i) {
        group.spawn([&]() -> Task<> {
          co_await event.wait();
          ++resumed;
        });
      }
      event.set();
      event.reset();  // does not concern those that were resumed
      EXPECT_EQ(resumed, 0);
      co_return;
    });
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_EQ(resumed, 3);
}

TEST(AsyncEvent, AStopEndsTheWait) {
  Runtime runtime;
  AsyncEvent event;
  absl::Status waited;
  absl::Status again;
  absl::Status got = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> {
        waited = co_await event.wait().result();
        again = co_await event.wait().result();
      });
      group.stop();
      group.stop();
      co_return;
    });
    event.set();  // nobody is listed any more
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_TRUE(absl::IsCancelled(waited)) << waited;
  EXPECT_TRUE(absl::IsCancelled(again)) << again;
}

TEST(AsyncEvent, AStopAfterSetIsTooLate) {
  Runtime runtime;
  AsyncEvent event;
  absl::Status waited = absl::UnknownError("never");
  (void)runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> { waited = co_await event.wait().result(); });
      event.set();
      group.stop();
      co_return;
    });
  });
  EXPECT_TRUE(waited.ok()) << waited;
}

TEST(AsyncEvent, AStopBeforeSetWins) {
  Runtime runtime;
  AsyncEvent event;
  absl::Status waited;
  (void)runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> { waited = co_await event.wait().result(); });
      group.stop();
      event.set();
      co_return;
    });
  });
  EXPECT_TRUE(absl::IsCancelled(waited)) << waited;
}

TEST(AsyncEvent, ADeadlineEndsTheWait) {
  Runtime runtime;
  AsyncEvent event;
  absl::Status got =
      runtime.run([&]() -> Task<> { co_await within(absl::Nanoseconds(1), event.wait()); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(got)) << got;
}

TEST(AsyncEvent, AShutdownEndsTheWait) {
  AsyncEvent event;
  Runtime runtime;
  Job job = runtime.spawn([&]() -> Task<> { co_await event.wait(); });
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
}

TEST(AsyncEvent, MayBeDestroyedByWhoHasWaited) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  std::atomic<AsyncEvent*> shared = nullptr;
  std::atomic<bool> is_done = false;
  std::thread setter([&] {
    while (!is_done.load()) {
      if (AsyncEvent* const event = shared.exchange(nullptr)) event->set();
    }
  });
  absl::Status got = runtime.run([&]() -> Task<> {
    for (int i = 0; i < 300; ++i) {
      AsyncEvent event;
      shared.store(&event);
      co_await event.wait();
    }
  });
  is_done.store(true);
  setter.join();
  EXPECT_TRUE(got.ok()) << got;
}

// A task ends as soon as another thread has set the event, while that thread is still in set().
TEST(AsyncEvent, TheTaskMayEndDuringSet) {
  Runtime runtime({.workers = 2, .dispatch = Dispatch::workers});
  for (int i = 0; i < 200; ++i) {
    AsyncEvent event;
    absl::Notification ended;
    Job job = runtime.spawn(
        [&event, end = std::make_shared<End>(ended)]() -> Task<> { co_await event.wait(); });
    std::thread setter([&] { event.set(); });
    job.stop();
    job = Job();  // the task alone keeps itself
    setter.join();
    ended.WaitForNotification();
  }
}

TEST(AsyncEvent, AcrossOrders) {
  Runtime runtime({.workers = 3, .dispatch = Dispatch::workers});
  AsyncEvent ping;
  AsyncEvent pong;
  Job other = runtime.spawn([&]() -> Task<> {
    for (int i = 0; i < 200; ++i) {
      co_await ping.wait();
      ping.reset();
      pong.set();
    }
  });
  absl::Status got = runtime.run([&]() -> Task<> {
    for (int i = 0; i < 200; ++i) {
      ping.set();
      co_await pong.wait();
      pong.reset();
    }
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_TRUE(other.wait().ok());
}

}  // namespace
}  // namespace epore
