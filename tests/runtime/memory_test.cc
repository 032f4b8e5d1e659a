// What a connection takes of memory, and what a message does not.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "runtime/internal/stream.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/heap.h"

namespace epore {
namespace {

static_assert(sizeof(internal::Stream) <= 400, "each idle connection pays for it");

class MemoryTest : public RuntimeTest {
 protected:
  void SetUp() override {
    if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has malloc()";
  }

  static ListenOptions with_idle_timeout() {
    ListenOptions options;
    options.connection.idle_timeout = absl::Hours(1);
    return options;
  }
};

void echo(Connection& c, std::span<const std::byte> bytes) { c.send(bytes); }

// Returns when a closure has run.
void run_on(Runtime& runtime) {
  absl::Notification ran;
  ASSERT_TRUE(runtime.post([&ran] { ran.Notify(); }).ok());
  ran.WaitForNotification();
}

void ping(Peer& peer) {
  peer.send("ping");
  EXPECT_EQ(peer.receive(4), "ping");
}

// What is there once and for all, such as the first block of a table and what a thread has for
// itself, is taken at some time or other. So everything is measured several times, and the least
// counts.
constexpr int kTimes = 4;

// The memory of one of many connections that have echoed something, their timeouts armed.
double bytes_of_an_idle_connection(const Listener& listener) {
  constexpr int kConnections = 100;
  std::vector<Peer> peers;
  peers.reserve(kTimes * kConnections);
  double least = std::numeric_limits<double>::infinity();
  for (int time = 0; time < kTimes; ++time) {
    const ScopedHeapCount heap;
    for (int i = 0; i < kConnections; ++i) {
      peers.emplace_back(listener.address());
      ping(peers.back());
    }
    least = std::min(least, static_cast<double>(heap.so_far().bytes) / kConnections);
  }
  return least;
}

TEST_P(MemoryTest, AnIdleConnectionWithItsTimeoutArmedIsSmall) {
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(
      runtime, [](Connection& c) { c.on_data(echo); }, with_idle_timeout());
  EXPECT_LE(bytes_of_an_idle_connection(listener), 440);
}

TEST_P(MemoryTest, AlsoOneThatIsToldOfItsEnd) {
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(
      runtime,
      [](Connection& c) {
        c.on_data(echo);
        c.on_closed([](Connection&, const absl::Status&) {});
      },
      with_idle_timeout());
  EXPECT_LE(bytes_of_an_idle_connection(listener), 512);
}

// `post` is called with a closure as small as most are; how often anything was allocated for 2,000
// posts in bursts from this thread, and for as many from callbacks.
template <typename Post>
std::uint64_t allocations_of_posts(Runtime& runtime, Post post) {
  constexpr int kPosts = 2000;
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (int time = 0; time < kTimes; ++time) {
    std::atomic<int> left{kPosts};
    absl::Notification done;
    const std::function<void()> chain = [&] {
      if (left.fetch_sub(1) == 1) {
        done.Notify();
      } else if (left.load() > kPosts / 2) {
        post([&chain] { chain(); });
      }
    };
    const ScopedHeapCount heap;
    // Half of them post one another; the rest come from here, a few at a time.
    post([&chain] { chain(); });
    for (int i = 0; i < kPosts / 2; ++i) {
      post([&chain] { chain(); });
      if (i % 50 == 0) run_on(runtime);
    }
    while (left.load() > 0) {
      post([&chain] { chain(); });
      run_on(runtime);
    }
    done.WaitForNotification();
    run_on(runtime);
    least = std::min(least, heap.so_far().allocations);
  }
  return least;
}

TEST_P(MemoryTest, APostOfASmallClosureAllocatesNothing) {
  Runtime runtime(options());
  EXPECT_EQ(
      allocations_of_posts(runtime, [&](auto closure) { ASSERT_TRUE(runtime.post(closure).ok()); }),
      0u);
}

TEST_P(MemoryTest, NorDoesOneInAConnectionsOrder) {
  Runtime runtime(options());
  absl::Notification connected;
  Connection connection;
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) {
    connection = c;
    connected.Notify();
  });
  const Peer peer(listener.address());
  connected.WaitForNotification();
  EXPECT_EQ(allocations_of_posts(
                runtime,
                [&](auto closure) {
                  ASSERT_TRUE(connection.post([closure](Connection&) mutable { closure(); }).ok());
                }),
            0u);
}

TEST_P(MemoryTest, AnEchoAllocatesNothing) {
  constexpr int kMessages = 300;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(
      runtime, [](Connection& c) { c.on_data(echo); }, with_idle_timeout());
  Peer peer(listener.address());
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (int time = 0; time < kTimes; ++time) {
    const ScopedHeapCount heap;
    for (int i = 0; i < kMessages; ++i) ping(peer);
    least = std::min(least, heap.so_far().allocations);
  }
  EXPECT_EQ(least, 0u);
}

TEST_P(MemoryTest, IdleConnectionsCauseNoWakeup) {
  constexpr int kConnections = 400;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(
      runtime, [](Connection& c) { c.on_data(echo); }, with_idle_timeout());
  std::vector<Peer> peers;
  for (int i = 0; i < kConnections; ++i) {
    peers.emplace_back(listener.address());
    ping(peers.back());
  }
  fence(runtime);
  run_on(runtime);  // what is left of the fence
  const Counters before = runtime.counters();
  constexpr int kPosts = 20;
  for (int i = 0; i < kPosts; ++i) run_on(runtime);
  const Counters after = runtime.counters();
  EXPECT_LE(after.polls - before.polls, kPosts + 1u) << "turns that nobody asked for";
  EXPECT_EQ(after.events, before.events);
  EXPECT_EQ(after.timers_fired, before.timers_fired);
  EXPECT_EQ(after.callbacks - before.callbacks, 0u + kPosts);
}

INSTANTIATE_TEST_SUITE_P(Epoll, MemoryTest, testing::ValuesIn(epoll_modes()), mode_name);

}  // namespace
}  // namespace epore
