// What a runtime with nothing to do does: nothing.

#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "absl/log/check.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/settle.h"
#include "tests/support/idle_kernel.h"

namespace epore {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(1);
constexpr absl::Duration kAlmost = absl::Nanoseconds(1);
constexpr absl::Duration kIdle = absl::Hours(1);

#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr std::size_t kThousands = 2'000;  // it would take minutes
#else
constexpr std::size_t kThousands = 10'000;
#endif

// Two descriptors for each connection, as both ends are in this process, and some for the rest.
std::size_t connections_within_the_limit(std::size_t wanted) {
  rlimit limit;
  PCHECK(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  PCHECK(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  return std::min<std::size_t>(wanted, (limit.rlim_cur - 200) / 2);
}

// Where callbacks run on the poll thread, so that it is known when all is done.
class IdleTest : public RuntimeTest {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.kernel = &idle_;
    return options;
  }

  // Connections that echo, with an idle timeout of an hour.
  Listener listen(Runtime& runtime) {
    ListenOptions options;
    options.connection.idle_timeout = kIdle;
    return listen_on_loopback(
        runtime,
        [this](Connection& connection) {
          connection.on_data([](Connection& c, std::span<const std::byte> b) { c.send(b); });
          absl::MutexLock lock(&mutex_);
          ++accepted_;
        },
        options);
  }

  void await_accepted(std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto are_there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return accepted_ >= count; };
    mutex_.Await(absl::Condition(&are_there));
  }

  // Returns when the poll thread sleeps again.
  void ping(Peer& peer) {
    const std::uint64_t sleeps = idle_.sleeps("epore-poll0");
    peer.send("p");
    EXPECT_EQ(peer.receive(1), "p");
    idle_.await_sleeps("epore-poll0", sleeps + 1);
  }

  absl::Time now() { return absl::FromUnixNanos(idle_.now()); }

  // Moves the clock while the poll thread sleeps, and returns when the watchdog has looked at it:
  // were it late it could take a run for one that lasts since it looked last.
  void advance(absl::Duration by) {
    const bool has_watchdog =
        GetParam().dispatch == Dispatch::adaptive && !idle_.is_parked_for_good("epore-watchdog");
    const std::uint64_t sleeps = idle_.sleeps("epore-watchdog");
    idle_.advance(by);
    if (has_watchdog) idle_.await_sleeps("epore-watchdog", sleeps + 1);
  }
  void advance_to(absl::Time time) { advance(time - now()); }

  // Every thread sleeps when this returns, the poll thread until `deadline`.
  void expect_no_turn_until(Runtime& runtime, absl::Time deadline) {
    settle(idle_, runtime);
    EXPECT_EQ(now() + idle_.timeout("epore-poll0"), deadline);
    if (GetParam().dispatch == Dispatch::adaptive) (void)idle_watchdog(idle_);
  }

  // What is counted of wakeups: turns, calls, and each thread's waits.
  std::vector<std::uint64_t> wakeups(Runtime& runtime) {
    std::vector<std::uint64_t> counts = {runtime.counters().polls,
                                         idle_.calls(KernelCall::kEpollWait),
                                         idle_.calls(KernelCall::kUnpark)};
    for (const char* thread : {"epore-poll0", "epore-watchdog", "epore-worker0", "epore-worker1"}) {
      counts.push_back(idle_.sleeps(thread));
    }
    return counts;
  }

  // Moves the clock to `time`, before which nothing is to happen.
  void expect_no_wakeup_until(Runtime& runtime, absl::Time time) {
    const std::vector<std::uint64_t> before = wakeups(runtime);
    const std::uint64_t polls = before[0];
    const std::uint64_t waits = before[1];
    const absl::Duration step = (time - now()) / 60;
    for (int i = 0; i < 59; ++i) advance(step);
    advance_to(time);
    EXPECT_EQ(wakeups(runtime), before);
    settle(idle_, runtime);  // by which a turn that has begun is counted as well
    EXPECT_EQ(runtime.counters().polls - polls, kSettlePosts);
    EXPECT_EQ(idle_.calls(KernelCall::kEpollWait) - waits, kSettlePosts);
  }

  // Moves the clock to `time`, for which the poll thread makes one turn.
  void expect_one_turn_at(Runtime& runtime, absl::Time time) {
    const std::uint64_t polls = runtime.counters().polls;
    const std::uint64_t sleeps = idle_.sleeps("epore-poll0");
    advance_to(time);
    idle_.await_sleeps("epore-poll0", sleeps + 1);
    EXPECT_EQ(runtime.counters().polls - polls, 1u);
  }

  IdleKernel idle_{system_};
  absl::Mutex mutex_;
  std::size_t accepted_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_P(IdleTest, ThousandsOfConnectionsThatWereAllPingedSinceCauseOneWakeupBeforeTheFirstIsDue) {
  const std::size_t count = connections_within_the_limit(kThousands);
  ASSERT_GE(count, 2'000u) << "raise the limit of open files";
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  const absl::Time began = now();
  std::vector<Peer> peers;
  while (peers.size() < count) {
    peers.emplace_back(listener.address());
    if (peers.size() % 64 == 0) await_accepted(peers.size());
  }
  await_accepted(count);
  settle(idle_, runtime);
  advance(absl::Minutes(1));
  const absl::Time first = now();
  for (Peer& peer : peers) {
    ping(peer);
    advance(kTick);
  }
  // A timeout is not moved by what puts it off: all timers still stand at their first deadline.
  expect_no_turn_until(runtime, began + kIdle);
  expect_no_wakeup_until(runtime, began + kIdle - kAlmost);
  // There they are put off together, and from now on each is due when it ends.
  expect_one_turn_at(runtime, began + kIdle);
  expect_no_turn_until(runtime, first + kIdle);
  expect_no_wakeup_until(runtime, first + kIdle - kAlmost);
  EXPECT_EQ(runtime.counters().connections, count);
  advance(kAlmost);
  EXPECT_EQ(peers.front().end(), 0);
  for (Peer& peer : peers) peer.reset();  // leaves no port behind for a while
}

TEST_P(IdleTest, AConnectionThatWasPingedSinceCausesOneWakeupAndThatAtItsFirstDeadline) {
  constexpr int kConnections = 50;
  Runtime runtime(options());
  const Listener listener = listen(runtime);
  std::vector<Peer> peers;
  std::vector<absl::Time> deadlines;
  for (int i = 0; i < kConnections; ++i) {
    peers.emplace_back(listener.address());
    await_accepted(peers.size());
    deadlines.push_back(now() + kIdle);
    settle(idle_, runtime);
    advance(kTick);
  }
  advance(absl::Minutes(1));
  const absl::Time pinged = now();
  for (Peer& peer : peers) {
    for (int i = 0; i < 3; ++i) ping(peer);
  }
  expect_no_turn_until(runtime, deadlines.front());
  expect_no_wakeup_until(runtime, deadlines.front() - kAlmost);
  for (absl::Time deadline : deadlines) expect_one_turn_at(runtime, deadline);
  expect_no_turn_until(runtime, pinged + kIdle);
  expect_no_wakeup_until(runtime, pinged + kIdle - kAlmost);
  EXPECT_EQ(runtime.counters().connections, 0u + kConnections);
  advance(kAlmost);
  for (Peer& peer : peers) EXPECT_EQ(peer.end(), 0);
}

// It looks more often where something runs now and then than where nothing does.
TEST(WatchdogTickTest, ItIsShorterWhilePollThreadsSleepBetweenRuns) {
  IdleKernel kernel;
  RuntimeOptions options;
  options.dispatch = Dispatch::adaptive;
  options.workers = 2;
  options.kernel = &kernel;
  Runtime runtime(options);
  (void)idle_watchdog(kernel);
  const std::uint64_t sleeps = kernel.sleeps("epore-watchdog");
  settle(kernel, runtime);  // which wakes it
  kernel.await_sleeps("epore-watchdog", sleeps + 1);
  const auto tick = [&] {
    const std::uint64_t before = kernel.sleeps("epore-watchdog");
    kernel.advance(kernel.timeout("epore-watchdog"));
    kernel.await_sleeps("epore-watchdog", before + 1);
    return kernel.timeout("epore-watchdog");
  };
  EXPECT_EQ(kernel.timeout("epore-watchdog"), absl::Milliseconds(8));
  EXPECT_EQ(tick(), absl::Milliseconds(3)) << "closures have run, and the poll thread sleeps";
  EXPECT_EQ(tick(), absl::Milliseconds(8)) << "nothing has run since";
  settle(kernel, runtime);
  EXPECT_EQ(tick(), absl::Milliseconds(3));
}

INSTANTIATE_TEST_SUITE_P(Epoll, IdleTest,
                         testing::Values(Mode{Dispatch::adaptive, "epoll"},
                                         Mode{Dispatch::poll_thread, "epoll"}),
                         mode_name);

}  // namespace
}  // namespace epore
