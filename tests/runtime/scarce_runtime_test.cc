// What becomes of a call of a Runtime, a Listener or a Timer that finds no memory: each of its
// allocations fails in turn. It works, or does nothing and says so.

#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/open_fds.h"
#include "tests/support/scarce_memory.h"
#include "tests/support/sockets.h"
#include "tests/support/temporary_directory.h"

namespace epore {
namespace {

class ScarceRuntimeTest : public testing::TestWithParam<Mode> {
 protected:
  // With the real kernel: the tests' own allocates as well.
  RuntimeOptions options() {
    RuntimeOptions options;
    options.workers = 2;
    options.dispatch = GetParam().dispatch;
    options.selector = GetParam().selector;
    return options;
  }

  // Makes a call with its k-th allocation failing, each time on a new runtime, for all k. `call`
  // returns a check of what it did.
  void for_each_allocation(const std::function<std::function<void()>(Runtime&, int k)>& call) {
    bool was_reached = true;
    for (int k = 1; was_reached; ++k) {
      SCOPED_TRACE(k);
      const ExpectNoFdLeak no_leak;
      Runtime runtime(options());
      ASSERT_TRUE(runtime.status().ok()) << runtime.status();
      const std::function<void()> check = call(runtime, k);
      was_reached = ScarceMemory::stop();
      check();
      EXPECT_TRUE(runtime.shutdown().ok());
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, ScarceRuntimeTest, testing::ValuesIn(all_modes()), mode_name);

bool is_exhausted(const absl::Status& status) {
  return status.code() == absl::StatusCode::kResourceExhausted;
}

TEST_P(ScarceRuntimeTest, ARuntimeThatFindsNoMemorySaysSo) {
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    SCOPED_TRACE(k);
    const ExpectNoFdLeak no_leak;
    RuntimeOptions given = options();
    ScarceMemory::fail(k);
    Runtime runtime(std::move(given));
    was_reached = ScarceMemory::stop();
    if (runtime.status().ok()) {
      absl::Notification ran;
      ASSERT_TRUE(runtime.post([&] { ran.Notify(); }).ok());
      ran.WaitForNotification();
      continue;
    }
    EXPECT_TRUE(is_exhausted(runtime.status())) << runtime.status();
    EXPECT_TRUE(is_exhausted(runtime.post([] { ADD_FAILURE(); })));
    EXPECT_TRUE(is_exhausted(runtime.listen("127.0.0.1:0", [](Connection&) {}).status()));
    EXPECT_TRUE(is_exhausted(runtime.run_until_signal()));
    EXPECT_TRUE(is_exhausted(runtime.catch_signals()));
    int told = 0;
    (void)runtime.connect("127.0.0.1:1", [&](const absl::StatusOr<Connection>& connection) {
      ++told;
      EXPECT_TRUE(is_exhausted(connection.status())) << connection.status();
      throw 7;  // harms nobody
    });
    EXPECT_EQ(told, 1);
    EXPECT_FALSE(runtime.timer([] {}).arm(absl::ZeroDuration()));
    EXPECT_EQ(runtime.order(), Order());
    EXPECT_EQ(runtime.counters().connections, 0u);
    runtime.request_shutdown();
    EXPECT_TRUE(runtime.shutdown().ok());
  }
}

TEST_P(ScarceRuntimeTest, Listen) {
  for_each_allocation([](Runtime& runtime, int k) -> std::function<void()> {
    ScarceMemory::fail(k);
    auto listener = runtime.listen("127.0.0.1:0", [](Connection& c) { c.close(); });
    ScarceMemory::stop();
    return [listener = std::move(listener)] {
      if (!listener.ok()) {
        EXPECT_TRUE(is_exhausted(listener.status())) << listener.status();
        return;
      }
      Peer peer(listener->address());
      EXPECT_EQ(peer.end(), 0);
    };
  });
}

TEST_P(ScarceRuntimeTest, ListenWithAHandler) {
  for_each_allocation([](Runtime& runtime, int k) -> std::function<void()> {
    const auto echo = [](Connection c) -> Task<> { co_await c.write("hello"); };
    ScarceMemory::fail(k);
    auto listener = runtime.listen("127.0.0.1:0", echo);
    ScarceMemory::stop();
    return [listener = std::move(listener)] {
      if (!listener.ok()) {
        EXPECT_TRUE(is_exhausted(listener.status())) << listener.status();
        return;
      }
      Peer peer(listener->address());
      EXPECT_EQ(peer.receive_all(), "hello");
    };
  });
}

// The frame of the coroutine, and what its operations allocate.
TEST_P(ScarceRuntimeTest, AHandlerWithoutMemoryEndsItsConnectionAlone) {
  static const std::string much(2'000'000, 'x');
  for (int k = 1; k <= 12; ++k) {
    SCOPED_TRACE(k);
    const ExpectNoFdLeak no_leak;
    Runtime runtime(options());
    struct Work {
      ~Work() { ScarceMemory::stop(); }
      static Task<> run(Connection c) {
        const Work work;
        co_await c.write(much);
        co_await within(absl::Hours(1), c.read_exactly(100'000));
        co_await all(yield(), sleep_for(absl::ZeroDuration()));
      }
    };
    std::atomic<bool> is_scarce{true};
    const auto listener = runtime.listen("127.0.0.1:0", [&is_scarce, k](Connection c) -> Task<> {
      if (is_scarce) ScarceMemory::fail(k);
      return Work::run(std::move(c));
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    const auto talk = [&] {
      Peer peer(listener->address());
      if (peer.receive(much.size()).size() < much.size()) return false;
      for (int i = 0; i < 100; ++i) {
        if (::send(peer.fd(), much.data(), 1000, MSG_NOSIGNAL) < 0) return false;
      }
      return peer.end() == 0;
    };
    (void)talk();
    is_scarce = false;
    while (!talk()) std::this_thread::yield();  // one more may have found no memory
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_EQ(runtime.counters().connections, 0u);
    EXPECT_EQ(runtime.counters().queued_bytes, 0u);
  }
}

// Some of its bytes may have left, so nothing may come behind them.
TEST_P(ScarceRuntimeTest, AWriteWithoutMemoryEndsItsConnection) {
  const std::string much = pattern(2'000'000);
  const std::string all_bytes = "head" + much + "tail";
  for (const bool in_pieces : {false, true}) {
    bool was_reached = true;
    for (int k = 1; was_reached; ++k) {
      SCOPED_TRACE(k);
      RuntimeOptions options = this->options();
      options.dispatch = Dispatch::poll_thread;  // the handler stays on the thread without memory
      absl::Notification ended;
      Runtime runtime(options);
      const auto listener = runtime.listen("127.0.0.1:0", [&](Connection c) -> Task<> {
        co_await c.write("head");
        ScarceMemory::fail(k);
        absl::Status written;
        if (in_pieces) {
          const std::string_view text = much;
          written = co_await c.write({text.substr(0, 1'000), text.substr(1'000)}).result();
        } else {
          written = co_await c.write(much).result();
        }
        was_reached = ScarceMemory::stop();
        EXPECT_TRUE(written.ok() || is_exhausted(written)) << written;
        (void)co_await c.write("tail").result();
        ended.Notify();
      });
      ASSERT_TRUE(listener.ok()) << listener.status();
      const std::string got = Peer(listener->address()).receive_all();
      ended.WaitForNotification();
      EXPECT_TRUE(got == all_bytes.substr(0, got.size())) << "after a gap";
      EXPECT_TRUE(was_reached || got == all_bytes);
    }
  }
}

TEST_P(ScarceRuntimeTest, ListenOnAName) {
  for_each_allocation([](Runtime& runtime, int k) -> std::function<void()> {
    ScarceMemory::fail(k);
    const absl::Status status = runtime.listen("localhost:0", [](Connection&) {}).status();
    ScarceMemory::stop();
    return [status] { EXPECT_TRUE(status.ok() || is_exhausted(status)) << status; };
  });
}

TEST_P(ScarceRuntimeTest, ListenOnAUnixSocket) {
  const TemporaryDirectory directory;
  const std::string address = "unix:" + directory.path("x.sock");
  for_each_allocation([&](Runtime& runtime, int k) -> std::function<void()> {
    ScarceMemory::fail(k);
    const absl::Status status = runtime.listen(address, [](Connection&) {}).status();
    ScarceMemory::stop();
    return [&runtime, &directory, status] {
      EXPECT_TRUE(status.ok() || is_exhausted(status)) << status;
      EXPECT_TRUE(runtime.shutdown().ok());
      EXPECT_TRUE(directory.is_empty()) << "nobody else removes the file";
    };
  });
}

TEST_P(ScarceRuntimeTest, Connect) {
  const TcpPort port = tcp_listener();
  for (const char* host : {"127.0.0.1:", "localhost:"}) {
    const std::string target = host + std::to_string(port.port);
    for_each_allocation([&](Runtime& runtime, int k) -> std::function<void()> {
      struct Told {
        std::atomic<int> times{0};
        absl::Status status;
        absl::Notification done;
      };
      const auto told = std::make_shared<Told>();
      ScarceMemory::fail(k);
      (void)runtime.connect(target, [told](absl::StatusOr<Connection> connection) {
        told->status = connection.status();
        if (++told->times == 1) told->done.Notify();
        if (connection.ok()) connection->abort();
      });
      ScarceMemory::stop();
      return [told] {
        told->done.WaitForNotification();
        EXPECT_TRUE(told->status.ok() || is_exhausted(told->status)) << told->status;
        EXPECT_EQ(told->times.load(), 1);
      };
    });
  }
}

TEST_P(ScarceRuntimeTest, Post) {
  for_each_allocation([](Runtime& runtime, int k) -> std::function<void()> {
    const auto ran = std::make_shared<absl::Notification>();
    Runtime::Closure closure = [ran] { ran->Notify(); };
    ScarceMemory::fail(k);
    const absl::Status posted = runtime.post(std::move(closure));
    ScarceMemory::stop();
    return [posted, ran] {
      if (posted.ok()) {
        ran->WaitForNotification();
      } else {
        EXPECT_TRUE(is_exhausted(posted)) << posted;
        EXPECT_EQ(ran.use_count(), 1) << "the closure is destroyed";
      }
    };
  });
}

TEST_P(ScarceRuntimeTest, Timers) {
  for (const bool posts : {false, true}) {
    for_each_allocation([posts](Runtime& runtime, int k) -> std::function<void()> {
      const auto fired = std::make_shared<absl::Notification>();
      Runtime::Closure closure = [fired] { fired->Notify(); };
      ScarceMemory::fail(k);
      Timer timer;
      bool is_armed = false;
      if (posts) {
        timer = runtime.post_after(absl::Hours(1), std::move(closure));
        is_armed = timer.is_armed();
      } else {
        timer = runtime.timer(std::move(closure));
        is_armed = timer.arm(absl::Hours(1));
      }
      ScarceMemory::stop();
      return [timer, fired, is_armed]() mutable {
        EXPECT_EQ(timer.is_armed(), is_armed);
        if (is_armed) {
          EXPECT_TRUE(timer.arm(absl::ZeroDuration()));
          fired->WaitForNotification();
        } else {
          timer = Timer();
          EXPECT_EQ(fired.use_count(), 1) << "the callback is destroyed";
        }
      };
    });
  }
}

TEST_P(ScarceRuntimeTest, ArmingAnArmedTimerLeavesItAsItWas) {
  for_each_allocation([](Runtime& runtime, int k) -> std::function<void()> {
    Timer timer = runtime.timer([] {});
    EXPECT_TRUE(timer.arm(absl::Hours(1)));
    ScarceMemory::fail(k);
    const bool is_armed = timer.arm_every(absl::Hours(2));
    ScarceMemory::stop();
    return [timer, is_armed] { EXPECT_TRUE(timer.is_armed() || !is_armed); };
  });
}

TEST_P(ScarceRuntimeTest, Signals) {
  for_each_allocation([](Runtime& runtime, int k) -> std::function<void()> {
    const auto called = std::make_shared<int>(0);
    Runtime::Closure closure = [called] { ++*called; };
    ScarceMemory::fail(k);
    const absl::Status set = runtime.on_signal(SIGUSR1, std::move(closure));
    const absl::Status caught = runtime.catch_signals();
    ScarceMemory::stop();
    return [&runtime, set, caught, called] {
      EXPECT_TRUE(set.ok() || is_exhausted(set)) << set;
      EXPECT_TRUE(caught.ok() || is_exhausted(caught)) << caught;
      EXPECT_TRUE(runtime.catch_signals().ok()) << "it may be tried again";
      if (set.ok()) {
        ASSERT_EQ(::raise(SIGUSR1), 0);
      }
      runtime.request_shutdown();
      ASSERT_EQ(::raise(SIGTERM), 0);
      EXPECT_TRUE(runtime.run_until_signal().ok());
    };
  });
}

// With a signal that the system ignores where nobody catches it.
TEST_P(ScarceRuntimeTest, AwaitedSignals) {
  for_each_allocation([](Runtime& runtime, int k) -> std::function<void()> {
    ScarceMemory::fail(k);
    const absl::Status set = runtime.on_signal(SIGWINCH).status();
    ScarceMemory::stop();
    return [&runtime, set] {
      EXPECT_TRUE(set.ok() || is_exhausted(set)) << set;
      EXPECT_TRUE(runtime.catch_signals().ok());
      ASSERT_EQ(::raise(SIGWINCH), 0);
      ASSERT_EQ(::raise(SIGTERM), 0);
      EXPECT_TRUE(runtime.run_until_signal().ok());
    };
  });
}

TEST_P(ScarceRuntimeTest, ShutdownNeedsNone) {
  for (const bool waits_for_signal : {false, true}) {
    for_each_allocation([waits_for_signal](Runtime& runtime, int k) -> std::function<void()> {
      Listener listener = listen_on_loopback(runtime, [](Connection&) {});
      const auto observer = std::make_shared<Observer>();
      const auto link = std::make_shared<Link>(open_link(runtime, *observer));
      link->peer.half_close();
      const Timer timer = runtime.post_after(absl::Hours(1), [] {});
      EXPECT_TRUE(runtime.catch_signals().ok());
      runtime.request_shutdown();
      ScarceMemory::fail(k);
      const absl::Status over = waits_for_signal ? runtime.run_until_signal() : runtime.shutdown();
      ScarceMemory::stop();
      return [over, observer, link] {
        EXPECT_TRUE(over.ok()) << over;
        EXPECT_EQ(observer->closed(), 1);
      };
    });
  }
}

// The thread that accepts finds no memory for one connection.
using ScarceAcceptTest = RuntimeTest;
INSTANTIATE_TEST_SUITE_P(Everywhere, ScarceAcceptTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(ScarceAcceptTest, AConnectionWithoutMemoryIsRefusedAndCountedAndTheNextIsServed) {
  std::uint64_t refused = 0;
  for (int k = 1; k <= 8; ++k) {
    SCOPED_TRACE(k);
    Runtime runtime(options());
    const Listener listener = listen_on_loopback(runtime, [](Connection& c) { c.close(); });
    const auto enough = [](const FaultKernel::Call&) { ScarceMemory::stop(); };
    kernel_.before(KernelCall::kEpollWait, enough);
    kernel_.before(KernelCall::kPoll, enough);
    kernel_.before(KernelCall::kIoUringEnter, enough);
    kernel_.before(KernelCall::kPark, enough);  // of a thread that does not lead any more
    kernel_.after(KernelCall::kAccept, [k](const FaultKernel::Call& call) {
      if (call.result.ok()) ScarceMemory::fail(k);
    });
    {
      Peer peer(listener.address());
      (void)peer.end();
    }
    kernel_.after(KernelCall::kAccept, enough);
    Peer next(listener.address());
    EXPECT_EQ(next.end(), 0);
    next.close();
    refused += runtime.counters().accept_errors;
    EXPECT_TRUE(runtime.shutdown().ok());
  }
  EXPECT_GE(refused, 1u);
}

}  // namespace
}  // namespace epore
