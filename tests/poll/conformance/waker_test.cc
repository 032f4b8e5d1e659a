// The waker: contract 5, "a wake is never lost and may be merged; what happened before it is
// visible after the poll() that it ends".

#include "epore/poll/waker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/poll/conformance/engine_test.h"
#include "tests/support/open_fds.h"

namespace epore {
namespace {

constexpr Token kToken{7};

class WakerTest : public EngineTest {
 protected:
  WakerTest() { replace_waker(); }

  void replace_waker() {
    kernel_.after(KernelCall::kEventfd,
                  [this](const FaultKernel::Call& call) { fd_ = call.result.fd(); });
    waker_.reset();
    waker_ = make_waker(kToken);
    kernel_.after(KernelCall::kEventfd, nullptr);
  }

  void expect_wake() { expect_event(poll_, kToken, Readiness::readable()); }

  // Brings the counter to its maximum, where write(2) says EAGAIN.
  void saturate() {
    const std::uint64_t most = 0xffff'ffff'ffff'fffe;
    std::uint64_t drained;
    (void)!::read(fd_, &drained, sizeof drained);
    ASSERT_EQ(::write(fd_, &most, sizeof most), 8);
  }

  int fd_ = -1;  // of the waker
  std::optional<Waker> waker_;
};
EPORE_FOR_EVERY_ENGINE(WakerTest);

TEST(Waker, NeedsARegistry) {
  const absl::StatusOr<Waker> none = Waker::create(nullptr, Token{1});
  EXPECT_EQ(none.status(), absl::InvalidArgumentError("Waker::create: the registry is null"));
}

TEST_P(WakerTest, AWakeBeforeThePollEndsThatPoll) {
  expect_no_events(poll_);
  ASSERT_THAT(waker_->wake(), IsOk());
  expect_wake();
  expect_no_events(poll_);
}

TEST_P(WakerTest, WakesMayBeMergedButEachEndsAPoll) {
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 1000; ++i) ASSERT_THAT(waker_->wake(), IsOk());
    expect_wake();
    expect_no_events(poll_);
  }
}

TEST_P(WakerTest, AWakeEndsAPollThatIsBlocked) {
  absl::Notification in_wait;
  kernel_.before(wait_call(), [&](const FaultKernel::Call&) {
    if (!in_wait.HasBeenNotified()) in_wait.Notify();
  });
  std::thread waking([&] {
    in_wait.WaitForNotification();
    EXPECT_THAT(waker_->wake(), IsOk());
  });
  Events events(8);
  EXPECT_THAT(poll_.poll(events, absl::InfiniteDuration()), IsOk());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, kToken);
  EXPECT_TRUE(events[0].is_readable());
  waking.join();
  kernel_.before(wait_call(), nullptr);  // the waker's end waits as well
}

// Wherever in a poll() the wake comes, this poll or the next one tells it.
TEST_P(WakerTest, AWakeAtAnyCallOfAPollIsNotLost) {
  const SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), Token{1}, Interest::writable().level()), IsOk());
  std::uint64_t calls_of_a_poll = 0;
  for (const KernelCall kind : {KernelCall::kEpollWait, KernelCall::kPoll,
                                KernelCall::kIoUringEnter, KernelCall::kRead, KernelCall::kClock}) {
    for (const bool is_after : {false, true}) {
      for (std::uint64_t k = 1; k <= 3; ++k) {
        SCOPED_TRACE(testing::Message() << kernel_call_name(kind) << " " << is_after << " " << k);
        std::uint64_t seen = 0;
        bool has_woken = false;
        const auto hook = [&](const FaultKernel::Call&) {
          ++calls_of_a_poll;
          if (++seen != k) return;
          has_woken = true;
          EXPECT_THAT(waker_->wake(), IsOk());
        };
        is_after ? kernel_.after(kind, hook) : kernel_.before(kind, hook);
        int wakes_told = 0;
        Events events(8);
        ASSERT_THAT(waker_->wake(), IsOk());  // so that the poll(2) engine has one to read
        for (int polls = 0; polls < 4; ++polls) {
          const bool was_woken = has_woken;
          ASSERT_THAT(poll_.poll(events, kHangGuard), IsOk());
          for (const Event& event : events) wakes_told += event.token == kToken ? 1 : 0;
          if (was_woken) break;
          if (!has_woken) wakes_told = 0;
        }
        is_after ? kernel_.after(kind, nullptr) : kernel_.before(kind, nullptr);
        EXPECT_GE(wakes_told, has_woken ? 1 : 0);
      }
    }
  }
  EXPECT_GT(calls_of_a_poll, 6u);
}

// A full counter is no failure, and no reason to lose the wake. See tokio-rs/mio#909.
TEST_P(WakerTest, AWakeOfAFullCounterThatWasNotSeenYetIsTold) {
  saturate();
  ASSERT_THAT(waker_->wake(), IsOk());
  expect_wake();
}

TEST_P(WakerTest, AWakeOfAFullCounterThatWasSeenIsToldAgain) {
  for (int round = 0; round < 3; ++round) {
    saturate();
    expect_wake();  // on epoll the counter is not read, and stays full
    saturate();
    take_events(poll_);
    ASSERT_THAT(waker_->wake(), IsOk());
    expect_wake();
  }
}

// See cppalliance/corosio#259.
TEST_P(WakerTest, AWriteThatFailsOnceIsMadeAgain) {
  for (const int error : {EINTR, EAGAIN}) {
    kernel_.fail(KernelCall::kWrite, error, /*k=*/1, /*times=*/3);
    ASSERT_THAT(waker_->wake(), IsOk());
    expect_wake();
  }
}

TEST_P(WakerTest, AWriteThatFailsForGoodIsAnErrorAndTheNextWakeWorks) {
  kernel_.fail(KernelCall::kWrite, EBADF);
  EXPECT_THAT(waker_->wake(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                       AllOf(HasSubstr("Waker::wake"), HasSubstr("EBADF"))));
  expect_no_events(poll_);
  ASSERT_THAT(waker_->wake(), IsOk());
  expect_wake();
}

TEST_P(WakerTest, AWakeIsOneWriteAndNoReadOfTheWakers) {
  const std::uint64_t writes = kernel_.calls(KernelCall::kWrite);
  const std::uint64_t reads = kernel_.calls(KernelCall::kRead);
  ASSERT_THAT(waker_->wake(), IsOk());
  EXPECT_EQ(kernel_.calls(KernelCall::kWrite), writes + 1);
  EXPECT_EQ(kernel_.calls(KernelCall::kRead), reads);
}

TEST_P(WakerTest, SeveralWakersHaveTheirOwnTokens) {
  const Waker second = make_waker(Token{8});
  ASSERT_THAT(second.wake(), IsOk());
  ASSERT_THAT(waker_->wake(), IsOk());
  expect_events(poll_, {{kToken, Readiness::readable()}, {Token{8}, Readiness::readable()}});
  ASSERT_THAT(second.wake(), IsOk());
  expect_event(poll_, Token{8}, Readiness::readable());
  expect_no_events(poll_);
}

// See Thomasdezeeuw/gaea#45.
TEST_P(WakerTest, AMovedWakerGoesOnAndAnEmptyOneRefuses) {
  Waker moved = *std::move(waker_);
  EXPECT_THAT(waker_->wake(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("moved from")));
  waker_.reset();
  std::thread([waker = std::move(moved)] { EXPECT_THAT(waker.wake(), IsOk()); }).join();
  // That thread has destroyed it, so its wake may come or not; but nothing dangles.
  take_events(poll_);
  expect_no_events(poll_);
}

TEST_P(WakerTest, ADestroyedWakerIsNotReported) {
  ASSERT_THAT(waker_->wake(), IsOk());
  const int fd = fd_;
  waker_.reset();
  EXPECT_EQ(::write(fd, "", 0), -1);
  expect_no_events(poll_);
}

TEST_P(WakerTest, AssigningOverAWakerRetiresTheFirst) {
  const std::vector<std::string> before = open_fds();
  ASSERT_THAT(waker_->wake(), IsOk());
  *waker_ = make_waker(Token{8});
  EXPECT_EQ(open_fds().size(), before.size());
  expect_no_events(poll_);
  ASSERT_THAT(waker_->wake(), IsOk());
  expect_event(poll_, Token{8}, Readiness::readable());
}

// A waker's descriptor may be closed and its number given to a stranger while the poll(2) engine
// has the waker's event in hand: it must not read the stranger's bytes.
TEST_P(WakerTest, AWakerThatGoesAwayDuringAPollDoesNotCostAStrangerItsBytes) {
  for (const KernelCall moment : {wait_call(), KernelCall::kRead}) {
    for (const bool is_after : {false, true}) {
      SCOPED_TRACE(testing::Message() << kernel_call_name(moment) << " " << is_after);
      Events events(8);
      ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());  // reads what is old
      Pipe stranger;
      const auto replace = [&](const FaultKernel::Call&) {
        if (!waker_.has_value()) return;
        waker_.reset();
        stranger = make_pipe();  // gets the waker's number if that is free
        write_all(stranger.writer.get(), "theirs!!");
      };
      ASSERT_THAT(waker_->wake(), IsOk());
      is_after ? kernel_.after(moment, replace) : kernel_.before(moment, replace);
      ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
      is_after ? kernel_.after(moment, nullptr) : kernel_.before(moment, nullptr);
      if (stranger.reader.is_valid()) {
        EXPECT_EQ(read_available(stranger.reader.get()), "theirs!!");
      }
      stranger = Pipe();
      replace_waker();
    }
  }
}

}  // namespace
}  // namespace epore
