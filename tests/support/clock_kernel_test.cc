#include "tests/support/clock_kernel.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/events.h"
#include "epore/poll/owned_fd.h"
#include "epore/poll/poll.h"
#include "epore/poll/registry.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

timespec to_timespec(std::int64_t nanoseconds) {
  return {static_cast<time_t>(nanoseconds / 1'000'000'000),
          static_cast<long>(nanoseconds % 1'000'000'000)};
}

// The clock passes a deadline by one step exactly, while a thread is about to wait for it, is
// waiting, or has not yet begun: a step that a wait missed would leave it waiting for ever.
void expect_no_step_is_missed(ClockKernel& kernel,
                              const std::function<void(std::int64_t left)>& wait) {
  constexpr int kRounds = 5'000;
  std::atomic<int> round{0};
  std::thread waiter([&] {
    for (int i = 0; i < kRounds; ++i) {
      const std::int64_t deadline = kernel.now() + kMillisecond;
      round.store(i + 1, std::memory_order_release);
      for (std::int64_t left; (left = deadline - kernel.now()) > 0;) wait(left);
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    while (round.load(std::memory_order_acquire) <= i) std::this_thread::yield();
    for (std::atomic<int> delay{i % 256 * 8}; delay > 0; --delay) {  // each moment once
    }
    kernel.advance(absl::Milliseconds(1));
  }
  waiter.join();
}

TEST(ClockKernelTest, AnEpollWaitMissesNoStepOfTheClock) {
  ClockKernel kernel;
  const OwnedFd queue(kernel.epoll_create(EPOLL_CLOEXEC).fd(), kernel);
  expect_no_step_is_missed(kernel, [&](std::int64_t left) {
    epoll_event event;
    const timespec timeout = to_timespec(left);
    (void)kernel.epoll_pwait2(queue.get(), &event, 1, &timeout);
  });
}

TEST(ClockKernelTest, APollMissesNoStepOfTheClock) {
  ClockKernel kernel;
  expect_no_step_is_missed(kernel, [&](std::int64_t left) {
    const timespec timeout = to_timespec(left);
    (void)kernel.ppoll(nullptr, 0, &timeout);
  });
}

TEST(ClockKernelTest, AWaitThatHasBegunLastsThroughAllStepsBeforeItsEnd) {
  ClockKernel kernel;
  const OwnedFd queue(kernel.epoll_create(EPOLL_CLOEXEC).fd(), kernel);
  int waits = 0;
  std::thread waiter([&] {
    const std::int64_t deadline = kernel.now() + 10 * kMillisecond;
    for (std::int64_t left; (left = deadline - kernel.now()) > 0; ++waits) {
      epoll_event event;
      const timespec timeout = to_timespec(left);
      EXPECT_EQ(kernel.epoll_pwait2(queue.get(), &event, 1, &timeout).value(), 0);
    }
  });
  for (int i = 0; i < 10; ++i) {
    kernel.await_waiters();
    kernel.advance(absl::Milliseconds(1));
  }
  waiter.join();
  EXPECT_EQ(waits, 1);
}

// The poll(2) engine interrupts itself when its table changes, and Poll goes on with the rest of
// the time by a deadline of its own. That must not be one from before a step.
TEST(ClockKernelTest, AnInterruptedPollMissesNoStepOfTheClock) {
  ClockKernel kernel;
  absl::StatusOr<Poll> poll = Poll::create({.selector = "poll", .kernel = &kernel});
  ASSERT_TRUE(poll.ok());
  Events events(1);
  const OwnedFd fd(kernel.eventfd(0, EFD_CLOEXEC).fd(), kernel);
  expect_no_step_is_missed(kernel, [&](std::int64_t left) {
    EXPECT_TRUE(poll->registry()->register_fd(fd.get(), Token{1}, Interest::readable()).ok());
    EXPECT_TRUE(poll->registry()->deregister_fd(fd.get()).ok());
    EXPECT_TRUE(poll->poll(events, absl::Nanoseconds(left)).ok());
  });
}

TEST(ClockKernelTest, AParkMissesNoStepOfTheClock) {
  ClockKernel kernel;
  const std::atomic<std::uint32_t> word{0};
  expect_no_step_is_missed(kernel, [&](std::int64_t left) { (void)kernel.park(word, 0, left); });
}

}  // namespace
}  // namespace epore
