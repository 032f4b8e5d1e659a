// Lanes: threads for calls that block, apart from those of other lanes.

#include "epore/runtime/lane.h"

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/fault_kernel.h"

namespace epore {
namespace {

// A lane whose calls do not return holds up no call of another one.
TEST(LaneTest, ABlockedLaneHoldsUpNoOther) {
  Runtime runtime;
  const absl::StatusOr<Lane> names = runtime.lane({.name = "names", .threads = 2, .queue = 10});
  const absl::StatusOr<Lane> disk = runtime.lane({.name = "disk", .threads = 1});
  ASSERT_TRUE(names.ok() && disk.ok());
  EXPECT_FALSE(*names == *disk);
  absl::Notification go_on;
  auto waits = [&] { go_on.WaitForNotification(); };
  std::vector<Job> jobs;
  for (int i = 0; i < 12; ++i) {
    jobs.push_back(runtime.spawn([&]() -> Task<> { co_await blocking(*names, waits); }));
  }
  auto five = [] { return 5; };
  Job other = runtime.spawn([&]() -> Task<> {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(co_await blocking(*disk, five), 5);
    EXPECT_EQ(co_await blocking(five), 5) << "the lane of the runtime";
    EXPECT_EQ(co_await blocking(Lane(), five), 5);
  });
  EXPECT_TRUE(other.wait().ok()) << other.wait();
  go_on.Notify();
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok()) << job.wait();
}

TEST(LaneTest, HasNoMoreThreadsThanItMayAndNoMoreInLine) {
  Runtime runtime;
  const absl::StatusOr<Lane> lane = runtime.lane({.name = "narrow", .threads = 2, .queue = 3});
  ASSERT_TRUE(lane.ok());
  absl::Notification go_on;
  absl::Notification both_have_begun;
  std::atomic<int> begun = 0;
  std::atomic<int> refused = 0;
  auto waits = [&] {
    if (begun.fetch_add(1) + 1 == 2) both_have_begun.Notify();
    go_on.WaitForNotification();
  };
  auto work = [&]() -> Task<> {
    const absl::Status status = co_await blocking(*lane, waits).result();
    if (status.ok()) co_return;
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_EQ(status.message(),
              "blocking: 3 calls wait for the threads of the lane narrow already "
              "(LaneOptions::queue)");
    ++refused;
  };
  const Order order = runtime.order();
  std::vector<Job> jobs;
  for (int i = 0; i < 2; ++i) jobs.push_back(runtime.spawn_in(order, work));
  both_have_begun.WaitForNotification();
  for (int i = 0; i < 5; ++i) jobs.push_back(runtime.spawn_in(order, work));
  EXPECT_TRUE(jobs.back().wait().ok());
  EXPECT_EQ(refused.load(), 2) << "three wait";
  go_on.Notify();
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(begun.load(), 5);
  EXPECT_EQ(refused.load(), 2);
}

TEST(LaneTest, WithoutALineACallNeedsAThread) {
  Runtime runtime;
  const absl::StatusOr<Lane> lane = runtime.lane({.threads = 1, .queue = 0});
  ASSERT_TRUE(lane.ok());
  auto nothing = [] {};
  absl::Status status = runtime.run([&]() -> Task<> {
    for (int i = 0; i < 100; ++i) {
      // The thread may not have come back from the call before.
      const absl::Status called = co_await blocking(*lane, nothing).result();
      EXPECT_TRUE(called.ok() || absl::IsResourceExhausted(called)) << called;
      EXPECT_TRUE(called.ok() || i != 0) << called;
    }
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(LaneTest, SaysWhatIsWrongWithItsOptions) {
  Runtime runtime;
  for (const int threads : {-1, 0, 1001}) {
    const absl::Status bad = runtime.lane({.threads = threads}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(bad)) << bad;
    EXPECT_TRUE(absl::StrContains(bad.message(), "threads")) << bad;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(runtime.lane({.name = ""}).status()));
  const absl::StatusOr<Lane> lane = runtime.lane();
  ASSERT_TRUE(lane.ok());
  auto nothing = [] {};
  Runtime other;
  absl::Status foreign = other.run([&]() -> Task<> { co_await blocking(*lane, nothing); });
  EXPECT_TRUE(absl::IsInvalidArgument(foreign)) << foreign;
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(runtime.lane().status()));
}

TEST(LaneTest, AThreadThatDoesNotStartIsAnError) {
  FaultKernel kernel;
  Runtime runtime({.kernel = &kernel});
  const absl::StatusOr<Lane> lane = runtime.lane();
  ASSERT_TRUE(lane.ok());
  auto nothing = [] {};
  kernel.fail(KernelCall::kThreadStart, EAGAIN);
  absl::Status failed = runtime.run([&]() -> Task<> { co_await blocking(*lane, nothing); });
  EXPECT_FALSE(failed.ok());
  absl::Status status = runtime.run([&]() -> Task<> { co_await blocking(*lane, nothing); });
  EXPECT_TRUE(status.ok()) << status;
}

// A handle may be the last thing that is left.
TEST(LaneTest, OutlivesItsRuntime) {
  Lane lane;
  {
    Runtime runtime;
    lane = *runtime.lane();
    auto nothing = [] {};
    EXPECT_TRUE(runtime.run([&]() -> Task<> { co_await blocking(lane, nothing); }).ok());
  }
  Lane copy = lane;
  EXPECT_EQ(copy, lane);
}

}  // namespace
}  // namespace epore
