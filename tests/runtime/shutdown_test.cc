// The end of a runtime, and everything that may race it.

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/hold.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

class ShutdownTest : public RuntimeTest {
 protected:
  // Shuts down on a thread of its own, and returns when that thread waits for something.
  class InBackground {
   public:
    InBackground(FaultKernel& kernel, Runtime& runtime, absl::Duration drain_timeout)
        : kernel_(kernel) {
      const auto waits = std::make_shared<Waits>();
      const auto hook = [waits](const FaultKernel::Call&) {
        if (std::this_thread::get_id() != waits->who.load()) return;
        if (!waits->is_told.exchange(true)) waits->told.Notify();
      };
      kernel_.before(KernelCall::kPark, hook);
      kernel_.before(KernelCall::kThreadJoin, hook);
      thread_ = std::thread([&runtime, waits, drain_timeout] {
        waits->who = std::this_thread::get_id();
        EXPECT_TRUE(runtime.shutdown(drain_timeout).ok());
        if (!waits->is_told.exchange(true)) waits->told.Notify();
      });
      waits->told.WaitForNotification();
    }
    ~InBackground() {
      if (thread_.joinable()) thread_.join();
      kernel_.before(KernelCall::kPark, nullptr);
      kernel_.before(KernelCall::kThreadJoin, nullptr);
    }
    void join() { thread_.join(); }

   private:
    struct Waits {
      std::atomic<std::thread::id> who;
      std::atomic<bool> is_told{false};
      absl::Notification told;
    };

    FaultKernel& kernel_;
    std::thread thread_;
  };
};

// The most callbacks at a time.
int most_callbacks(const RuntimeOptions& options) {
  const bool is_one =
      options.dispatch == Dispatch::poll_thread || options.dispatch == Dispatch::caller;
  return is_one ? 1 : options.workers + 1;
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ShutdownTest, testing::ValuesIn(every_mode()), mode_name);

// -- What it does. --

TEST_P(ShutdownTest, ItMayBeRepeated) {
  DrivenRuntime runtime(options());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(runtime.shutdown().ok());
}

TEST_P(ShutdownTest, AllOfConcurrentCallersReturnWhenItIsOver) {
  absl::Notification go_on;
  std::atomic<bool> is_over{false};
  absl::BlockingCounter returned(3);
  DrivenRuntime runtime(options());
  absl::Notification runs;
  ASSERT_TRUE(runtime
                  .post([&] {
                    runs.Notify();
                    go_on.WaitForNotification();
                    is_over = true;
                  })
                  .ok());
  runs.WaitForNotification();
  absl::BlockingCounter calling(3);
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      calling.DecrementCount();
      EXPECT_TRUE(runtime.shutdown().ok());
      EXPECT_TRUE(is_over.load());
      returned.DecrementCount();
    });
  }
  calling.Wait();
  go_on.Notify();
  returned.Wait();
  for (std::thread& caller : callers) caller.join();
}

TEST_P(ShutdownTest, F41FromACallbackItIsRefusedAsItWouldWaitForItself) {
  Observer observer;
  absl::Notification asked_by_timer;
  absl::Notification asked_by_closure;
  std::atomic<int> refused{0};
  DrivenRuntime runtime(options());
  const auto ask = [&] {
    EXPECT_EQ(runtime.shutdown().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(runtime.run_until_signal().code(), absl::StatusCode::kFailedPrecondition);
    refused.fetch_add(1);
  };
  observer.when_data = [&](Connection&, std::string_view) { ask(); };
  observer.when_closed = [&](Connection&, const absl::Status&) { ask(); };
  Link link = open_link(runtime, observer);
  link.peer.send("x");
  (void)observer.await_bytes(1);
  link.connection.close();
  link.peer.close();
  (void)observer.await_closed();
  ASSERT_TRUE(runtime
                  .post([&] {
                    ask();
                    asked_by_closure.Notify();
                  })
                  .ok());
  Timer timer = runtime.post_after(absl::ZeroDuration(), [&] {
    ask();
    asked_by_timer.Notify();
  });
  asked_by_closure.WaitForNotification();
  asked_by_timer.WaitForNotification();
  EXPECT_EQ(refused.load(), 4);
  EXPECT_TRUE(runtime.shutdown().ok());
}

TEST_P(ShutdownTest, ConnectionsThatAreCutOffAreCounted) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.on_drain([](Connection&) {});
  Observer another;
  Link ends = open_link(runtime, another);
  ends.connection.close();
  ends.peer.close();
  (void)another.await_closed();
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(runtime.counters().connections_cut_off, 1u);
  EXPECT_TRUE(absl::IsCancelled(observer.await_closed()));
}

TEST_P(ShutdownTest, WhileConnectionsDrainNewOnesAreRefusedAndTheRestWorks) {
  Observer observer;
  absl::Notification draining;
  absl::Notification posted;
  absl::Notification cancelled;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.on_drain([&](Connection&) { draining.Notify(); });
  fence(link.connection);
  InBackground shutdown(kernel_, runtime, absl::InfiniteDuration());
  draining.WaitForNotification();
  EXPECT_EQ(runtime.listen("127.0.0.1:0", [](Connection&) {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  runtime.connect(link.listener.address().to_string(), [&](absl::StatusOr<Connection> connected) {
    EXPECT_EQ(connected.status().code(), absl::StatusCode::kCancelled) << connected.status();
    cancelled.Notify();
  });
  cancelled.WaitForNotification();
  EXPECT_TRUE(runtime.post([&] { posted.Notify(); }).ok());
  posted.WaitForNotification();
  link.peer.send("still there");
  EXPECT_EQ(observer.await_bytes(11), "still there");
  EXPECT_TRUE(link.connection.is_open());
  link.connection.send("bye");
  link.connection.close();
  EXPECT_EQ(link.peer.receive_all(), "bye");
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  shutdown.join();
}

// For their clients they are open, and have sent what they want: they are served, not reset.
TEST_P(ShutdownTest, ConnectionsInTheBacklogAreServedWhenADrainBegins) {
  constexpr int kClients = 100;
  absl::Notification in_accept;
  absl::Notification go_on;
  kernel_.before(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
    if (call.nth != 1) return;
    in_accept.Notify();
    go_on.WaitForNotification();
  });
  DrivenRuntime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [](Connection& connection) {
    connection.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
  });
  std::vector<Peer> peers;
  peers.emplace_back(listener.address());
  in_accept.WaitForNotification();
  while (peers.size() < kClients) peers.emplace_back(listener.address());
  for (Peer& peer : peers) peer.send("?");
  InBackground shutdown(kernel_, runtime, absl::InfiniteDuration());
  go_on.Notify();
  for (Peer& peer : peers) {
    EXPECT_EQ(peer.receive(1), "?");
    EXPECT_EQ(peer.end(), 0);
    peer.close();
  }
  shutdown.join();
  EXPECT_EQ(runtime.counters().accepts, static_cast<std::uint64_t>(kClients));
}

// A request that had arrived before the drain is answered, also on a connection that was idle.
TEST_P(ShutdownTest, WhatHasArrivedIsReadBeforeADrainCloses) {
  Observer observer;
  absl::Notification in_callback;
  absl::Notification go_on;
  observer.when_data = [&](Connection& c, std::string_view bytes) {
    if (bytes == "1") {
      in_callback.Notify();
      go_on.WaitForNotification();
    }
    c.send(bytes);
  };
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.send("1");
  in_callback.WaitForNotification();
  InBackground shutdown(kernel_, runtime, absl::InfiniteDuration());
  link.peer.send("2");
  go_on.Notify();
  EXPECT_EQ(link.peer.receive_all(), "12");
  link.peer.close();
  shutdown.join();
}

// A closed listener takes no part in it.
TEST_P(ShutdownTest, AListenerThatWasClosedAcceptsNobodyAtADrain) {
  DrivenRuntime runtime(options());
  Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  kernel_.fail(KernelCall::kAccept, EMFILE, 1, FaultKernel::kAlways);
  Peer waits(listener.address());
  while (runtime.counters().accept_pauses == 0) std::this_thread::yield();
  EXPECT_TRUE(listener.close_and_wait().ok());
  kernel_.fail(KernelCall::kAccept, 0);
  EXPECT_EQ(waits.end(), ECONNRESET);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().accepts, 0u);
}

TEST_P(ShutdownTest, AConnectionWithoutOnDrainIsClosedGracefully) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  const std::string bytes = pattern(300'000);
  link.connection.send(bytes);
  InBackground shutdown(kernel_, runtime, absl::InfiniteDuration());
  EXPECT_EQ(link.peer.receive_all(), bytes);
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  shutdown.join();
}

TEST_P(ShutdownTest, WhatHasNotDrainedInTimeIsAbortedAndToldSo) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.on_drain([](Connection&) {});  // and never ends
  fence(link.connection);
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(observer.closed(), 1);
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(link.peer.end(), ECONNRESET);
}

TEST_P(ShutdownTest, ThePortIsFreeWhenItReturns) {
  DrivenRuntime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  EXPECT_TRUE(runtime.shutdown().ok());
  Runtime another(options());
  EXPECT_TRUE(another.listen(listener.address().to_string(), [](Connection&) {}).ok());
}

TEST_P(ShutdownTest, AThrowingCallbackAtTheEndHarmsNobody) {
  Observer observers[2];
  DrivenRuntime runtime(options());
  Link first = open_link(runtime, observers[0]);
  Link second = open_link(runtime, observers[1]);
  first.connection.on_drain([](Connection&) { throw 1; });
  fence(first.connection);
  second.peer.half_close();
  EXPECT_TRUE(runtime.shutdown(absl::Seconds(60)).ok());
  EXPECT_EQ(observers[0].await_closed().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(observers[1].await_closed().ok());
}

// -- What races it. --

TEST_P(ShutdownTest, F45AListenerEndsHoweverLateThePollThreadHearsOfIt) {
  // The poll thread has looked whether there is something to shut down, and then is held until the
  // shutdown waits for it.
  if (GetParam().selector != "epoll") GTEST_SKIP() << "the hooks below are those of epoll";
  Hold first_wait(kernel_, KernelCall::kEpollWait, Hold::before);
  auto runtime = std::make_unique<DrivenRuntime>(options());
  first_wait.await();
  Timer far = runtime->post_after(absl::Hours(1000), [] {});  // ends the first wait
  listen_on_loopback(*runtime, [](Connection&) {});
  struct Stage {
    std::atomic<std::thread::id> poll_thread;
    std::atomic<int> clock_reads{-1};
    absl::Notification held;
    absl::Notification release;
  };
  const auto stage = std::make_shared<Stage>();
  kernel_.after(KernelCall::kEpollWait, [stage](const FaultKernel::Call&) {
    stage->poll_thread = std::this_thread::get_id();
    if (stage->clock_reads < 0) stage->clock_reads = 0;
  });
  kernel_.before(KernelCall::kClock, [stage](const FaultKernel::Call&) {
    if (stage->clock_reads < 0 || std::this_thread::get_id() != stage->poll_thread.load()) return;
    // The first is after the wait, the second when it decides how long to wait.
    if (++stage->clock_reads != 2) return;
    stage->held.Notify();
    stage->release.WaitForNotification();
  });
  first_wait.release();
  stage->held.WaitForNotification();
  {
    InBackground shutdown(kernel_, *runtime, absl::ZeroDuration());
    stage->release.Notify();
  }
  runtime.reset();
}  // and no descriptor is left

TEST_P(ShutdownTest, F45AConnectionThatIsAcceptedAsTheRuntimeEndsHasItsEndOrNeverBegins) {
  std::atomic<int> accepted{0};
  std::atomic<int> closed{0};
  std::optional<Peer> peer;
  DrivenRuntime runtime(options());
  Listener listener = listen_on_loopback(runtime, [&](Connection& connection) {
    accepted.fetch_add(1);
    connection.on_drain([](Connection&) {});  // only the abort ends it
    connection.on_closed([&](Connection&, const absl::Status&) { closed.fetch_add(1); });
  });
  Hold hold(kernel_, KernelCall::kAccept, Hold::before);
  peer.emplace(listener.address());
  hold.await();
  {
    InBackground shutdown(kernel_, runtime, absl::ZeroDuration());
    hold.release();
  }
  EXPECT_EQ(accepted.load(), closed.load());
  EXPECT_EQ(runtime.counters().connections, 0u);
}

TEST_P(ShutdownTest, F45AListenerThatBeginsAsTheRuntimeEndsIsClosed) {
  const KernelCall registering =
      GetParam().selector == "epoll" ? KernelCall::kEpollCtl : KernelCall::kFstat;
  auto runtime = std::make_unique<DrivenRuntime>(options());
  fence(*runtime);
  Hold hold(kernel_, registering, Hold::before);
  std::thread listening([&] {
    const auto listener = runtime->listen("127.0.0.1:0", [](Connection&) {});
    if (!listener.ok()) {
      EXPECT_EQ(listener.status().code(), absl::StatusCode::kFailedPrecondition);
    }
  });
  hold.await();
  {
    InBackground shutdown(kernel_, *runtime, absl::ZeroDuration());
    hold.release();
  }
  listening.join();
  runtime.reset();
}  // and no descriptor is left

TEST_P(ShutdownTest, F45AnAttemptThatSucceedsAsTheRuntimeEndsDoesNotHoldItUp) {
  const TcpPort port = tcp_listener();
  std::atomic<int> told{0};
  std::atomic<int> closed{0};
  DrivenRuntime runtime(options());
  Hold hold(kernel_, KernelCall::kGetpeername, Hold::before);
  runtime.connect(
      "127.0.0.1:" + std::to_string(port.port), [&](absl::StatusOr<Connection> connected) {
        told.fetch_add(1);
        if (!connected.ok()) {
          closed.fetch_add(1);
          return;
        }
        connected->on_drain([](Connection&) {});  // only the abort ends it
        connected->on_closed([&](Connection&, const absl::Status&) { closed.fetch_add(1); });
      });
  hold.await();
  {
    InBackground shutdown(kernel_, runtime, absl::ZeroDuration());
    hold.release();
  }
  EXPECT_EQ(told.load(), 1);
  EXPECT_EQ(closed.load(), 1);
}

TEST_P(ShutdownTest, F45AListenerThatPausesAndWhoseHandleIsGoneEnds) {
  kernel_.use_manual_clock();  // so that no backoff ends
  std::optional<Peer> peer;
  auto runtime = std::make_unique<DrivenRuntime>(options());
  SocketAddress address;
  std::shared_ptr<int> watched = std::make_shared<int>(0);
  {
    Listener listener = listen_on_loopback(*runtime, [watched](Connection&) {});
    address = listener.address();
  }
  kernel_.fail(KernelCall::kAccept, EMFILE, /*k=*/1, FaultKernel::kAlways / 2);
  const std::uint64_t accepts = kernel_.calls(KernelCall::kAccept);
  absl::Notification refused;
  kernel_.after(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
    if (call.nth == accepts + 1) refused.Notify();
  });
  peer.emplace(address);
  refused.WaitForNotification();
  for (std::uint64_t tries = 1; tries <= 3; ++tries) {
    for (int i = 0; i < 20; ++i) {
      absl::Notification turn;
      Timer fence = runtime->post_after(absl::ZeroDuration(), [&] { turn.Notify(); });
      turn.WaitForNotification();
    }
    EXPECT_EQ(kernel_.calls(KernelCall::kAccept), accepts + tries);  // once for each backoff
    kernel_.advance(absl::Milliseconds(10 << (tries - 1)));
  }
  EXPECT_EQ(runtime->counters().accept_pauses, 1u);
  runtime.reset();
  kernel_.after(KernelCall::kAccept, nullptr);
  EXPECT_EQ(watched.use_count(), 1);
}

TEST_P(ShutdownTest, AnAttemptWhoseNameIsBeingResolvedIsCancelledAtOnce) {
  absl::Notification cancelled;
  DrivenRuntime runtime(options());
  Hold hold(kernel_, KernelCall::kResolve, Hold::before);
  runtime.connect("localhost:1", [&](absl::StatusOr<Connection> connected) {
    EXPECT_EQ(connected.status().code(), absl::StatusCode::kCancelled) << connected.status();
    cancelled.Notify();
  });
  hold.await();
  InBackground shutdown(kernel_, runtime, absl::InfiniteDuration());
  cancelled.WaitForNotification();
  hold.release();  // getaddrinfo(3) cannot be ended, only waited for
  shutdown.join();
}

TEST_P(ShutdownTest, ANameThatNoThreadCanResolveIsAnError) {
  absl::BlockingCounter told(3);
  DrivenRuntime runtime(options());
  kernel_.fail(KernelCall::kThreadStart, EAGAIN, /*k=*/1, /*times=*/100);
  for (int i = 0; i < 3; ++i) {
    runtime.connect("localhost:1", [&](absl::StatusOr<Connection> connected) {
      EXPECT_EQ(connected.status().code(), absl::StatusCode::kUnavailable) << connected.status();
      told.DecrementCount();
    });
  }
  told.Wait();
}

// Everything at once, from many threads, with the end at any moment.
TEST_P(ShutdownTest, F45WhateverRacesItIsToldExactlyOnceAndLeavesNothing) {
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> attempts{0};
    std::atomic<int> told{0};
    std::atomic<int> opened{0};
    std::atomic<int> closed{0};
    std::atomic<int> posted{0};
    std::atomic<int> ran{0};
    std::atomic<int> gone{0};  // of what was posted: it has run, or the end has dropped it
    std::atomic<bool> is_over{false};
    std::atomic<int> late{0};
    const auto watch = [&](Connection& connection) {
      opened.fetch_add(1);
      connection.send("hello");
      connection.on_data([&](Connection& c, std::span<const std::byte>) {
        if (is_over) late.fetch_add(1);
        c.close();
      });
      connection.on_closed([&](Connection&, const absl::Status&) {
        if (is_over) late.fetch_add(1);
        closed.fetch_add(1);
      });
    };
    auto runtime = std::make_unique<DrivenRuntime>(options());
    Listener listener = listen_on_loopback(*runtime, watch);
    const std::string address = listener.address().to_string();
    absl::BlockingCounter under_way(4);
    std::atomic<bool> is_enough{false};
    const auto repeat = [&](auto action) {
      return std::thread([&, action] {
        for (int done = 0; !is_enough;) {
          if (done > 200) {  // enough of it, but not yet the end
            std::this_thread::yield();
            continue;
          }
          if (done == 3) under_way.DecrementCount();
          action();
          ++done;
        }
      });
    };
    std::vector<std::thread> threads;
    threads.push_back(repeat([&] {
      attempts.fetch_add(1);
      runtime->connect(address, [&](absl::StatusOr<Connection> connected) {
        told.fetch_add(1);
        if (connected.ok()) watch(*connected);
      });
    }));
    threads.push_back(repeat([&] {
      absl::Cleanup count_end = [&] { gone.fetch_add(1); };
      posted.fetch_add(1);
      (void)runtime->post([&ran, count_end = std::move(count_end)] { ran.fetch_add(1); });
    }));
    threads.push_back(repeat([&] {
      Timer timer = runtime->timer([&] {
        if (is_over) late.fetch_add(1);
      });
      timer.arm_every(absl::Microseconds(10));
      Timer other = runtime->post_after(absl::Hours(1), [] {});
      other.cancel();
    }));
    threads.push_back(repeat([&] {
      auto another = runtime->listen("127.0.0.1:0", watch);
      if (another.ok()) another->close();
    }));
    under_way.Wait();
    EXPECT_TRUE(runtime->shutdown(absl::ZeroDuration()).ok());
    is_over = true;
    const int ran_by_then = ran.load();
    is_enough = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(told.load(), attempts.load());
    EXPECT_EQ(closed.load(), opened.load());
    EXPECT_EQ(gone.load(), posted.load());
    EXPECT_EQ(ran.load(), ran_by_then);
    EXPECT_EQ(late.load(), 0);
    const Counters counters = runtime->counters();
    EXPECT_EQ(counters.connections, 0u);
    EXPECT_EQ(counters.queued_bytes, 0u);
    EXPECT_EQ(counters.timers_armed, 0u);
    runtime.reset();
  }
}

TEST_P(ShutdownTest, F45CallsOnAConnectionThatRaceItsEndLeaveNothing) {
  for (int round = 0; round < 20; ++round) {
    Observer observer;
    auto runtime = std::make_unique<DrivenRuntime>(options());
    Link link = open_link(*runtime, observer);
    std::atomic<bool> is_enough{false};
    absl::BlockingCounter under_way(2);
    std::atomic<int> posted{0};
    const auto destroyed = std::make_shared<std::atomic<int>>(0);
    struct CountsItsEnd {
      std::shared_ptr<std::atomic<int>> count;
      ~CountsItsEnd() { count->fetch_add(1); }
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, connection = link.connection]() mutable {
        for (int i = 0; !is_enough; ++i) {
          if (i == 2) under_way.DecrementCount();
          connection.send("x");
          // It holds the connection, as a user's would.
          std::unique_ptr<CountsItsEnd> token(new CountsItsEnd{destroyed});
          posted.fetch_add(1);
          (void)connection.post([connection, token = std::move(token)](Connection&) {});
          Timer timer = connection.timer([connection](Connection&) {});
          timer.arm(absl::ZeroDuration());
        }
      });
    }
    under_way.Wait();
    EXPECT_TRUE(runtime->shutdown(absl::ZeroDuration()).ok());
    is_enough = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(observer.closed(), 1);
    EXPECT_EQ(destroyed->load(), posted.load());
    EXPECT_EQ(runtime->counters().queued_bytes, 0u);
    EXPECT_EQ(runtime->counters().timers_armed, 0u);
  }
}

// -- What has not begun. --

// Connections that are accepted all at once, and whose accept callbacks wait. Those that have begun
// are told of their end.
class ManyAccepts {
 public:
  static constexpr int kConnections = 200;

  ManyAccepts(FaultKernel& kernel, RuntimeOptions options) : kernel_(kernel), options_(options) {
    options_.spare_workers = 0;
    options_.drain_timeout = absl::InfiniteDuration();
  }

  // At most so many callbacks run at a time.
  int threads() const { return most_callbacks(options_); }

  // Returns when the first callback waits.
  std::unique_ptr<DrivenRuntime> start() {
    auto runtime = std::make_unique<DrivenRuntime>(options_);
    ListenOptions listen;
    listen.accept_budget = kConnections;
    const Listener listener = listen_on_loopback(
        *runtime,
        [this](Connection& connection) {
          connection.on_closed([this](Connection&, const absl::Status&) { ++closed; });
          if (++begun == 1) first_.Notify();
          go_on.WaitForNotification();
        },
        listen);
    Hold hold(kernel_, KernelCall::kAccept, Hold::before);
    for (int i = 0; i < kConnections; ++i) {
      peers_.emplace_back(listener.address());
      if (i == 0) hold.await();
    }
    hold.release();
    first_.WaitForNotification();
    return runtime;
  }

  void close_peers() { peers_.clear(); }

  std::atomic<int> begun{0};
  std::atomic<int> closed{0};
  absl::Notification go_on;

 private:
  FaultKernel& kernel_;
  RuntimeOptions options_;
  absl::Notification first_;
  std::vector<Peer> peers_;
};

TEST_P(ShutdownTest, WhenTheDeadlineHasPassedNoCallbackBeginsButClosed) {
  ManyAccepts accepts(kernel_, options());
  const std::unique_ptr<DrivenRuntime> runtime = accepts.start();
  InBackground shutdown(kernel_, *runtime, absl::ZeroDuration());
  accepts.go_on.Notify();
  shutdown.join();
  EXPECT_LE(accepts.begun.load(), accepts.threads());
  EXPECT_EQ(accepts.closed.load(), accepts.begun.load());
  EXPECT_EQ(runtime->counters().connections, 0u);
}

TEST_P(ShutdownTest, WhileItDrainsWhatHasNotBegunBegins) {
  ManyAccepts accepts(kernel_, options());
  const std::unique_ptr<DrivenRuntime> runtime = accepts.start();
  InBackground shutdown(kernel_, *runtime, absl::InfiniteDuration());
  accepts.go_on.Notify();
  accepts.close_peers();
  shutdown.join();
  EXPECT_EQ(accepts.begun.load(), ManyAccepts::kConnections);
  EXPECT_EQ(accepts.closed.load(), ManyAccepts::kConnections);
}

TEST_P(ShutdownTest, WhenTheDeadlineHasPassedClosuresAndTimersAreDestroyedUncalled) {
  constexpr int kMany = 100;
  std::atomic<int> ran{0};
  absl::Notification runs;
  absl::Notification go_on;
  const auto captured = std::make_shared<int>(0);
  Observer observer;
  RuntimeOptions few = options();
  few.spare_workers = 0;
  DrivenRuntime runtime(few);
  Link link = open_link(runtime, observer);
  link.connection.on_drain([](Connection&) {});  // and never ends
  fence(link.connection);
  const auto work = [&, captured] {
    if (++ran == 1) runs.Notify();
    go_on.WaitForNotification();
  };
  for (int i = 0; i < kMany; ++i) {
    ASSERT_TRUE(runtime.post(work).ok());
    ASSERT_TRUE(link.connection.post([work](Connection&) { work(); }).ok());
    (void)runtime.post_after(absl::ZeroDuration(), work);
    link.connection.timer([work](Connection&) { work(); }).arm(absl::ZeroDuration());
  }
  runs.WaitForNotification();
  {
    InBackground shutdown(kernel_, runtime, absl::ZeroDuration());
    go_on.Notify();
  }
  EXPECT_LE(ran.load(), most_callbacks(few));
  EXPECT_EQ(observer.closed(), 1);
  EXPECT_EQ(captured.use_count(), 2) << "`work` and `captured` itself";
  link.connection = Connection();
}

TEST_P(ShutdownTest, AnAttemptWhoseConnectionHasNotBegunIsToldOnceThatItIsCancelled) {
  std::atomic<int> told{0};
  std::atomic<int> cancelled{0};
  absl::Notification runs;
  absl::Notification go_on;
  Observer observer;
  RuntimeOptions few = options();
  few.spare_workers = 0;
  DrivenRuntime runtime(few);
  const TcpPort port = tcp_listener();
  for (int i = 0; i < 20; ++i) {
    runtime.connect("127.0.0.1:" + std::to_string(port.port),
                    [&](absl::StatusOr<Connection> connected) {
                      if (!connected.ok()) {
                        EXPECT_EQ(connected.status().code(), absl::StatusCode::kCancelled);
                        ++cancelled;
                        return;
                      }
                      if (++told == 1) runs.Notify();
                      go_on.WaitForNotification();
                    });
  }
  runs.WaitForNotification();
  {
    InBackground shutdown(kernel_, runtime, absl::ZeroDuration());
    go_on.Notify();
  }
  EXPECT_LE(told.load(), most_callbacks(few));
  EXPECT_EQ(told.load() + cancelled.load(), 20);
}

// -- Who waits for it. --

// One caller is held where it has nothing left to do but to tell the others. They find that it is
// over, and destroy the runtime.
class SecondShutdownTest : public testing::Test {
 protected:
  using Call = void (*)(Runtime&);

  // Holds the thread of `first` where it wakes another one, `after_join` of the runtime's threads.
  void destroy_while_held(Call first, bool after_join, Call second) {
    FaultKernel kernel;
    RuntimeOptions options;
    options.dispatch = Dispatch::poll_thread;
    options.kernel = &kernel;
    auto runtime = std::make_unique<Runtime>(options);
    std::atomic<std::thread::id> caller_id;
    std::atomic<bool> may_hold{!after_join};
    absl::Notification held;
    absl::Notification release;
    kernel.after(KernelCall::kThreadJoin, [&](const FaultKernel::Call&) { may_hold = true; });
    kernel.before(KernelCall::kUnpark, [&](const FaultKernel::Call&) {
      if (!may_hold || std::this_thread::get_id() != caller_id.load()) return;
      if (held.HasBeenNotified()) return;
      held.Notify();
      release.WaitForNotification();
    });
    std::thread caller([&, raw = runtime.get()] {
      caller_id = std::this_thread::get_id();
      first(*raw);
    });
    held.WaitForNotification();
    second(*runtime);
    runtime.reset();
    release.Notify();
    caller.join();
  }

  static void shut_down(Runtime& runtime) { EXPECT_TRUE(runtime.shutdown().ok()); }
};

TEST_F(SecondShutdownTest, TheRuntimeMayBeDestroyedAsSoonAsOneOfTwoCallsHasReturned) {
  destroy_while_held(shut_down, /*after_join=*/true, shut_down);
}

TEST_F(SecondShutdownTest, TheRuntimeMayBeDestroyedAsSoonAsARequestHasBeenSeen) {
  destroy_while_held([](Runtime& runtime) { runtime.request_shutdown(); }, /*after_join=*/false,
                     [](Runtime& runtime) { EXPECT_TRUE(runtime.run_until_signal().ok()); });
}

TEST_F(SecondShutdownTest, TheRuntimeMayBeDestroyedWhileRunUntilSignalReturns) {
  destroy_while_held(
      [](Runtime& runtime) {
        runtime.request_shutdown();
        EXPECT_TRUE(runtime.run_until_signal().ok());
      },
      /*after_join=*/true, shut_down);
  Runtime next;
  EXPECT_TRUE(next.catch_signals().ok()) << "the signals were let go of";
}

// -- Of a static one. --

TEST(StaticRuntimeTest, ItEndsAtExit) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto exits = [] {
    struct ShutsDown {
      Runtime& runtime;
      ~ShutsDown() {
        if (!runtime.shutdown().ok() || runtime.post([] {}).ok()) ::_exit(3);
      }
    };
    static Runtime runtime;
    static const ShutsDown shuts_down{runtime};
    static std::atomic<int> ran{0};
    static const Listener listener = *runtime.listen("127.0.0.1:0", [](Connection&) {});
    static Timer timer = runtime.timer([] { ran.fetch_add(1); });
    timer.arm_every(absl::Microseconds(1));
    while (ran.load() == 0) std::this_thread::yield();
    std::exit(0);
  };
  EXPECT_EXIT(exits(), testing::ExitedWithCode(0), "");
}

TEST(StaticRuntimeTest, ExitInACallbackEndsTheProgramWithOneLine) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto exits = [] {
    static DrivenRuntime runtime(
        {.dispatch = Dispatch::poll_thread});  // no watchdog that logs as well
    (void)runtime.post([] { std::exit(0); });
    for (;;) ::pause();
  };
  EXPECT_EXIT(exits(), testing::ExitedWithCode(1),
              "destroyed in one of its own callbacks[^\n]*\n$");
}

// -- What outlives it. --

TEST_P(ShutdownTest, F45HandlesOutliveTheRuntimeAndTheirCallsDoNothing) {
  Observer observer;
  Listener listener;
  Connection connection;
  SocketAddress peer;
  const auto captured = std::make_shared<int>(0);
  {
    DrivenRuntime runtime(options());
    Link link = open_link(runtime, observer);
    listener = link.listener;
    connection = link.connection;
    peer = connection.peer_address();
    connection.on_drain([captured](Connection& c) { c.abort(); });
    fence(connection);
  }
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_EQ(observer.closed(), 1);
  EXPECT_FALSE(connection.is_open());
  EXPECT_EQ(connection.send("x"), SendResult(SendResult::closed));
  EXPECT_EQ(connection.post([](Connection&) { ADD_FAILURE(); }).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(connection.queued_bytes(), 0u);
  EXPECT_EQ(connection.peer_address(), peer);
  EXPECT_NE(connection.id(), 0u);
  connection.on_data([captured](Connection&, std::span<const std::byte>) { ADD_FAILURE(); });
  connection.on_closed([captured](Connection&, const absl::Status&) { ADD_FAILURE(); });
  connection.pause_reading();
  connection.resume_reading();
  connection.shut_down_write();
  connection.close();
  connection.abort();
  EXPECT_EQ(captured.use_count(), 1);
  Timer timer = connection.timer([](Connection&) { ADD_FAILURE(); });
  timer.arm(absl::ZeroDuration());
  EXPECT_FALSE(timer.is_armed());
  EXPECT_FALSE(listener.addresses().empty());
  listener.close();
  listener.close();
}

// -- What never begins. --

TEST_P(ShutdownTest, ARuntimeThatCannotStartLeavesNothingAndSaysWhy) {
  struct Fault {
    KernelCall kind;
    int error;
    int k;
  };
  std::vector<Fault> faults;
  const bool has_threads = GetParam().dispatch != Dispatch::caller;
  const int reactors = has_threads ? 2 : 1;
  for (int k = 1; k <= reactors; ++k) {
    if (GetParam().selector == "epoll") {
      faults.push_back({KernelCall::kEpollCreate, EMFILE, k});
      faults.push_back({KernelCall::kEpollCtl, ENOSPC, k});
    } else {
      faults.push_back({KernelCall::kFstat, ENOMEM, k});
    }
    faults.push_back({KernelCall::kEventfd, EMFILE, k});
    if (has_threads) faults.push_back({KernelCall::kThreadStart, ENOMEM, k});
  }
  for (const Fault& fault : faults) {
    SCOPED_TRACE(std::string(kernel_call_name(fault.kind)) + " " + std::to_string(fault.k));
    const ExpectNoFdLeak no_leak;
    FaultKernel kernel;
    kernel.fail(fault.kind, fault.error, fault.k);
    RuntimeOptions with_faults = options();
    with_faults.reactors = reactors;
    with_faults.kernel = &kernel;
    with_faults.require_selector = true;  // or another one may be able to start
    DrivenRuntime runtime(with_faults);
    EXPECT_EQ(runtime.status().code(), absl::StatusCode::kResourceExhausted) << runtime.status();
    EXPECT_EQ(runtime.post([] { ADD_FAILURE(); }), runtime.status());
    EXPECT_EQ(runtime.listen("127.0.0.1:0", [](Connection&) {}).status(), runtime.status());
    EXPECT_EQ(runtime.run_until_signal(), runtime.status());
    bool is_told = false;
    runtime.connect("127.0.0.1:1", [&](absl::StatusOr<Connection> connected) {
      EXPECT_EQ(connected.status(), runtime.status());
      is_told = true;
    });
    EXPECT_TRUE(is_told);
    Timer timer = runtime.post_after(absl::ZeroDuration(), [] { ADD_FAILURE(); });
    EXPECT_FALSE(timer.is_armed());
    EXPECT_EQ(runtime.counters().connections, 0u);
    EXPECT_TRUE(runtime.shutdown().ok());
  }
}

TEST_P(ShutdownTest, AListenerOfWhichOnePartCannotBeginHarmsNoConnection) {
  if (GetParam().selector != "epoll") GTEST_SKIP() << "the faults below are those of epoll";
  if (GetParam().dispatch == Dispatch::caller) GTEST_SKIP() << "one reactor";
  Observer observers[4];
  RuntimeOptions two = options();
  two.reactors = 2;
  auto runtime = std::make_unique<DrivenRuntime>(two);
  for (int k = 1; k <= 2; ++k) {
    kernel_.fail(KernelCall::kEpollCtl, ENOMEM, k);
    const auto failed = runtime->listen("127.0.0.1:0", [](Connection&) {});
    EXPECT_EQ(failed.status().code(), absl::StatusCode::kResourceExhausted) << failed.status();
  }
  kernel_.fail(KernelCall::kEpollCtl, 0);
  // The slots that the parts that never began did not have are those of others.
  std::vector<Link> links;
  for (Observer& observer : observers) links.push_back(open_link(*runtime, observer));
  for (int i = 0; i < 4; ++i) {
    links[static_cast<std::size_t>(i)].peer.send("x");
    (void)observers[i].await_bytes(1);
  }
  EXPECT_TRUE(runtime->shutdown(absl::ZeroDuration()).ok());
  for (Observer& observer : observers) EXPECT_EQ(observer.closed(), 1);
  links.clear();
  runtime.reset();
}

}  // namespace
}  // namespace epore
