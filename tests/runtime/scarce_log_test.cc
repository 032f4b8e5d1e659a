// What becomes of a line for the log when there is no memory for it: it is lost, and nothing else.

#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/scarce_memory.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

class ScarceLogTest : public RuntimeTest {
 protected:
  ScarceLogTest() {
    // A thread that leaves a callback has memory again.
    kernel_.before_each([](const FaultKernel::Call&) { ScarceMemory::stop(); });
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, ScarceLogTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(ScarceLogTest, ACallbackThatThrowsHarmsNobodyElse) {
  const TcpPort refusing = refusing_port();
  for (int k = 1; k <= 6; ++k) {
    SCOPED_TRACE(k);
    Runtime runtime(options());
    const auto fails = [k] {
      ScarceMemory::fail(k);
      throw 7;
    };
    EXPECT_TRUE(runtime.post(fails).ok());
    EXPECT_TRUE(runtime.order().post(fails).ok());
    (void)runtime.post_after(absl::ZeroDuration(), fails);
    (void)runtime.order().post_after(absl::ZeroDuration(), fails);
    (void)runtime.connect("127.0.0.1:" + std::to_string(refusing.port),
                          [fails](absl::StatusOr<Connection>) { fails(); });
    while (runtime.counters().callback_exceptions < 5) std::this_thread::yield();
    EXPECT_TRUE(runtime.shutdown().ok());
  }
}

TEST_P(ScarceLogTest, ATaskWhoseErrorNobodyHasSeenEnds) {
  Runtime runtime(options());
  Job job = runtime.spawn([]() -> Task<> {
    throw 7;
    co_return;
  });
  EXPECT_TRUE(runtime.shutdown().ok());
  ScarceMemory::fail(1);
  job = Job();  // the last handle
  ScarceMemory::stop();
}

TEST_P(ScarceLogTest, ANullCallbackIsRefused) {
  Runtime runtime(options());
  const Order order = runtime.order();
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    SCOPED_TRACE(k);
    was_reached = false;
    ScarceMemory::fail(k);
    EXPECT_FALSE(runtime.timer(nullptr).is_armed());
    was_reached |= ScarceMemory::stop();
    ScarceMemory::fail(k);
    EXPECT_FALSE(order.timer(nullptr).is_armed());
    was_reached |= ScarceMemory::stop();
    ScarceMemory::fail(k);
    EXPECT_FALSE(runtime.connect("127.0.0.1:1", nullptr).cancel());
    was_reached |= ScarceMemory::stop();
  }
}

}  // namespace
}  // namespace epore
