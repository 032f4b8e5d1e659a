// What things cost in system calls, exactly.

#include <cerrno>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/settle.h"
#include "tests/support/hold.h"
#include "tests/support/idle_kernel.h"

namespace epore {
namespace {

// The clock stands still, so that no watchdog finds anybody stuck: where callbacks run on the poll
// thread, every call is exact. With workers, waits, wakes and the clock come as often as the
// scheduling has it, and all else is exact.
class SyscallBudgetTest : public RuntimeTest {
 protected:
  using Calls = std::map<std::string, std::uint64_t>;

  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.kernel = &idle_;
    return options;
  }

  bool is_exact() const { return GetParam().dispatch != Dispatch::workers; }

  // Returns when nothing of the runtime's start is left to do, nor of what was asked of it before.
  void settle(Runtime& runtime) {
    if (GetParam().dispatch == Dispatch::adaptive) {
      idle_.await_sleeps("epore-watchdog", 1);
      while (runtime.counters().system_call("futex_wait") < 2) std::this_thread::yield();
    }
    epore::settle(idle_, runtime);
  }

  // Returns when the poll thread has made so many turns since `before` and sleeps again.
  void await_turns(std::uint64_t sleeps_before, std::uint64_t turns) {
    idle_.await_sleeps("epore-poll0", sleeps_before + turns);
  }
  std::uint64_t sleeps() const { return idle_.sleeps("epore-poll0"); }

  // All of them.
  static Calls all_calls(Runtime& runtime) {
    Calls result;
    for (const auto& [name, count] : runtime.counters().system_calls) result[name] = count;
    return result;
  }

  static Calls calls(Runtime& runtime) {
    Calls result = all_calls(runtime);
    for (const char* name :
         {"epoll_wait", "clock", "futex_wait", "futex_wake", "write", "thread_join", "thread_start",
          "gettid", "sched_setscheduler", "schedstat"}) {
      result.erase(name);
    }
    return result;
  }

  // The same after the listener of the only connection has found its backlog empty.
  Calls calls_after_accept(Runtime& runtime) {
    while (runtime.counters().system_call("accept4") < 2) std::this_thread::yield();
    return calls(runtime);
  }

  // How many have their queue delay noted.
  static std::uint64_t delays(const Counters& counters) {
    return std::accumulate(counters.queue_delay.begin(), counters.queue_delay.end(),
                           std::uint64_t{0});
  }

  // What was called since `before`.
  static Calls since(Runtime& runtime, const Calls& before) {
    return difference(calls(runtime), before);
  }
  static Calls all_since(Runtime& runtime, const Calls& before) {
    return difference(all_calls(runtime), before);
  }

  IdleKernel idle_{system_};

 private:
  static Calls difference(const Calls& after, const Calls& before) {
    Calls result;
    for (const auto& [name, count] : after) {
      const auto found = before.find(name);
      const std::uint64_t difference = count - (found == before.end() ? 0 : found->second);
      if (difference != 0) result[name] = difference;
    }
    return result;
  }
};

TEST_P(SyscallBudgetTest, AnEchoIsOneReceiveAndOneSend) {
  constexpr int kRounds = 1'000;
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.on_data([](Connection& c, std::span<const std::byte> b) { c.send(b); });
  fence(link.connection);
  link.peer.send("warm up");
  link.peer.receive(7);
  fence(link.connection);
  const Calls before = calls_after_accept(runtime);
  for (int i = 0; i < kRounds; ++i) {
    link.peer.send("ping");
    EXPECT_EQ(link.peer.receive(4), "ping");
  }
  EXPECT_EQ(since(runtime, before), (Calls{{"recvfrom", kRounds}, {"sendto", kRounds}}));
}

TEST_P(SyscallBudgetTest, OnThePollThreadItIsOnePollAndOneLookAtTheClockBesides) {
  if (!is_exact()) GTEST_SKIP() << "others wake workers as well";
  constexpr int kRounds = 1'000;
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  settle(runtime);
  const Calls before = all_calls(runtime);
  const Counters counters = runtime.counters();
  const std::uint64_t asleep = sleeps();
  for (int i = 0; i < kRounds; ++i) {
    link.peer.send("ping");
    EXPECT_EQ(link.peer.receive(4), "ping");
  }
  await_turns(asleep, kRounds);
  const std::uint64_t sampled = delays(runtime.counters()) - delays(counters);
  EXPECT_NEAR(static_cast<double>(sampled), kRounds / 64.0, 1) << "one of 64";
  EXPECT_EQ(all_since(runtime, before), (Calls{
                                            {"epoll_wait", kRounds},
                                            {"clock", kRounds + sampled},
                                            {"recvfrom", kRounds},
                                            {"sendto", kRounds},
                                        }));
  const Counters after = runtime.counters();
  EXPECT_EQ(after.polls - counters.polls, 0u + kRounds);
  EXPECT_EQ(after.events - counters.events, 0u + kRounds);
  EXPECT_EQ(after.wakes, counters.wakes);
  EXPECT_EQ(after.reliefs, 0u);
}

TEST_P(SyscallBudgetTest, SendsOfOneCallbackLeaveInOneCall) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view) {
    for (int i = 0; i < 100; ++i) c.send("0123456789");
  };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("warm up");
  EXPECT_EQ(link.peer.receive(1'000).size(), 1'000u);
  const Calls before = calls_after_accept(runtime);
  link.peer.send("x");
  EXPECT_EQ(link.peer.receive(1'000).size(), 1'000u);
  fence(link.connection);
  EXPECT_EQ(since(runtime, before), (Calls{{"recvfrom", 1}, {"sendto", 1}}));
}

TEST_P(SyscallBudgetTest, ASmallAndALargeSendLeaveInOneCall) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.send("warm up");
  link.peer.receive(7);
  const Calls before = calls_after_accept(runtime);
  ASSERT_TRUE(link.connection
                  .post([](Connection& c) {
                    c.send("header");
                    c.send(std::string(50'000, 'x'));
                  })
                  .ok());
  EXPECT_EQ(link.peer.receive(50'006).size(), 50'006u);
  fence(link.connection);
  EXPECT_EQ(since(runtime, before), (Calls{{"sendmsg", 1}}));
}

TEST_P(SyscallBudgetTest, AcceptEchoAndTheClientsEnd) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) { observer.watch(c); });
  const Calls before = calls(runtime);
  Peer peer(listener.address());
  peer.send("ping");
  EXPECT_EQ(peer.receive(4), "ping");
  peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(since(runtime, before),
            (Calls{
                {"accept4", 1 + 2},    // two find the backlog empty, one in the drain
                {"epoll_ctl", 2 + 1},  // in and out; the listener out
                {"recvfrom", 2},       // bytes, the end of file
                {"sendto", 1},
                {"close", 1 + 1},
            }));
}

TEST_P(SyscallBudgetTest, ConnectEchoAndClose) {
  absl::Notification closed;
  Runtime runtime(options());
  RuntimeOptions other = options();
  other.kernel = nullptr;  // counts by itself
  Runtime client(other);
  const Listener listener = listen_on_loopback(runtime, [&](Connection& connection) {
    connection.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
  });
  const Calls before = calls(client);
  client.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> connection) {
    ASSERT_TRUE(connection.ok()) << connection.status();
    connection->on_data([](Connection& c, std::span<const std::byte>) { c.close(); });
    connection->on_closed([&](Connection&, const absl::Status& why) {
      EXPECT_TRUE(why.ok()) << why;
      closed.Notify();
    });
    connection->send("ping");
  });
  closed.WaitForNotification();
  EXPECT_EQ(since(client, before), (Calls{
                                       {"socket", 1},
                                       {"setsockopt", 1},  // TCP_NODELAY
                                       {"connect", 1},
                                       {"getsockopt", 1},   // SO_ERROR
                                       {"getpeername", 1},  // connected, really
                                       {"getsockname", 1},
                                       {"epoll_ctl", 3},  // in, to the connection, out
                                       {"sendto", 1},
                                       {"recvfrom", 2},  // bytes, the end of file
                                       {"shutdown", 1},
                                       {"close", 1},
                                   }));
}

TEST_P(SyscallBudgetTest, AnAcceptIsOneCallAndOneThatFindsNobodyElse) {
  Observer observer;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) { observer.watch(c); });
  if (is_exact()) settle(runtime);
  const Calls before = all_calls(runtime);
  const Calls some_before = calls(runtime);
  const std::uint64_t asleep = sleeps();
  Peer peer(listener.address());
  if (is_exact()) {
    // Its descriptor is writable at once, which the queue tells and nobody is woken for.
    await_turns(asleep, 2);
    EXPECT_EQ(all_since(runtime, before),
              (Calls{{"accept4", 2}, {"epoll_ctl", 1}, {"epoll_wait", 2}, {"clock", 2}}));
  } else {
    while (runtime.counters().system_call("accept4") < 2) std::this_thread::yield();
    while (runtime.counters().system_call("epoll_ctl") == before.at("epoll_ctl")) {
      std::this_thread::yield();
    }
    EXPECT_EQ(since(runtime, some_before), (Calls{{"accept4", 2}, {"epoll_ctl", 1}}));
  }
  peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(SyscallBudgetTest, AGracefulCloseShutsDrainsAndCloses) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) {
    if (bytes == "x") c.close();
  };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("warm up");  // by which it is registered
  observer.await_bytes(7);
  const Calls before = calls_after_accept(runtime);
  const std::uint64_t bytes = runtime.counters().bytes_in;
  link.peer.send("x");
  EXPECT_EQ(link.peer.receive(1), "") << "no end of file";
  EXPECT_EQ(since(runtime, before), (Calls{{"recvfrom", 1}, {"shutdown", 1}}));
  link.peer.send("late");
  while (runtime.counters().bytes_in < bytes + 5) std::this_thread::yield();
  EXPECT_EQ(since(runtime, before), (Calls{{"recvfrom", 2}, {"shutdown", 1}}));
  EXPECT_EQ(observer.closed(), 0);
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(since(runtime, before), (Calls{
                                        {"recvfrom", 3},  // bytes, late ones, the end of file
                                        {"shutdown", 1},
                                        {"epoll_ctl", 1},
                                        {"close", 1},
                                    }));
}

TEST_P(SyscallBudgetTest, AnAbortIsThreeCalls) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("warm up");
  observer.await_bytes(7);
  const Calls before = calls_after_accept(runtime);
  link.connection.abort();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(since(runtime, before), (Calls{
                                        {"setsockopt", 1},  // SO_LINGER
                                        {"epoll_ctl", 1},
                                        {"close", 1},
                                    }));
  EXPECT_EQ(link.peer.end(), ECONNRESET);
}

TEST_P(SyscallBudgetTest, ATimeoutCostsNothingPerMessage) {
  constexpr int kRounds = 200;
  ConnectionOptions idle;
  idle.idle_timeout = absl::Hours(1);
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  Link link = open_link(runtime, observer, idle);
  link.peer.send("warm up");
  link.peer.receive(7);
  fence(link.connection);
  const Calls some_before = calls_after_accept(runtime);
  if (is_exact()) settle(runtime);
  Calls before = all_calls(runtime);
  const Counters counters = runtime.counters();
  const std::uint64_t asleep = sleeps();
  for (int i = 0; i < kRounds; ++i) {
    link.peer.send("ping");
    EXPECT_EQ(link.peer.receive(4), "ping");
  }
  EXPECT_EQ(since(runtime, some_before), (Calls{{"recvfrom", kRounds}, {"sendto", kRounds}}));
  EXPECT_EQ(runtime.counters().wakes, counters.wakes) << "the deadline never moves forward";
  if (!is_exact()) return;
  await_turns(asleep, kRounds);
  Calls all = all_since(runtime, before);
  all.erase("clock");  // a wait with a timeout looks at it as well
  EXPECT_EQ(all, (Calls{{"epoll_wait", kRounds}, {"recvfrom", kRounds}, {"sendto", kRounds}}));
  EXPECT_EQ(runtime.counters().polls - counters.polls, 0u + kRounds);
}

TEST_P(SyscallBudgetTest, ABurstOfPostsIsOneWake) {
  if (!is_exact()) GTEST_SKIP() << "others wake workers as well";
  constexpr int kPosts = 1'000;
  absl::BlockingCounter ran(kPosts);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  settle(runtime);
  Hold asleep(idle_, KernelCall::kEpollWait, Hold::before);
  link.peer.send("x");  // a turn without a wake
  asleep.await();
  const Calls before = all_calls(runtime);
  const std::uint64_t wakes = runtime.counters().wakes;
  for (int i = 0; i < kPosts; ++i) {
    ASSERT_TRUE(runtime.post([&ran] { ran.DecrementCount(); }).ok());
  }
  Calls at_first = all_since(runtime, before);
  EXPECT_LE(at_first["clock"], kPosts / 64 + 1u) << "for the queue delay of one of 64";
  at_first.erase("clock");
  EXPECT_EQ(at_first, (Calls{{"write", 1}}));
  EXPECT_EQ(runtime.counters().wakes - wakes, 1u);
  asleep.release();
  ran.Wait();
  Calls all = all_since(runtime, before);
  all.erase("epoll_wait");  // the last turn may not be over yet
  all.erase("clock");
  EXPECT_EQ(all, (Calls{{"write", 1}, {"recvfrom", 1}}));
}

TEST_P(SyscallBudgetTest, ArmingATimerAnewIsALookAtTheClockFromAnyThread) {
  constexpr int kTimes = 1'000;
  Runtime runtime(options());
  Timer first = runtime.timer([] {});
  first.arm(absl::Minutes(30));
  Timer timer = runtime.timer([] {});
  const auto arm = [&timer] {
    for (int i = 0; i < kTimes; ++i) timer.arm(absl::Hours(1));
  };
  arm();
  if (is_exact()) settle(runtime);
  const Calls before = all_calls(runtime);
  const Calls some_before = calls(runtime);
  const Counters counters = runtime.counters();
  arm();
  EXPECT_EQ(since(runtime, some_before), Calls());
  EXPECT_EQ(runtime.counters().wakes, counters.wakes);
  if (is_exact()) {
    EXPECT_EQ(all_since(runtime, before), (Calls{{"clock", kTimes}}));
  }
  Calls in_callback;
  absl::Notification done;
  ASSERT_TRUE(runtime
                  .post([&] {
                    const Calls before_it = all_calls(runtime);
                    arm();
                    in_callback = all_since(runtime, before_it);
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  // The post's own wake may be counted when its closure runs already.
  in_callback.erase("write");
  if (is_exact()) {
    EXPECT_EQ(in_callback, (Calls{{"clock", kTimes}}));
  }
  EXPECT_EQ(since(runtime, some_before), Calls());
  EXPECT_LE(runtime.counters().wakes - counters.wakes, 1u) << "but for the post's";
}

INSTANTIATE_TEST_SUITE_P(Epoll, SyscallBudgetTest, testing::ValuesIn(epoll_modes()), mode_name);

}  // namespace
}  // namespace epore
