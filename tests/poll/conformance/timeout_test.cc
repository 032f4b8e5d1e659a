// How long poll() waits: the exact argument that the kernel gets, signals, and errors of the wait.

#include <linux/io_uring.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

#include <cerrno>
#include <climits>
#include <functional>
#include <ostream>
#include <vector>

#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kForever = -1;

// One wait as the kernel got it. In epoll_wait's milliseconds, or nanoseconds.
struct Wait {
  enum class Unit { ms, ns } unit;
  std::int64_t timeout;  // kForever

  friend bool operator==(const Wait&, const Wait&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Wait& wait) {
    return out << wait.timeout << (wait.unit == Unit::ms ? " ms" : " ns");
  }
};

Wait ms(std::int64_t timeout) { return {Wait::Unit::ms, timeout}; }
Wait ns(std::int64_t timeout) { return {Wait::Unit::ns, timeout}; }

// A kernel in which time passes only in waits, which nothing ends but their timeout: each is noted,
// and moves the clock by what it was asked for, or by what `cut` makes of that.
class WaitingKernel : public FaultKernel {
 public:
  WaitingKernel() { use_manual_clock(); }

  SysResult epoll_wait(int, epoll_event*, int, int timeout_ms) override {
    return note(ms(timeout_ms), timeout_ms * kMillisecond);
  }
  SysResult epoll_pwait2(int epfd, epoll_event*, int, const timespec* timeout) override {
    // Let the base refuse it if it is hidden; without room for events it only ever looks.
    epoll_event none;
    const timespec zero = {};
    const SysResult probe = FaultKernel::epoll_pwait2(epfd, &none, 1, &zero);
    if (!probe.ok()) return probe;
    return note(ns(to_ns(timeout)), to_ns(timeout));
  }
  SysResult ppoll(pollfd*, std::size_t, const timespec* timeout) override {
    return note(ns(to_ns(timeout)), to_ns(timeout));
  }
  SysResult pselect(int, fd_set*, fd_set*, fd_set*, const timespec* timeout) override {
    return note(ns(to_ns(timeout)), to_ns(timeout));
  }
  SysResult io_uring_enter(int ring, unsigned submit, unsigned min_complete, unsigned flags,
                           const void* argument, std::size_t size) override {
    // Without a flag it is no wait, and its submissions stay where they are.
    if ((flags & IORING_ENTER_GETEVENTS) == 0) {
      return FaultKernel::io_uring_enter(ring, submit, min_complete, flags, argument, size);
    }
    const timespec zero = {};
    const timespec* timeout = min_complete == 0 ? &zero : nullptr;
    if (const auto* wait = static_cast<const io_uring_getevents_arg*>(argument); wait->ts != 0) {
      timeout = reinterpret_cast<const timespec*>(wait->ts);
    }
    const SysResult noted = note(ns(to_ns(timeout)), to_ns(timeout));
    return noted.value() == 0 ? SysResult::from_errno(ETIME) : noted;
  }

  std::vector<Wait> waits;
  // The result of each wait, and how long it took of the nanoseconds it was asked for.
  std::function<SysResult(std::int64_t& asked)> cut;

 private:
  static std::int64_t to_ns(const timespec* timeout) {
    if (timeout == nullptr) return kForever;
    EXPECT_LT(timeout->tv_nsec, 1'000'000'000);
    return timeout->tv_sec * std::int64_t{1'000'000'000} + timeout->tv_nsec;
  }
  SysResult note(Wait wait, std::int64_t asked) {
    waits.push_back(wait);
    SysResult result(0);
    if (cut) result = cut(asked);
    if (asked > 0) advance(absl::Nanoseconds(asked));
    return result;
  }
};

class TimeoutTest : public testing::TestWithParam<std::string> {
 protected:
  TimeoutTest() : poll_(make_poll()) {}

  Poll make_poll() {
    absl::StatusOr<Poll> poll = Poll::create({.selector = GetParam(), .kernel = &kernel_});
    CHECK_OK(poll.status());
    return *std::move(poll);
  }

  bool is_epoll() const { return GetParam() == "epoll"; }

  std::vector<Wait> waits_of(absl::Duration timeout) {
    kernel_.waits.clear();
    Events events(8);
    const std::int64_t before = kernel_.now();
    EXPECT_THAT(poll_.poll(events, timeout), IsOk());
    EXPECT_TRUE(events.empty());
    if (timeout < absl::InfiniteDuration()) {
      EXPECT_GE(absl::Nanoseconds(kernel_.now() - before), timeout) << "shorter than asked";
    }
    return kernel_.waits;
  }

  WaitingKernel kernel_;
  Poll poll_;
};
EPORE_FOR_EVERY_ENGINE(TimeoutTest);

using Waits = std::vector<Wait>;

// Down spins, up at zero delays.
TEST_P(TimeoutTest, TheKernelGetsTheExactTimeout) {
  // Zero and for ever are exact in milliseconds too.
  const auto whole = [this](std::int64_t timeout) {
    return is_epoll() ? Waits{ms(timeout)} : Waits{ns(timeout)};
  };
  EXPECT_EQ(waits_of(absl::ZeroDuration()), whole(0));
  EXPECT_EQ(waits_of(-absl::Nanoseconds(1)), whole(0));
  EXPECT_EQ(waits_of(-absl::Hours(1)), whole(0));
  EXPECT_EQ(waits_of(-absl::InfiniteDuration()), whole(0));
  EXPECT_EQ(waits_of(absl::InfiniteDuration()), whole(kForever));
  EXPECT_EQ(waits_of(absl::Nanoseconds(1)), Waits{ns(1)});
  EXPECT_EQ(waits_of(absl::Nanoseconds(1) / 4), Waits{ns(1)});
  EXPECT_EQ(waits_of(absl::Microseconds(999)), Waits{ns(999'000)});
  EXPECT_EQ(waits_of(absl::Milliseconds(1)), Waits{ns(1'000'000)});
  EXPECT_EQ(waits_of(absl::Milliseconds(1) + absl::Nanoseconds(1)), Waits{ns(1'000'001)});
  EXPECT_EQ(waits_of(absl::Seconds(1)), Waits{ns(1'000'000'000)});
  EXPECT_EQ(waits_of(absl::Milliseconds(INT_MAX) + absl::Nanoseconds(1)),
            Waits{ns(INT_MAX * kMillisecond + 1)});
  EXPECT_EQ(waits_of(absl::Hours(24) * 365 * 100).size(), 1u);
}

TEST_P(TimeoutTest, WithoutEpollPwait2TimeoutsAreRoundedUpToMilliseconds) {
  if (!is_epoll()) GTEST_SKIP() << "poll(2) has nanoseconds";
  for (const int error : {ENOSYS, EPERM, EACCES, EINVAL, EOPNOTSUPP, EIO}) {
    kernel_.hide_epoll_pwait2(error);
    poll_ = make_poll();
    EXPECT_EQ(waits_of(absl::ZeroDuration()), Waits{ms(0)});
    EXPECT_EQ(waits_of(-absl::Seconds(1)), Waits{ms(0)});
    EXPECT_EQ(waits_of(absl::InfiniteDuration()), Waits{ms(-1)});
    EXPECT_EQ(waits_of(absl::Nanoseconds(1)), Waits{ms(1)});
    EXPECT_EQ(waits_of(absl::Microseconds(999)), Waits{ms(1)});
    EXPECT_EQ(waits_of(absl::Milliseconds(1)), Waits{ms(1)});
    EXPECT_EQ(waits_of(absl::Milliseconds(1) + absl::Nanoseconds(1)), Waits{ms(2)});
    EXPECT_EQ(waits_of(absl::Milliseconds(INT_MAX)), Waits{ms(INT_MAX)});
  }
}

// What an int of milliseconds does not hold (24.8 days) is waited for in parts.
TEST_P(TimeoutTest, WithoutEpollPwait2LongTimeoutsAreWaitedForInParts) {
  if (!is_epoll()) GTEST_SKIP() << "poll(2) has nanoseconds";
  kernel_.hide_epoll_pwait2(ENOSYS);
  EXPECT_EQ(waits_of(absl::Milliseconds(INT_MAX) + absl::Nanoseconds(1)),
            (Waits{ms(INT_MAX), ms(1)}));
  EXPECT_EQ(waits_of(absl::Milliseconds(INT_MAX) + absl::Milliseconds(5)),
            (Waits{ms(INT_MAX), ms(5)}));
  EXPECT_EQ(waits_of(absl::Milliseconds(INT_MAX) * 2 + absl::Milliseconds(5)),
            (Waits{ms(INT_MAX), ms(INT_MAX), ms(5)}));
}

TEST_P(TimeoutTest, ThreeHundredYearsAreForEver) {
  const Waits forever = is_epoll() ? Waits{ms(kForever)} : Waits{ns(kForever)};
  kernel_.waits.clear();
  Events events(8);
  EXPECT_THAT(poll_.poll(events, absl::Hours(24) * 366 * 300), IsOk());
  EXPECT_EQ(kernel_.waits, forever);
}

// Each signal must not start the timeout anew. See oven-sh/bun#34780.
TEST_P(TimeoutTest, AnInterruptedWaitGoesOnWithTheTimeThatIsLeft) {
  int signals = 3;
  kernel_.cut = [&](std::int64_t& asked) {
    if (signals == 0) return SysResult(0);
    --signals;
    asked = absl::ToInt64Nanoseconds(absl::Seconds(3));
    return SysResult::from_errno(EINTR);
  };
  EXPECT_EQ(waits_of(absl::Seconds(10)),
            (Waits{ns(10'000'000'000), ns(7'000'000'000), ns(4'000'000'000), ns(1'000'000'000)}));
}

TEST_P(TimeoutTest, ASignalAfterTheDeadlineLeavesOneLastLook) {
  bool is_first = true;
  kernel_.cut = [&](std::int64_t& asked) {
    if (!is_first) return SysResult(0);
    is_first = false;
    asked = absl::ToInt64Nanoseconds(absl::Seconds(30));
    return SysResult::from_errno(EINTR);
  };
  EXPECT_EQ(waits_of(absl::Seconds(10)), (Waits{ns(10'000'000'000), is_epoll() ? ms(0) : ns(0)}));
}

TEST_P(TimeoutTest, AnInterruptedWaitForEverStaysForEver) {
  int signals = 3;
  kernel_.cut = [&](std::int64_t& asked) {
    asked = absl::ToInt64Nanoseconds(absl::Hours(1));
    return signals-- > 0 ? SysResult::from_errno(EINTR) : SysResult(0);
  };
  const Wait forever = is_epoll() ? ms(kForever) : ns(kForever);
  EXPECT_EQ(waits_of(absl::InfiniteDuration()), Waits(4, forever));
}

// An error is not "nothing happened". See brazilofmux/tinymux#791.
TEST_P(TimeoutTest, OtherErrorsOfTheWaitEndIt) {
  struct Case {
    int error;
    absl::StatusCode code;
    const char* name;
  };
  for (const Case& c : {Case{EBADF, absl::StatusCode::kFailedPrecondition, "EBADF"},
                        Case{EINVAL, absl::StatusCode::kInvalidArgument, "EINVAL"},
                        Case{ENOMEM, absl::StatusCode::kResourceExhausted, "ENOMEM"}}) {
    for (const absl::Duration timeout : {absl::Seconds(1), absl::InfiniteDuration()}) {
      kernel_.waits.clear();
      kernel_.cut = [&](std::int64_t&) { return SysResult::from_errno(c.error); };
      Events events(8);
      EXPECT_THAT(poll_.poll(events, timeout),
                  StatusIs(c.code, AllOf(HasSubstr("Poll::poll"), HasSubstr(c.name))));
      EXPECT_TRUE(events.empty());
      // Each engine has a second way to wait, which is tried once.
      EXPECT_LE(kernel_.waits.size(), 2u);
    }
  }
}

TEST_P(TimeoutTest, WaitsWithoutAFiniteTimeoutDoNotReadTheClock) {
  const std::uint64_t before = kernel_.calls(KernelCall::kClock);
  Events events(8);
  EXPECT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
  EXPECT_THAT(poll_.poll(events, absl::InfiniteDuration()), IsOk());
  EXPECT_EQ(kernel_.calls(KernelCall::kClock), before);
}

}  // namespace
}  // namespace epore
