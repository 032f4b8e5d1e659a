// What things cost in system calls, exactly.

#include <map>
#include <string>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/hold.h"

namespace epore {
namespace {

// Waits, wakes and the clock come as often as the scheduling has it, and a watchdog ticks, looks
// after its threads and starts others; all else is exact.
class SyscallBudgetTest : public RuntimeTest {
 protected:
  using Calls = std::map<std::string, std::uint64_t>;

  Calls calls(Runtime& runtime) {
    Calls result;
    for (const auto& [name, count] : runtime.counters().system_calls) result[name] = count;
    for (const char* name : {"epoll_wait", "clock", "futex_wait", "futex_wake", "write",
                             "thread_join", "thread_start", "gettid", "schedstat"}) {
      result.erase(name);
    }
    return result;
  }

  // The same after the listener of the only connection has found its backlog empty.
  Calls calls_after_accept(Runtime& runtime) {
    while (runtime.counters().system_call("accept4") < 2) std::this_thread::yield();
    return calls(runtime);
  }

  // What was called since `before`.
  Calls since(Runtime& runtime, const Calls& before) {
    Calls result;
    for (const auto& [name, count] : calls(runtime)) {
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
  const Counters counters = runtime.counters();
  for (int i = 0; i < kRounds; ++i) {
    link.peer.send("ping");
    EXPECT_EQ(link.peer.receive(4), "ping");
  }
  EXPECT_EQ(since(runtime, before), (Calls{{"recvfrom", kRounds}, {"sendto", kRounds}}));
  // A poll thread that gets no processor for a while is relieved, which takes a wake.
  if (GetParam().dispatch == Dispatch::adaptive) return;
  EXPECT_LE(runtime.counters().polls - counters.polls, kRounds + 1u);
  EXPECT_EQ(runtime.counters().wakes, counters.wakes);
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
  EXPECT_EQ(since(runtime, before), (Calls{
                                        {"accept4", 2},        // one more finds the backlog empty
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
  const Counters before = runtime.counters();
  for (int i = 0; i < kRounds; ++i) {
    link.peer.send("ping");
    EXPECT_EQ(link.peer.receive(4), "ping");
  }
  fence(link.connection);
  if (GetParam().dispatch == Dispatch::adaptive) return;  // may be relieved, as above
  EXPECT_LE(runtime.counters().polls - before.polls, kRounds + 2u);
  EXPECT_LE(runtime.counters().wakes - before.wakes, 1u)
      << "but for the fence's: the earliest deadline never moves forward";
}

TEST_P(SyscallBudgetTest, ABurstOfPostsIsOneWake) {
  if (GetParam().dispatch != Dispatch::poll_thread) GTEST_SKIP() << "others wake workers as well";
  constexpr int kPosts = 1'000;
  absl::BlockingCounter ran(kPosts);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  fence(link.connection);
  Hold asleep(kernel_, KernelCall::kEpollWait, Hold::before);
  link.peer.send("x");  // a turn without a wake, if it sleeps already
  asleep.await();
  const Counters before = runtime.counters();
  for (int i = 0; i < kPosts; ++i) {
    ASSERT_TRUE(runtime.post([&ran] { ran.DecrementCount(); }).ok());
  }
  const Counters posted = runtime.counters();
  EXPECT_EQ(posted.system_call("write") - before.system_call("write"), 1u);
  EXPECT_EQ(posted.wakes - before.wakes, 1u);
  asleep.release();
  ran.Wait();
  EXPECT_EQ(runtime.counters().system_call("write"), posted.system_call("write"));
}

TEST_P(SyscallBudgetTest, ArmingATimerAnewIsNoCallFromAnyThread) {
  constexpr int kTimes = 1'000;
  Runtime runtime(options());
  Timer first = runtime.timer([] {});
  first.arm(absl::Minutes(30));
  Timer timer = runtime.timer([] {});
  const auto arm = [&timer] {
    for (int i = 0; i < kTimes; ++i) timer.arm(absl::Hours(1));
  };
  arm();
  const Calls before = calls(runtime);
  const Counters counters = runtime.counters();
  arm();
  EXPECT_EQ(since(runtime, before), Calls());
  EXPECT_EQ(runtime.counters().wakes, counters.wakes);
  absl::Notification done;
  ASSERT_TRUE(runtime
                  .post([&] {
                    arm();
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  EXPECT_EQ(since(runtime, before), Calls());
  EXPECT_LE(runtime.counters().wakes - counters.wakes, 1u) << "but for the post's";
}

INSTANTIATE_TEST_SUITE_P(Epoll, SyscallBudgetTest, testing::ValuesIn(epoll_modes()), mode_name);

}  // namespace
}  // namespace epore
