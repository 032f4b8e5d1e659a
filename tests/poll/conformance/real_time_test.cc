// How long poll() waits by the system's own clock: never shorter than asked, and not for ever.

#include <cstdint>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

class RealTimeTest : public EngineTest {
 protected:
  std::int64_t poll_for(absl::Duration timeout) {
    Events events(8);
    const std::int64_t before = kernel_.now();
    EXPECT_THAT(poll_.poll(events, timeout), IsOk());
    EXPECT_TRUE(events.empty());
    return kernel_.now() - before;
  }
};
EPORE_FOR_EVERY_ENGINE(RealTimeTest);

TEST_P(RealTimeTest, NoWaitIsShorterThanAsked) {
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), absl::Nanoseconds(1), absl::Nanoseconds(999), absl::Microseconds(100),
        absl::Milliseconds(1), absl::Milliseconds(2) + absl::Nanoseconds(1)}) {
    EXPECT_GE(absl::Nanoseconds(poll_for(timeout)), timeout);
  }
}

// The first wait after a change has that to do as well, and must not take it for an event.
TEST_P(RealTimeTest, AWaitThatFollowsAChangeIsNotShorterEither) {
  const SocketPair pair = unix_pair();
  const absl::Duration timeout = absl::Milliseconds(2);
  ASSERT_THAT(registry_->register_fd(pair.a.get(), Token{1}, Interest::readable()), IsOk());
  EXPECT_GE(absl::Nanoseconds(poll_for(timeout)), timeout);
  ASSERT_THAT(registry_->reregister_fd(pair.a.get(), Token{1}, Interest::readable().level()),
              IsOk());
  EXPECT_GE(absl::Nanoseconds(poll_for(timeout)), timeout);
  ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  EXPECT_GE(absl::Nanoseconds(poll_for(timeout)), timeout);
}

// Also from a thread that only changes a registration: that is no event, and the wait goes on.
TEST_P(RealTimeTest, AHundredYearsEndWithAWake) {
  const Waker waker = make_waker(Token{7});
  const SocketPair pair = unix_pair();
  for (const absl::Duration timeout : {absl::Hours(24) * 365 * 100, absl::InfiniteDuration()}) {
    absl::Notification in_wait;
    kernel_.before(wait_call(), [&](const FaultKernel::Call&) {
      if (!in_wait.HasBeenNotified()) in_wait.Notify();
    });
    std::thread waking([&] {
      in_wait.WaitForNotification();
      EXPECT_THAT(registry_->register_fd(pair.a.get(), Token{1}, Interest::readable()), IsOk());
      EXPECT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
      EXPECT_THAT(waker.wake(), IsOk());
    });
    Events events(8);
    EXPECT_THAT(poll_.poll(events, timeout), IsOk());
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].token, Token{7});
    waking.join();
    kernel_.before(wait_call(), nullptr);
  }
}

}  // namespace
}  // namespace epore
