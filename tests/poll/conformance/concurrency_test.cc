// Contracts 1 and 4 with several threads: changes from any thread reach the poll() that blocks.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

constexpr Token kToken{7};

class ConcurrencyTest : public EngineTest {
 protected:
  // Blocks in poll() and runs `change` on another thread as soon as that is about to wait; returns
  // the events.
  std::vector<Event> poll_during(const std::function<void()>& change) {
    absl::Notification in_wait;
    std::atomic<bool> is_first{true};
    kernel_.before(wait_call(), [&](const FaultKernel::Call&) {
      if (is_first.exchange(false)) in_wait.Notify();
    });
    std::thread changing([&] {
      in_wait.WaitForNotification();
      change();
    });
    Events events(8);
    EXPECT_THAT(poll_.poll(events, kHangGuard), IsOk());
    changing.join();
    kernel_.before(wait_call(), nullptr);
    return std::vector<Event>(events.begin(), events.end());
  }

  const SocketPair pair_ = unix_pair();
  const int fd_ = pair_.a.get();
};
EPORE_FOR_EVERY_ENGINE(ConcurrencyTest);

TEST_P(ConcurrencyTest, ASecondThreadInPollIsRefused) {
  const Waker waker = make_waker(kToken);
  const auto events = poll_during([&] {
    Events own(8);
    EXPECT_THAT(
        poll_.poll(own, absl::ZeroDuration()),
        StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another thread is in poll()")));
    EXPECT_TRUE(own.empty());
    EXPECT_THAT(waker.wake(), IsOk());
  });
  EXPECT_EQ(events.size(), 1u);
  // One after the other is fine, though an engine may tell what it has told the other thread.
  std::thread([&] { take_events(poll_); }).join();
  take_events(poll_);
}

TEST_P(ConcurrencyTest, RegisterDuringPollDeliversEvent) {
  write_all(pair_.b.get(), "x");
  const auto events = poll_during(
      [&] { EXPECT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk()); });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, kToken);
  EXPECT_EQ(events[0].readiness, Readiness::readable());
}

TEST_P(ConcurrencyTest, ReadinessAfterARegisterDuringPollIsDelivered) {
  const auto events = poll_during([&] {
    EXPECT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
    write_all(pair_.b.get(), "x");
  });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, kToken);
}

TEST_P(ConcurrencyTest, ReregisterDuringPollChangesTokenAndInterest) {
  ASSERT_THAT(registry_->register_fd(fd_, Token{1}, Interest::readable()), IsOk());
  const auto events = poll_during(
      [&] { EXPECT_THAT(registry_->reregister_fd(fd_, kToken, Interest::writable()), IsOk()); });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, kToken);
  EXPECT_EQ(events[0].readiness, Readiness::writable());
}

TEST_P(ConcurrencyTest, RearmingAOneShotDuringPollDeliversEvent) {
  write_all(pair_.b.get(), "x");
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable().one_shot()), IsOk());
  expect_event(poll_, kToken, Readiness::readable());
  for (int round = 0; round < 3; ++round) {
    const auto events = poll_during([&] {
      EXPECT_THAT(registry_->reregister_fd(fd_, kToken, Interest::readable().one_shot()), IsOk());
    });
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].token, kToken);
  }
}

TEST_P(ConcurrencyTest, DeregisterDuringPollSilencesTheDescriptor) {
  const Waker waker = make_waker(Token{8});
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  const auto events = poll_during([&] {
    EXPECT_THAT(registry_->deregister_fd(fd_), IsOk());
    write_all(pair_.b.get(), "x");
    EXPECT_THAT(waker.wake(), IsOk());
  });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, Token{8});
  expect_no_events(poll_);
}

TEST_P(ConcurrencyTest, ANumberThatIsReusedDuringPollIsToldUnderItsNewToken) {
  SocketPair old = unix_pair();
  std::optional<SocketPair> fresh;
  const int number = old.a.get();
  ASSERT_THAT(registry_->register_fd(number, Token{1}, Interest::readable()), IsOk());
  const auto events = poll_during([&] {
    EXPECT_THAT(registry_->deregister_fd(number), IsOk());
    old.a.reset();
    fresh = unix_pair();
    EXPECT_EQ(fresh->a.get(), number);
    EXPECT_THAT(registry_->register_fd(number, Token{2}, Interest::writable()), IsOk());
  });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, Token{2});
}

// "No call of the kernel while a lock is held": every call may come back into the registry.
TEST_P(ConcurrencyTest, EveryKernelCallMayCallTheRegistryAgain) {
  const SocketPair other = unix_pair();
  std::optional<Waker> waker = make_waker(Token{8});
  int depth = 0;
  int reentered = 0;
  kernel_.before_each([&](const FaultKernel::Call&) {
    if (depth > 0) return;
    ++depth;
    ++reentered;
    EXPECT_THAT(registry_->register_fd(other.a.get(), Token{9}, Interest::readable()), IsOk());
    EXPECT_THAT(registry_->reregister_fd(other.a.get(), Token{9}, Interest::readable()), IsOk());
    EXPECT_THAT(registry_->deregister_fd(other.a.get()), IsOk());
    --depth;
  });
  EXPECT_THAT(registry_->register_fd(fd_, kToken, Interest::writable()), IsOk());
  EXPECT_THAT(registry_->reregister_fd(fd_, kToken, Interest::writable()), IsOk());
  EXPECT_THAT(waker->wake(), IsOk());
  Events events(8);
  EXPECT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
  EXPECT_THAT(registry_->deregister_fd(fd_), IsOk());
  waker.reset();
  EXPECT_GT(reentered, 5);
  kernel_.before_each(nullptr);
}

}  // namespace
}  // namespace epore
