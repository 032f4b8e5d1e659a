// What a connection takes of memory, and what a message does not.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/within.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/heap.h"

namespace epore {
namespace {

static_assert(sizeof(internal::Stream) <= 336, "each idle connection pays for it");
static_assert(sizeof(internal::WriteOperation) <= 24, "so does the frame of each coroutine");

// Of this process.
std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  CHECK(file >> total >> resident);
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

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
// counts: often enough for the nodes that the caches of three threads may keep, two magazines of 64
// each, at one for a connection.
constexpr int kTimes = 8;

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
  EXPECT_LE(bytes_of_an_idle_connection(listener), 376);
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

// The limit is no temporary: gcc 12 keeps one in the frame, which then needs the next block.
TEST_P(MemoryTest, ACoroutineThatWaitsWithADeadlineIsSmall) {
  static constexpr absl::Duration kLimit = absl::Hours(1);
  Runtime runtime(options());
  const absl::StatusOr<Listener> listener =
      runtime.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
        while (ByteView bytes = co_await within(kLimit, peer.read())) {
          co_await peer.write(bytes);
        }
      });
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_LE(bytes_of_an_idle_connection(*listener), 1016);
}

// `post` is called with a closure as small as most are; how often anything was allocated for 2,000
// posts in bursts from this thread, and for as many from callbacks.
template <typename Post>
std::uint64_t allocations_of_posts(Runtime& runtime, Post post) {
  constexpr int kPosts = 2000;
  // More at a time than later, so that there are nodes enough: both threads that run closures are
  // held until all are posted.
  absl::Notification go;
  std::atomic<int> first{2 + kPosts};
  for (int i = 0; i < 2; ++i) {
    post([&] {
      go.WaitForNotification();
      first.fetch_sub(1);
    });
  }
  for (int i = 0; i < kPosts; ++i) post([&first] { first.fetch_sub(1); });
  go.Notify();
  while (first.load() > 0) run_on(runtime);
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (int time = 0; time < kTimes; ++time) {
    std::atomic<int> left{kPosts};
    std::atomic<int> open{0};  // posted, and not over
    std::function<void()> chain;
    const auto post_one = [&] {
      open.fetch_add(1);
      post([&chain] { chain(); });
    };
    chain = [&] {
      if (left.fetch_sub(1) > kPosts / 2 + 1) post_one();
      open.fetch_sub(1);
    };
    const ScopedHeapCount heap;
    // Half of them post one another; the rest come from here, a few at a time.
    post_one();
    for (int i = 0; i < kPosts / 2; ++i) {
      post_one();
      if (i % 50 == 0) run_on(runtime);
    }
    while (left.load() > 0) {
      post_one();
      run_on(runtime);
    }
    while (open.load() > 0) run_on(runtime);
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
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  EXPECT_EQ(
      allocations_of_posts(
          runtime,
          [&](auto closure) {
            ASSERT_TRUE(link.connection.post([closure](Connection&) mutable { closure(); }).ok());
          }),
      0u);
}

TEST_P(MemoryTest, NorDoesASendOfAFewBytesFromAnotherThread) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const std::array<std::byte, 8> bytes = {};
  const auto send_some = [&] {
    constexpr int kSends = 100;
    for (int i = 0; i < kSends; ++i) EXPECT_TRUE(link.connection.send(bytes).ok());
    absl::Notification sent;
    EXPECT_TRUE(link.connection.post([&](Connection&) { sent.Notify(); }).ok());
    sent.WaitForNotification();
  };
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (int time = 0; time < kTimes; ++time) {
    const ScopedHeapCount heap;
    send_some();
    least = std::min(least, heap.so_far().allocations);
  }
  EXPECT_EQ(least, 0u);
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

// The least that `measure` returns of several times.
template <typename Measure>
std::uint64_t least_of(Measure measure) {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (int time = 0; time < kTimes; ++time) least = std::min(least, measure());
  return least;
}

// What is allocated by arming it later than before, earlier than any, after a cancel.
std::uint64_t allocations_of_arming(Timer& timer) {
  const ScopedHeapCount heap;
  for (int i = 1; i <= 300; ++i) {
    timer.arm(absl::Hours(i));
    timer.arm(absl::Hours(2) - absl::Seconds(i));
    timer.cancel();
    timer.arm_every(absl::Hours(i));
  }
  return heap.so_far().allocations;
}

TEST_P(MemoryTest, ArmingATimerAnewAllocatesNothingOnAnyThread) {
  Runtime runtime(options());
  Timer timer = runtime.timer([] {});
  EXPECT_EQ(least_of([&] { return allocations_of_arming(timer); }), 0u) << "on this thread";
  std::uint64_t in_callback = 0;
  absl::Notification done;
  const auto measure = [&] {
    in_callback = least_of([&] { return allocations_of_arming(timer); });
    done.Notify();
  };
  ASSERT_TRUE(runtime.post([&measure] { measure(); }).ok());
  done.WaitForNotification();
  EXPECT_EQ(in_callback, 0u);
}

// Tells the least that is allocated in so many calls in a row, of kTimes times as many. For a
// callback, which is called by one thread at a time.
class AllocationsOfCalls {
 public:
  static constexpr int kCalls = 200;

  // False: these were enough.
  bool next() {
    if (calls_ % kCalls == 0) {
      const std::uint64_t now = heap_.so_far().allocations;
      if (calls_ > 0) least_ = std::min(least_, now - before_);
      before_ = now;
    }
    if (calls_++ != kTimes * kCalls) return true;
    done_.Notify();
    return false;
  }
  std::uint64_t await() {
    done_.WaitForNotification();
    return least_;
  }

 private:
  const ScopedHeapCount heap_;
  int calls_ = 0;
  std::uint64_t before_ = 0;
  std::uint64_t least_ = std::numeric_limits<std::uint64_t>::max();
  absl::Notification done_;
};

TEST_P(MemoryTest, NorDoesATimerOfAConnectionThatItsCallbackArmsAnew) {
  Observer observer;
  AllocationsOfCalls allocations;
  Timer timer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  timer = link.connection.timer([&](Connection&) {
    if (allocations.next()) timer.arm(absl::ZeroDuration());
  });
  timer.arm(absl::ZeroDuration());
  EXPECT_EQ(allocations.await(), 0u);
}

TEST_P(MemoryTest, NorDoesAPeriodicTimerThatFires) {
  AllocationsOfCalls allocations;
  Timer timer;  // the callback cancels it when this test has been told
  Runtime runtime(options());
  timer = runtime.timer([&] {
    if (!allocations.next()) timer.cancel();
  });
  timer.arm_every(absl::Microseconds(10));
  EXPECT_EQ(allocations.await(), 0u);
}

TEST_P(MemoryTest, ANewTimerIsOneAllocation) {
  AllocationsOfCalls allocations;
  std::function<void()> again;
  Runtime runtime(options());
  again = [&] {
    if (allocations.next()) runtime.post_after(absl::ZeroDuration(), [&again] { again(); });
  };
  runtime.post_after(absl::ZeroDuration(), [&again] { again(); });
  EXPECT_EQ(allocations.await(), std::uint64_t{AllocationsOfCalls::kCalls});
}

TEST_P(MemoryTest, TimersOneAfterTheOtherNeedTheMemoryOfAFew) {
  if (!Heap::is_counted()) GTEST_SKIP() << "nobody counts allocations here";
  constexpr int kTimers = 50'000;
  RuntimeOptions options = this->options();
  options.spare_workers = 0;
  int left = kTimers;
  std::int64_t bytes = 0;
  absl::Notification done;
  std::function<void()> again;
  Runtime runtime(options);
  const ScopedHeapCount heap;
  again = [&] {
    if (left == kTimers - 1'000) bytes = heap.so_far().bytes;
    if (--left > 0) {
      runtime.post_after(absl::ZeroDuration(), [&again] { again(); });
    } else {
      bytes = heap.so_far().bytes - bytes;
      done.Notify();
    }
  };
  runtime.post_after(absl::ZeroDuration(), [&again] { again(); });
  done.WaitForNotification();
  // They would be more than 4 MiB. Workers that start meanwhile have their buffers.
  EXPECT_LE(bytes, 512 * 1024);
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

// What slow peers made it queue, although something small was allocated behind each piece.
TEST_P(MemoryTest, LongQueuesGoBackToTheSystem) {
  constexpr int kPeers = 4;
  constexpr std::size_t kMuch = 32 << 20;
  constexpr std::size_t kPiece = 64 * 1024;
  const std::string piece(kPiece, 'x');
  std::vector<std::unique_ptr<char[]>> kept;
  kept.reserve(kPeers * kMuch / kPiece);
  Observer observers[kPeers];
  Runtime runtime(options());
  const std::size_t before = resident_bytes();
  std::vector<Link> links;
  for (Observer& observer : observers) {
    links.push_back(open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
      for (std::size_t sent = 0; sent < kMuch; sent += kPiece) {
        c.send(piece);
        kept.push_back(std::make_unique<char[]>(100));
      }
    }));
  }
  for (Link& link : links) fence(link.connection);
  EXPECT_GT(resident_bytes(), before + kPeers * kMuch / 2);
  for (int i = 0; i < kPeers; ++i) {
    links[static_cast<std::size_t>(i)].connection.abort();
    (void)observers[i].await_closed();
  }
  EXPECT_LT(resident_bytes(), before + (8 << 20));
}

// A member that does not read costs a place in its queue, and not a copy.
TEST_P(MemoryTest, AMessageThatManyHaveToSendIsOnePieceOfMemory) {
  constexpr int kMembers = 50;
  constexpr std::int64_t kSize = 1 << 20;
  kernel_.fail(KernelCall::kSend, EAGAIN, 1, FaultKernel::kAlways);
  kernel_.fail(KernelCall::kSendmsg, EAGAIN, 1, FaultKernel::kAlways);
  Runtime runtime(options());
  std::vector<std::unique_ptr<Observer>> observers;
  std::vector<Link> links;
  for (int i = 0; i < kMembers; ++i) {
    observers.push_back(std::make_unique<Observer>());
    links.push_back(open_link(runtime, *observers.back()));
  }
  const std::string text = pattern(kSize);
  const ScopedHeapCount heap;
  {
    const Bytes message(text);
    for (Link& link : links) EXPECT_TRUE(link.connection.send(message).ok());
    for (Link& link : links) fence(link.connection);
  }
  EXPECT_GE(heap.so_far().bytes, kSize);
  EXPECT_LE(heap.so_far().bytes, kSize + kMembers * 4096);
  EXPECT_EQ(links[0].connection.queued_bytes(), static_cast<std::size_t>(kSize));
  for (Link& link : links) link.connection.abort();
  for (auto& observer : observers) (void)observer->await_closed();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_LT(heap.so_far().bytes, kSize / 2) << "the last connection has freed it";
}

INSTANTIATE_TEST_SUITE_P(Epoll, MemoryTest, testing::ValuesIn(epoll_modes()), mode_name);

}  // namespace
}  // namespace epore
