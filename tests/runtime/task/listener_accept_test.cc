// Tasks that accept: Listener::accept().

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/internal/stream/stream.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"

namespace epore {
namespace {

class AcceptTaskTest : public HandlerTest {
 protected:
  static Listener listen(Runtime& runtime, const ListenOptions& options = {}) {
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", options);
    CHECK_OK(listener);
    return *std::move(listener);
  }

  static bool is_current_order_of(const Connection& connection) {
    return internal::Stream::of(connection)->order()->is_current();
  }
};

Task<> answer(Connection c, std::string text) {
  co_await c.read_exactly(1);
  co_await c.write(text);
}

TEST_P(AcceptTaskTest, ALoopServesItsConnectionsInAGroup) {
  Runtime runtime(options());
  Listener listener = listen(runtime);
  Job job = runtime.spawn([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      for (;;) {
        Connection c = co_await listener.accept();
        EXPECT_TRUE(is_current_order_of(c));
        group.spawn(echo, std::move(c));
      }
    });
  });
  std::vector<Peer> peers;
  for (int i = 0; i < 20; ++i) peers.emplace_back(listener.address());
  for (Peer& peer : peers) peer.send("hello");
  for (Peer& peer : peers) EXPECT_EQ(peer.receive(5), "hello");
  for (Peer& peer : peers) peer.half_close();
  for (Peer& peer : peers) EXPECT_EQ(peer.end(), 0);  // its last handle was the child's
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  EXPECT_EQ(runtime.counters().accepts, 20u);
}

TEST_P(AcceptTaskTest, OthersWaitInTheBacklog) {
  Runtime runtime(options());
  Listener listener = listen(runtime);
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) peers.emplace_back(listener.address());
  std::uint64_t fences = 0;
  const auto accepts = [&] {
    fence(runtime);  // with a connection of its own
    return runtime.counters().accepts - ++fences;
  };
  EXPECT_EQ(accepts(), 0u);
  for (std::uint64_t taken = 1; taken <= 2; ++taken) {
    EXPECT_TRUE(runtime
                    .run([&]() -> Task<> {
                      Connection c = co_await listener.accept();
                      co_await c.write("you");
                    })
                    .ok());
    EXPECT_EQ(peers[taken - 1].receive_all(), "you");
    EXPECT_EQ(accepts(), taken);
  }
}

// It leaves the event queue, which would report it again and again.
TEST_P(AcceptTaskTest, DoesNotSpinWhileNobodyAccepts) {
  Runtime runtime(options());
  Listener listener = listen(runtime);
  Peer peer(listener.address());
  fence(runtime);
  fence(runtime);
  const auto polls = [&] { return runtime.counters().polls; };
  const std::uint64_t before = polls();
  for (int i = 0; i < 10; ++i) fence(runtime);
  EXPECT_LE(polls() - before, 60u);
}

TEST_P(AcceptTaskTest, AStopOrADeadlineEndsIt) {
  Runtime runtime(options());
  Listener listener = listen(runtime);
  Job job = runtime.spawn([&]() -> Task<> { co_await listener.accept(); });
  absl::Status late =
      runtime.run([&]() -> Task<> { co_await within(absl::ZeroDuration(), listener.accept()); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  Peer peer(listener.address());
  peer.send("x");
  EXPECT_TRUE(
      runtime.run([&]() -> Task<> { co_await answer(co_await listener.accept(), "ok"); }).ok());
  EXPECT_EQ(peer.receive_all(), "ok");
}

// What the loser has got goes to the next one.
TEST_P(AcceptTaskTest, NoConnectionIsLostByAStop) {
  constexpr int kPeers = 60;
  Runtime runtime(options());
  Listener listener = listen(runtime);
  std::vector<Peer> peers;
  for (int i = 0; i < kPeers; ++i) peers.emplace_back(listener.address());
  int served = 0;
  absl::Status done = runtime.run([&]() -> Task<> {
    int round = 0;
    while (served < kPeers) {
      absl::StatusOr<Connection> c;
      if (++round % 2 == 0) {
        c = co_await within(absl::Microseconds(round % 50), listener.accept()).result();
      } else {
        auto first = co_await any(yield(), listener.accept());
        if (first.index() == 1) c = std::get<1>(std::move(first));
      }
      if (!c.ok()) continue;
      co_await c->write("served");
      ++served;
    }
  });
  EXPECT_TRUE(done.ok()) << done;
  for (Peer& peer : peers) EXPECT_EQ(peer.receive_all(), "served");
}

// Each of them gets connections in its own order.
TEST_P(AcceptTaskTest, SeveralTasksOfDifferentOrdersAccept) {
  constexpr int kTasks = 4;
  Runtime runtime(options());
  Listener listener = listen(runtime);
  std::atomic<int> served{0};
  std::vector<Job> jobs;
  for (int i = 0; i < kTasks; ++i) {
    jobs.push_back(runtime.spawn([&]() -> Task<> {
      for (;;) {
        Connection c = co_await listener.accept();
        EXPECT_TRUE(is_current_order_of(c));
        co_await answer(std::move(c), "ok");
        ++served;
      }
    }));
  }
  for (int round = 0; round < 5; ++round) {
    std::vector<Peer> peers;
    for (int i = 0; i < 10; ++i) peers.emplace_back(listener.address());
    for (Peer& peer : peers) peer.send("x");
    for (Peer& peer : peers) EXPECT_EQ(peer.receive_all(), "ok");
  }
  listener.close();
  for (Job& job : jobs) EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  EXPECT_EQ(served, 50);
}

TEST_P(AcceptTaskTest, OnSeveralReactorsAndAddresses) {
  RuntimeOptions options = this->options();
  options.reactors = 3;
  Runtime runtime(options);
  Listener listener = listen(runtime);
  Job job = runtime.spawn([&]() -> Task<> {
    for (;;) co_await answer(co_await listener.accept(), "ok");
  });
  for (int i = 0; i < 30; ++i) {
    Peer peer(listener.address());
    peer.send("x");
    EXPECT_EQ(peer.receive_all(), "ok");
  }
  EXPECT_TRUE(listener.close_and_wait().ok());
  EXPECT_EQ(job.wait(), absl::CancelledError("Listener::accept: the listener is closed"));
}

TEST_P(AcceptTaskTest, AnOrderOfTheOptionsHolds) {
  Runtime runtime(options());
  Order order = runtime.order();
  Listener listener = listen(runtime, {.order = order});
  Peer peer(listener.address());
  peer.send("x");
  absl::Status done = runtime.run([&]() -> Task<> {
    Connection c = co_await listener.accept();
    EXPECT_FALSE(is_current_order_of(c));
    co_await answer(std::move(c), "from afar");
  });
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_EQ(peer.receive_all(), "from afar");
}

TEST_P(AcceptTaskTest, ATaskOfAnotherRuntimeAccepts) {
  Runtime runtime(options());
  Runtime other(options());
  Listener listener = listen(runtime);
  Peer peer(listener.address());
  peer.send("x");
  EXPECT_TRUE(
      other.run([&]() -> Task<> { co_await answer(co_await listener.accept(), "hello"); }).ok());
  EXPECT_EQ(peer.receive_all(), "hello");
}

TEST_P(AcceptTaskTest, CloseEndsItAndRefusesTheRest) {
  Runtime runtime(options());
  Listener listener = listen(runtime);
  absl::Notification waits;
  Job job = runtime.spawn([&]() -> Task<> {
    waits.Notify();
    co_await listener.accept();
  });
  waits.WaitForNotification();
  listener.close();
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  absl::Status late = runtime.run([&]() -> Task<> { co_await listener.accept(); });
  EXPECT_TRUE(absl::IsCancelled(late)) << late;
  EXPECT_TRUE(listener.status().ok());
}

TEST_P(AcceptTaskTest, TheErrorOfTheSocketEndsIt) {
  Runtime runtime(options());
  Listener listener = listen(runtime);
  kernel_.fail(KernelCall::kAccept, EBADF);
  Peer peer(listener.address());
  absl::Status done = runtime.run([&]() -> Task<> { co_await listener.accept(); });
  EXPECT_EQ(done, listener.status());
  EXPECT_EQ(errno_of(done), EBADF);
}

TEST_P(AcceptTaskTest, AFullTableOfDescriptorsIsAPause) {
  Runtime runtime(options());
  Listener listener = listen(runtime);
  kernel_.fail(KernelCall::kAccept, EMFILE);
  Peer peer(listener.address());
  peer.send("x");
  EXPECT_TRUE(
      runtime.run([&]() -> Task<> { co_await answer(co_await listener.accept(), "late"); }).ok());
  EXPECT_EQ(peer.receive_all(), "late");
  EXPECT_EQ(runtime.counters().accept_pauses, 1u);
}

TEST_P(AcceptTaskTest, TheLimitOfConnectionsHolds) {
  RuntimeOptions options = this->options();
  options.max_connections = 1;
  Runtime runtime(options);
  Listener listener = listen(runtime);
  Job job = runtime.spawn([&]() -> Task<> {
    for (;;) co_await answer(co_await listener.accept(), "ok");
  });
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) peers.emplace_back(listener.address());
  for (Peer& peer : peers) {
    peer.send("x");
    EXPECT_EQ(peer.receive_all(), "ok");
    peer.close();
  }
  job.stop();
  (void)job.wait();
}

TEST_P(AcceptTaskTest, MisuseIsAnError) {
  Runtime runtime(options());
  absl::StatusOr<Listener> with_handler = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(with_handler.ok());
  absl::Status done = runtime.run([&]() -> Task<> { co_await with_handler->accept(); });
  EXPECT_EQ(done, absl::FailedPreconditionError(
                      "Listener::accept: the listener has a callback that gets connections"));
  done = runtime.run([]() -> Task<> { co_await Listener().accept(); });
  EXPECT_EQ(done, absl::FailedPreconditionError("Listener::accept: this names no listener"));
}

// --- The shutdown. ---

TEST_P(AcceptTaskTest, AShutdownEndsItAndConnectionsDrain) {
  Runtime runtime(options());
  Listener listener = listen(runtime);
  Job job = runtime.spawn([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      for (;;) {
        absl::StatusOr<Connection> c = co_await listener.accept().result();
        if (!c.ok()) {
          EXPECT_EQ(c.status(), absl::CancelledError("Listener::accept: the runtime shuts down"));
          co_return;
        }
        group.spawn(
            [](Connection c) -> Task<> {
              co_await c.write("ready");
              absl::StatusOr<ByteView> bytes = co_await c.read().result();
              EXPECT_TRUE(absl::IsCancelled(bytes.status())) << bytes.status();
              co_await c.write("bye");
            },
            *std::move(c));
      }
    });
  });
  Peer peer(listener.address());
  EXPECT_EQ(peer.receive(5), "ready");
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  EXPECT_EQ(peer.receive_all(), "bye");
  peer.close();
  shutdown.join();
  EXPECT_TRUE(job.status()->ok()) << *job.status();
}

TEST_P(AcceptTaskTest, AShutdownWithoutTimeEndsIt) {
  for (const bool has_peer : {false, true}) {
    Runtime runtime(options());
    Listener listener = listen(runtime);
    std::vector<Peer> peers;
    if (has_peer) peers.emplace_back(listener.address());
    Job job = runtime.spawn([&]() -> Task<> {
      for (;;) (void)co_await listener.accept().result();
    });
    EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
    EXPECT_TRUE(job.status().has_value());
  }
}

// A connection that a stopped task leaves behind, and nobody else takes, does not hold it up.
TEST_P(AcceptTaskTest, AShutdownClosesWhatNobodyTakes) {
  for (int i = 0; i < 20; ++i) {
    Runtime runtime(options());
    Listener listener = listen(runtime);
    Peer peer(listener.address());
    (void)runtime.run([&]() -> Task<> { co_await any(yield(), listener.accept()); });
    EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
    peer.end();
  }
}

TEST_P(AcceptTaskTest, AHandleMayOutliveTheRuntime) {
  Listener listener;
  {
    Runtime runtime(options());
    listener = listen(runtime);
  }
  Runtime other(options());
  absl::Status done = other.run([&]() -> Task<> { co_await listener.accept(); });
  EXPECT_TRUE(absl::IsCancelled(done)) << done;
}

INSTANTIATE_TEST_SUITE_P(Everywhere, AcceptTaskTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
