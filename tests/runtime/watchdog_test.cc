// What the watchdog does about threads that are stuck, and that it sleeps otherwise; on a clock
// that the test moves.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/settle.h"
#include "tests/support/idle_kernel.h"
#include "tests/support/thread_name.h"

namespace epore {
namespace {

template <typename TestKernel>
class WatchdogTestBase : public testing::Test {
 protected:
  RuntimeOptions options(Dispatch dispatch, int workers = 2, int reactors = 1) {
    RuntimeOptions options;
    options.dispatch = dispatch;
    options.workers = workers;
    options.reactors = reactors;
    options.kernel = &kernel_;
    return options;
  }

  // Returns at release().
  void get_stuck() {
    absl::MutexLock lock(&mutex_);
    stuck_.insert(thread_name());
    ++stuck_now_;
    mutex_.Await(absl::Condition(&is_released_));
    --stuck_now_;
  }

  // A closure that is stuck until release().
  void post_stuck(Runtime& runtime) {
    ASSERT_TRUE(runtime.post([this] { get_stuck(); }).ok());
  }

  // Returns the names of the threads.
  std::set<std::string> await_stuck(std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto are_there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return stuck_.size() >= count;
    };
    mutex_.Await(absl::Condition(&are_there));
    return stuck_;
  }

  void release() {
    absl::MutexLock lock(&mutex_);
    is_released_ = true;
  }

  // Moves the clock by a millisecond, and returns when the watchdog, which must be awake, has
  // looked at it.
  void tick() {
    const std::uint64_t sleeps = kernel_.sleeps("epore-watchdog");
    kernel_.advance(absl::Milliseconds(1));
    kernel_.await_sleeps("epore-watchdog", sleeps + 1);
  }

  // After release(): returns when nobody is stuck any more.
  void reset() {
    absl::MutexLock lock(&mutex_);
    const auto is_over = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stuck_now_ == 0; };
    mutex_.Await(absl::Condition(&is_over));
    is_released_ = false;
    stuck_.clear();
  }

  TestKernel kernel_;
  absl::Mutex mutex_;
  bool is_released_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> stuck_ ABSL_GUARDED_BY(mutex_);
  int stuck_now_ ABSL_GUARDED_BY(mutex_) = 0;
};

class WatchdogTest : public WatchdogTestBase<IdleKernel>,
                     public testing::WithParamInterface<Dispatch> {
 protected:
  RuntimeOptions options() { return WatchdogTestBase::options(GetParam()); }

  // As many as make every thread stuck that runs closures before the watchdog does anything.
  std::size_t threads_to_be_stuck() const { return GetParam() == Dispatch::workers ? 2 : 1; }

  void post_as_many_stuck(Runtime& runtime) {
    for (std::size_t i = 0; i < threads_to_be_stuck(); ++i) post_stuck(runtime);
    await_stuck(threads_to_be_stuck());
  }

  // Runs a closure, and returns when all of the runtime's threads but the watchdog sleep.
  void work(Runtime& runtime) {
    if (GetParam() == Dispatch::adaptive) {
      settle(kernel_, runtime);
      return;
    }
    absl::Notification ran;
    ASSERT_TRUE(runtime.post([&ran] { ran.Notify(); }).ok());
    ran.WaitForNotification();
    for (const char* worker : {"epore-worker0", "epore-worker1"}) {
      while (!kernel_.is_parked_for_good(worker)) std::this_thread::yield();
    }
  }
};

TEST_P(WatchdogTest, AfterAFewTicksOfIdlenessItSleepsForGood) {
  Runtime runtime(options());
  work(runtime);
  const int ticks = idle_watchdog(kernel_);
  EXPECT_GE(ticks, 4);
  EXPECT_LE(ticks, 10);
  EXPECT_EQ(kernel_.timeout("epore-watchdog"), absl::InfiniteDuration());
  const std::uint64_t clock = kernel_.calls(KernelCall::kClock);
  const std::uint64_t sleeps = kernel_.sleeps("epore-watchdog");
  for (int i = 0; i < 3600; ++i) kernel_.advance(absl::Seconds(1));
  EXPECT_TRUE(kernel_.is_parked_for_good("epore-watchdog"));
  EXPECT_EQ(kernel_.calls(KernelCall::kClock), clock) << "of any thread";
  EXPECT_EQ(kernel_.sleeps("epore-watchdog"), sleeps);
}

TEST_P(WatchdogTest, ItIsAwakeBeforeTheFirstCallbackBegins) {
  Runtime runtime(options());
  for (int i = 0; i < 3; ++i) {
    work(runtime);
    (void)idle_watchdog(kernel_);
    bool is_awake = false;
    absl::Notification ran;
    ASSERT_TRUE(runtime
                    .post([&] {
                      // A worker may have begun before the one who handed the work over has woken
                      // it, which is the next that he does.
                      while (GetParam() == Dispatch::workers &&
                             kernel_.is_parked_for_good("epore-watchdog")) {
                        std::this_thread::yield();
                      }
                      is_awake = !kernel_.is_parked_for_good("epore-watchdog");
                      ran.Notify();
                    })
                    .ok());
    ran.WaitForNotification();
    EXPECT_TRUE(is_awake);
  }
}

TEST_P(WatchdogTest, OthersAreServedThoughEveryThreadIsStuck) {
  Runtime runtime(options());
  work(runtime);
  (void)idle_watchdog(kernel_);
  post_as_many_stuck(runtime);
  absl::Notification ran;
  ASSERT_TRUE(runtime.post([&] { ran.Notify(); }).ok());
  const std::uint64_t threads = kernel_.calls(KernelCall::kThreadStart);
  const std::uint64_t unparks = kernel_.calls(KernelCall::kUnpark);
  const auto has_acted = [&] {
    return kernel_.calls(KernelCall::kThreadStart) > threads ||
           kernel_.calls(KernelCall::kUnpark) > unparks;
  };
  int ticks = 0;
  for (; !has_acted() && ticks < 1'000; ++ticks) tick();
  if (GetParam() == Dispatch::adaptive) {
    EXPECT_GE(ticks, 8);
    EXPECT_LE(ticks, 17);
  } else {
    EXPECT_GE(ticks, 100);
    EXPECT_LE(ticks, 117);
  }
  ran.WaitForNotification();
  EXPECT_EQ(runtime.counters().reliefs, GetParam() == Dispatch::adaptive ? 1u : 0u);
  release();
}

class Lines : public absl::LogSink {
 public:
  Lines() { absl::AddLogSink(this); }
  ~Lines() override { absl::RemoveLogSink(this); }
  void Send(const absl::LogEntry& entry) override {
    absl::MutexLock lock(&mutex_);
    text_ += std::string(entry.text_message()) + "\n";
  }
  bool match(const std::string& line) {
    absl::MutexLock lock(&mutex_);
    return std::regex_search(text_, std::regex(line));
  }
  void await(const std::string& line) {
    absl::MutexLock lock(&mutex_);
    const auto is_there = [this, pattern = std::regex(line)]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return std::regex_search(text_, pattern);
    };
    mutex_.Await(absl::Condition(&is_there));
  }

 private:
  absl::Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

TEST_P(WatchdogTest, WhoBlocksIsNamedWithTheThreadAndForHowLong) {
  Lines lines;
  Runtime runtime(options());
  work(runtime);
  post_as_many_stuck(runtime);
  const std::string thread = *await_stuck(1).begin();
  EXPECT_EQ(thread.substr(0, 9), GetParam() == Dispatch::adaptive ? "epore-pol" : "epore-wor");
  const std::string now = "a posted closure is holding " + thread + ", for [0-9.]+m?s by now; ";
  const std::string afterwards = "a posted closure has held " + thread + " for [0-9.]+m?s; ";
  for (int i = 0; i < 1'000 && !lines.match(now); ++i) tick();
  EXPECT_TRUE(lines.match(now));
  EXPECT_FALSE(lines.match(afterwards));
  Counters counters = runtime.counters();
  EXPECT_EQ(counters.stuck_callbacks, threads_to_be_stuck());
  EXPECT_EQ(counters.longest_stuck_callback, "a posted closure");
  EXPECT_GE(counters.longest_stuck_callback_us, 100'000u);  // it has not returned yet
  release();
  lines.await(afterwards);
  do {  // the thread takes note of it behind the line in the log
    counters = runtime.counters();
  } while (counters.longest_stuck_callback_us < 100'000u);
  EXPECT_EQ(counters.stuck_callbacks, threads_to_be_stuck());
  EXPECT_EQ(counters.longest_stuck_callback, "a posted closure");
}

TEST_P(WatchdogTest, AHandlerThatBlocksIsNamedByItsConnection) {
  Lines lines;
  std::atomic<std::uint64_t> id{0};
  Runtime runtime(options());
  const absl::StatusOr<Listener> listener =
      runtime.listen("127.0.0.1:0", [&](Connection connection) -> Task<> {
        id = connection.id();
        get_stuck();
        co_return;
      });
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Peer peer(listener->address());
  await_stuck(1);
  const std::string line = "the order of connection " + std::to_string(id) + " is holding epore-";
  for (int i = 0; i < 1'000 && !lines.match(line); ++i) tick();
  EXPECT_TRUE(lines.match(line));
  release();
}

// The relief gives the slot of the connection free, whose run has not returned yet.
TEST_P(WatchdogTest, AConnectionInAnOrderOutlivesItsLastCallbackThatBlocks) {
  Runtime runtime(options());
  const absl::StatusOr<Listener> echo = runtime.listen("127.0.0.1:0", [](Connection& connection) {
    connection.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
  });
  ASSERT_TRUE(echo.ok()) << echo.status();
  const absl::StatusOr<Listener> listener = runtime.listen(
      "127.0.0.1:0",
      [this](Connection& connection) {
        connection.on_closed([this](Connection&, const absl::Status&) { get_stuck(); });
      },
      {.order = runtime.order()});
  ASSERT_TRUE(listener.ok()) << listener.status();
  Peer other(echo->address());
  Peer(listener->address()).reset();
  await_stuck(1);
  if (GetParam() == Dispatch::adaptive) {
    for (int i = 0; i < 1'000 && runtime.counters().reliefs == 0; ++i) tick();
  }
  for (int i = 0; i < 3; ++i) {  // each begins a turn
    other.send("x");
    EXPECT_EQ(other.receive(1), "x");
  }
  release();
}

INSTANTIATE_TEST_SUITE_P(Dispatch, WatchdogTest,
                         testing::Values(Dispatch::adaptive, Dispatch::workers),
                         [](const testing::TestParamInfo<Dispatch>& info) {
                           return std::string(dispatch_name(info.param));
                         });

// What threads do, as the test says, by their names. Those that it does not name sleep.
class StateKernel : public IdleKernel {
 public:
  void set_state(const std::string& thread, ThreadState state) {
    absl::MutexLock lock(&states_mutex_);
    states_[thread] = state;
  }
  // All threads wait for a processor as time passes, or none does.
  void set_waiting(bool waiting) {
    absl::MutexLock lock(&states_mutex_);
    if (waiting_ && !waiting) waited_ = now();
    waiting_ = waiting;
  }

  int thread_id() override {
    const int id = IdleKernel::thread_id();
    absl::MutexLock lock(&states_mutex_);
    names_[id] = thread_name();
    return id;
  }
  SysResult thread_state(int thread, ThreadState* state) override {
    absl::MutexLock lock(&states_mutex_);
    const auto found = states_.find(names_[thread]);
    *state = found != states_.end() ? found->second : ThreadState::asleep;
    return SysResult(0);
  }
  SysResult run_delay(int, std::int64_t* nanoseconds) override {
    absl::MutexLock lock(&states_mutex_);
    *nanoseconds = waiting_ ? now() : waited_;
    return SysResult(0);
  }

 private:
  absl::Mutex states_mutex_;
  std::map<int, std::string> names_ ABSL_GUARDED_BY(states_mutex_);
  std::map<std::string, ThreadState> states_ ABSL_GUARDED_BY(states_mutex_);
  bool waiting_ ABSL_GUARDED_BY(states_mutex_) = false;
  std::int64_t waited_ ABSL_GUARDED_BY(states_mutex_) = 0;
};

class WaitingTest : public WatchdogTestBase<StateKernel> {
 protected:
  // Until then a thread has no id.
  void await_start() {
    for (const char* thread : {"epore-watchdog", "epore-poll0", "epore-worker0", "epore-worker1"}) {
      kernel_.await_sleeps(thread, 1);
    }
  }

  // Returns after how many ticks `happens`, or -1.
  template <typename Condition>
  int ticks_until(Condition happens, int at_most = 400) {
    for (int ticks = 0; ticks < at_most; ++ticks) {
      if (happens()) return ticks;
      tick();
    }
    return -1;
  }
};

// A relief would wait for the same lock.
TEST_F(WaitingTest, ALeaderThatWaitsForALockOfOneThatRunsIsNotRelieved) {
  Runtime runtime(options(Dispatch::adaptive));
  await_start();
  kernel_.set_state("epore-poll0", ThreadState::parked);
  kernel_.set_state("epore-worker0", ThreadState::runs);
  post_stuck(runtime);
  await_stuck(1);
  const auto is_relieved = [&] { return runtime.counters().reliefs > 0; };
  EXPECT_EQ(ticks_until(is_relieved, 40), -1);
  // Whoever holds it sleeps, too.
  kernel_.set_state("epore-worker0", ThreadState::parked);
  while (!is_relieved()) tick();
  release();
}

TEST_F(WaitingTest, ALeaderThatWaitsForALockForTooLongIsRelieved) {
  Runtime runtime(options(Dispatch::adaptive));
  await_start();
  kernel_.set_state("epore-poll0", ThreadState::parked);
  kernel_.set_state("epore-worker0", ThreadState::runs);
  post_stuck(runtime);
  await_stuck(1);
  int ticks = 0;
  for (; runtime.counters().reliefs == 0; ++ticks) tick();
  EXPECT_GE(ticks, 50);
  release();
}

// The poll thread is stuck some times, one after the other.
class PatienceTest : public WaitingTest {
 protected:
  // Returns the tick of the watchdog, from when the poll thread was stuck, in which it asked for a
  // relief. `waits`: the relief gets stuck, and waits for a lock while another thread runs.
  int tick_of_relief(Runtime& runtime, bool waits) {
    post_stuck(runtime);
    EXPECT_EQ(await_stuck(1), std::set<std::string>{"epore-poll0"});
    std::atomic<bool> is_asked{false};
    kernel_.before(KernelCall::kUnpark, [&](const FaultKernel::Call&) {
      if (thread_name() == "epore-watchdog") is_asked = true;  // for a worker
    });
    const std::uint64_t reliefs = runtime.counters().reliefs;
    const int ticks = ticks_until([&] { return is_asked.load(); });
    kernel_.before(KernelCall::kUnpark, nullptr);
    while (runtime.counters().reliefs == reliefs) std::this_thread::yield();
    if (waits) {
      post_stuck(runtime);
      std::set<std::string> stuck = await_stuck(2);
      stuck.erase("epore-poll0");
      const std::string relief = *stuck.begin();
      kernel_.set_state("epore-poll0", ThreadState::runs);
      kernel_.set_state(relief, ThreadState::parked);
      for (int i = 0; i < 3; ++i) tick();
      kernel_.set_state("epore-poll0", ThreadState::asleep);
      kernel_.set_state(relief, ThreadState::asleep);
    }
    release();
    reset();
    await_home(runtime);
    // The end of a stuck run makes the closures after it slow. A worker may note that late.
    for (const char* worker : {"epore-worker0", "epore-worker1"}) {
      while (!kernel_.is_parked_for_good(worker)) std::this_thread::yield();
    }
    await_home(runtime);
    return ticks;
  }

 private:
  // Returns when the poll thread leads again, and runs closures itself.
  void await_home(Runtime& runtime) {
    for (std::string leader; leader != "epore-poll0";) {
      absl::Notification ran;
      ASSERT_TRUE(runtime
                      .post([&] {
                        leader = thread_name();
                        ran.Notify();
                      })
                      .ok());
      ran.WaitForNotification();
    }
  }
};

TEST_F(PatienceTest, AfterAReliefThatHasWaitedForALockTheNextOneComesLater) {
  Runtime runtime(options(Dispatch::adaptive));
  await_start();
  (void)tick_of_relief(runtime, false);  // from here on the watchdog ticks every millisecond
  const int at_first = tick_of_relief(runtime, true);
  const int later = tick_of_relief(runtime, true);
  const int latest = tick_of_relief(runtime, false);
  EXPECT_GT(later, at_first);
  EXPECT_GT(latest, later);
  // The last one has not waited.
  (void)tick_of_relief(runtime, false);
  const int earlier = tick_of_relief(runtime, false);
  EXPECT_GT(earlier, at_first);
  EXPECT_LT(earlier, latest);
}

TEST_F(WaitingTest, ALeaderThatSleepsIsRelievedWhoeverRuns) {
  Runtime runtime(options(Dispatch::adaptive));
  await_start();
  kernel_.set_state("epore-poll0", ThreadState::asleep);
  kernel_.set_state("epore-worker0", ThreadState::runs);
  post_stuck(runtime);
  await_stuck(1);
  const std::uint64_t unparks = kernel_.calls(KernelCall::kUnpark);
  const int ticks = ticks_until([&] { return kernel_.calls(KernelCall::kUnpark) > unparks; });
  EXPECT_GE(ticks, 1);
  EXPECT_LE(ticks, 20);
  release();
}

TEST_F(WaitingTest, WorkersThatWaitForALockGetNoSpareOnesAndNoLine) {
  Lines lines;
  Runtime runtime(options(Dispatch::workers));
  await_start();
  kernel_.set_state("epore-worker0", ThreadState::parked);
  kernel_.set_state("epore-worker1", ThreadState::parked);
  kernel_.set_state("epore-poll0", ThreadState::runs);  // it stands for who holds the lock
  post_stuck(runtime);
  post_stuck(runtime);
  await_stuck(2);
  absl::Notification ran;
  ASSERT_TRUE(runtime.post([&] { ran.Notify(); }).ok());
  const std::uint64_t threads = kernel_.calls(KernelCall::kThreadStart);
  EXPECT_EQ(ticks_until([&] { return kernel_.calls(KernelCall::kThreadStart) > threads; }, 300),
            -1);
  EXPECT_FALSE(lines.match("is holding"));
  kernel_.set_state("epore-poll0", ThreadState::asleep);
  EXPECT_GE(ticks_until([&] { return kernel_.calls(KernelCall::kThreadStart) > threads; }), 0);
  ran.WaitForNotification();
  EXPECT_GE(ticks_until([&] { return lines.match("is holding"); }), 0);
  release();
}

TEST_F(WaitingTest, TheWaitForAProcessorIsNoReasonForALine) {
  Lines lines;
  Runtime runtime(options(Dispatch::workers));
  await_start();
  kernel_.set_waiting(true);
  post_stuck(runtime);
  await_stuck(1);
  EXPECT_EQ(ticks_until([&] { return lines.match("is holding"); }, 300), -1);
  kernel_.set_waiting(false);
  EXPECT_GE(ticks_until([&] { return lines.match("is holding"); }), 80);
  release();
}

TEST_F(WaitingTest, TheOptionSaysFromWhenOnThereIsALine) {
  for (const Dispatch dispatch : {Dispatch::workers, Dispatch::adaptive}) {
    Lines lines;
    RuntimeOptions options = this->options(dispatch);
    options.blocked_callback_warning = absl::Milliseconds(30);
    Runtime runtime(options);
    post_stuck(runtime);
    await_stuck(1);
    const int ticks = ticks_until([&] { return lines.match("is holding"); });
    EXPECT_GE(ticks, 30);
    EXPECT_LE(ticks, 60);
    release();
    lines.await("has held");
    reset();
  }
}

TEST_F(WaitingTest, ZeroAndForEverMeanThatThereIsNone) {
  for (const absl::Duration warning : {absl::ZeroDuration(), absl::InfiniteDuration()}) {
    Lines lines;
    RuntimeOptions options = this->options(Dispatch::workers);
    options.blocked_callback_warning = warning;
    Runtime runtime(options);
    post_stuck(runtime);
    await_stuck(1);
    EXPECT_EQ(ticks_until([&] { return lines.match("is holding"); }, 300), -1);
    release();
    EXPECT_TRUE(runtime.shutdown().ok());  // the closure has seen it
    reset();
  }
}

// With a worker for each, and with one, so that the other relief is a spare.
class TwoReactorsTest : public WatchdogTestBase<IdleKernel>,
                        public testing::WithParamInterface<int> {};

TEST_P(TwoReactorsTest, PollThreadsThatAreBothStuckAreBothRelieved) {
  Runtime runtime(options(Dispatch::adaptive, /*workers=*/GetParam(), /*reactors=*/2));
  kernel_.await_sleeps("epore-watchdog", 1);
  post_stuck(runtime);
  post_stuck(runtime);
  EXPECT_EQ(await_stuck(2), (std::set<std::string>{"epore-poll0", "epore-poll1"}));
  while (runtime.counters().reliefs < 2) tick();
  absl::Notification ran[2];
  for (absl::Notification& one : ran) {  // one for each: posts from outside go round
    ASSERT_TRUE(runtime.post([&one] { one.Notify(); }).ok());
  }
  for (absl::Notification& one : ran) one.WaitForNotification();
  EXPECT_EQ(runtime.counters().reliefs, 2u);
  release();
}

INSTANTIATE_TEST_SUITE_P(Workers, TwoReactorsTest, testing::Values(2, 1));

}  // namespace
}  // namespace epore
