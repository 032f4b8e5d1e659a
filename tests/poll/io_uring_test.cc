// What can happen to a ring and to no other queue: completions that do not fit, calls that the
// kernel puts off, threads that take turns, and files that it holds.

#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

constexpr Token kToken{7};

// A kernel that makes small rings, and may know no flag newer than Linux 5.19.
class RingKernel : public FaultKernel {
 public:
  SysResult io_uring_setup(unsigned entries, io_uring_params* params) override {
    constexpr unsigned kSingleIssuer = 1u << 12;
    if (is_old && (params->flags & kSingleIssuer) != 0) return SysResult::from_errno(EINVAL);
    if (completions != 0) {
      params->cq_entries = completions;
      entries = completions / 2;
    }
    return FaultKernel::io_uring_setup(entries, params);
  }

  unsigned completions = 0;
  bool is_old = false;
};

// On a kernel of today, and as on Linux 5.19.
class IoUringTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    kernel_.is_old = GetParam();
    make_poll();
  }

  void make_poll() {
    poll_ = Poll::create({.selector = "io_uring", .kernel = &kernel_});
    if (!poll_.ok()) GTEST_SKIP() << poll_.status();
    registry_ = poll_->registry();
  }

  void use_small_ring() {
    kernel_.completions = 8;
    make_poll();
  }

  RingKernel kernel_;
  absl::StatusOr<Poll> poll_;
  std::shared_ptr<Registry> registry_;
};
INSTANTIATE_TEST_SUITE_P(, IoUringTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Linux519" : "today"; });

// See libuv/libuv#4598, tokio-rs/io-uring#302.
TEST_P(IoUringTest, F47ARingOfEightCompletionsLosesNoneOfAThousand) {
  use_small_ring();
  std::vector<OwnedFd> fds;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    fds.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const Interest interest = i % 3 == 0   ? Interest::readable()
                              : i % 3 == 1 ? Interest::readable().one_shot()
                                           : Interest::readable().level();
    ASSERT_THAT(registry_->register_fd(fds.back().get(), Token{i}, interest), IsOk());
  }
  expect_no_events(*poll_);
  const std::uint64_t one = 1;
  for (int round = 0; round < 3; ++round) {  // polls that were lost are armed again
    for (const OwnedFd& fd : fds) ASSERT_EQ(::write(fd.get(), &one, sizeof one), 8);
    std::set<std::uint64_t> seen;
    Events events(64);
    while (seen.size() < fds.size()) {
      ASSERT_THAT(poll_->poll(events, kHangGuard), IsOk());
      ASSERT_FALSE(events.empty()) << seen.size();
      for (const Event& event : events) seen.insert(event.token.value);
    }
    std::uint64_t count;
    for (std::uint64_t i = 0; i < fds.size(); ++i) {
      ASSERT_EQ(::read(fds[i].get(), &count, sizeof count), 8);
      if (i % 3 != 1) continue;
      ASSERT_THAT(registry_->reregister_fd(fds[i].get(), Token{i}, Interest::readable().one_shot()),
                  IsOk());
    }
  }
}

// Operations that were not submitted stay in the ring; nothing is submitted twice or lost.
TEST_P(IoUringTest, F48ASubmissionThatIsPutOffIsMadeAgain) {
  expect_no_events(*poll_);  // there is a ring now
  for (const int error : {EAGAIN, EBUSY, EINTR}) {
    const SocketPair pair = unix_pair();
    write_all(pair.b.get(), "x");
    ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
    kernel_.fail(KernelCall::kIoUringEnter, error, 1, 3);
    expect_event(*poll_, kToken, Readiness::readable());
    expect_no_events(*poll_);
    kernel_.fail(KernelCall::kIoUringEnter, error, 1, 3);
    Events events(8);
    EXPECT_THAT(poll_->poll(events, absl::ZeroDuration()), IsOk());
    EXPECT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  }
}

// The kernel had no memory even for the list of what does not fit. Everything is armed anew.
TEST_P(IoUringTest, F47AfterLostCompletionsEverythingThatIsReadyIsTold) {
  const SocketPair pair = unix_pair();
  const Waker waker = *Waker::create(registry_, Token{8});
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  expect_no_events(*poll_);
  write_all(pair.b.get(), "x");
  ASSERT_THAT(waker.wake(), IsOk());
  kernel_.fail(KernelCall::kIoUringEnter, EBADR);
  expect_events(*poll_, {{kToken, Readiness::readable()}, {Token{8}, Readiness::readable()}});
}

TEST_P(IoUringTest, ThreadsThatTakeTurnsMissNothing) {
  const SocketPair pair = unix_pair();
  const Waker waker = *Waker::create(registry_, Token{8});
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  for (int round = 0; round < 20; ++round) {
    expect_events(*poll_, {});
    write_all(pair.b.get(), "x");
    ASSERT_THAT(waker.wake(), IsOk());
    // The owner of the ring has seen nothing of it yet. Thread ids may come again.
    std::thread([&] {
      std::set<std::uint64_t> seen;
      Events events(8);
      while (seen.size() < 2) {
        ASSERT_THAT(poll_->poll(events, kHangGuard), IsOk());
        ASSERT_FALSE(events.empty());
        for (const Event& event : events) seen.insert(event.token.value);
      }
      EXPECT_EQ(read_available(pair.a.get()), "x");
    }).join();
  }
}

// Another thread comes and gets no ring: an error, and the next wait tries again.
TEST_P(IoUringTest, AThreadWithoutARingSaysSoAndTheNextOneGetsOne) {
  const SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  expect_no_events(*poll_);
  kernel_.fail(KernelCall::kIoUringSetup, EMFILE);
  std::thread([&] {
    Events events(8);
    EXPECT_THAT(poll_->poll(events, absl::InfiniteDuration()),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("EMFILE")));
  }).join();
  write_all(pair.b.get(), "x");
  expect_event(*poll_, kToken, Readiness::readable());
}

// Writable alone, on a socket that is full and whose peer has sent its end: the kernel has news of
// that end, nobody asked for it, and poll() sleeps.
TEST_P(IoUringTest, WhatNobodyAskedForIsNoSpin) {
  for (const Interest interest : {Interest::writable(), Interest::writable().level(),
                                  Interest::writable().one_shot(), Interest::hang_up().level()}) {
    const SocketPair pair = unix_pair();
    fill(pair.a.get());
    ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, interest), IsOk());
    half_close(pair.b.get());
    expect_no_events(*poll_);
    const std::uint64_t before = kernel_.calls(KernelCall::kIoUringEnter);
    Events events(8);
    ASSERT_THAT(poll_->poll(events, absl::Milliseconds(2)), IsOk());
    EXPECT_TRUE(events.empty());
    EXPECT_LE(kernel_.calls(KernelCall::kIoUringEnter), before + 3);
    ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  }
}

// Each write is a wake that is on its way when the poll is cancelled. The peer must see the end.
TEST_P(IoUringTest, F49ACloseWithAPollThatHasJustBeenWokenReachesThePeer) {
  for (int round = 0; round < 100; ++round) {
    SocketPair pair = tcp_pair();
    ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
    expect_no_events(*poll_);
    write_all(pair.b.get(), "x");
    EXPECT_EQ(read_some(pair.a.get()), "x");
    ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
    pair.a.reset();
    expect_no_events(*poll_);
    EXPECT_EQ(read_some(pair.b.get()), "");
  }
}

TEST_P(IoUringTest, ChangesAreSubmittedByTheWaitInOneCall) {
  Events events(8);
  ASSERT_THAT(poll_->poll(events, absl::ZeroDuration()), IsOk());  // makes the ring
  std::vector<SocketPair> pairs;
  for (int i = 0; i < 100; ++i) {
    pairs.push_back(unix_pair());
    ASSERT_THAT(registry_->register_fd(pairs.back().a.get(), kToken, Interest::readable()), IsOk());
  }
  const std::uint64_t before = kernel_.calls(KernelCall::kIoUringEnter);
  const std::uint64_t writes = kernel_.calls(KernelCall::kWrite);
  ASSERT_THAT(poll_->poll(events, absl::ZeroDuration()), IsOk());
  EXPECT_EQ(kernel_.calls(KernelCall::kIoUringEnter), before + 1);
  EXPECT_EQ(kernel_.calls(KernelCall::kWrite), writes);  // nobody sleeps, so nobody is woken
}

}  // namespace
}  // namespace epore
