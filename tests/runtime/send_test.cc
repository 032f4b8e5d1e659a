// send() from callbacks and from other threads: order, marks, the cap.

#include <atomic>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/fault_kernel.h"

namespace epore {
namespace {

using SendTest = RuntimeTest;

TEST_P(SendTest, KeepsTheOrderOfEachThread) {
  constexpr int kThreads = 4;
  constexpr int kLines = 1'000;
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  // Of all sizes, so that small, gathered and large ones mix.
  const auto filler = [](int line) {
    return std::string(line % 100 == 0 ? 20'000 : static_cast<std::size_t>(line % 50), '.');
  };
  const auto send_lines = [&filler](Connection connection, int thread) {
    for (int line = 0; line < kLines; ++line) {
      EXPECT_TRUE(connection.send(absl::StrCat(thread, " ", line, " ", filler(line), "\n")).ok());
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < kThreads; ++i) threads.emplace_back(send_lines, link.connection, i);
  ASSERT_TRUE(link.connection.post([&](Connection& c) { send_lines(c, 0); }).ok());
  std::thread closer([&] {
    for (std::thread& thread : threads) thread.join();
    fence(link.connection);
    link.connection.close();
  });
  const std::string received = link.peer.receive_all();
  closer.join();
  expect_lines_of_threads(received, kThreads, kLines, filler);
}

// What a thread sent before it came to run the connection goes first, however much it is.
TEST_P(SendTest, AThreadsOwnCallbackSendsAfterWhatItSentBefore) {
  constexpr int kMany = 1'000;
  ClockKernel clock;  // whose watchdog never ticks and sends a second thread
  RuntimeOptions one_thread = options();
  one_thread.workers = 1;
  one_thread.kernel = &clock;
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view) { c.send("!"); };
  Runtime runtime(one_thread);
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.pause_reading(); });
  link.peer.send("now");
  fence(runtime);  // it is known to be readable
  ASSERT_TRUE(runtime
                  .post([&] {
                    link.connection.resume_reading();
                    for (int i = 0; i < kMany; ++i) link.connection.send(".");
                  })
                  .ok());
  EXPECT_EQ(link.peer.receive(kMany + 1), std::string(kMany, '.') + "!");
}

// The same for what calls back when the queue has emptied.
TEST_P(SendTest, OnWritableSendsAfterWhatItsThreadSentBefore) {
  constexpr int kMany = 1'000;
  ClockKernel clock;  // as above
  RuntimeOptions one_thread = options();
  one_thread.workers = 1;
  one_thread.kernel = &clock;
  Observer observer;
  observer.when_writable = [](Connection& c) { c.send("!"); };
  Runtime runtime(one_thread);
  Link link = open_link(runtime, observer, marks(2 * kMany, 2 * kMany));
  ASSERT_TRUE(runtime
                  .post([&] {
                    EXPECT_EQ(link.connection.send(std::string(3 * kMany, '-')), SendResult::high);
                    for (int i = 0; i < kMany; ++i) link.connection.send(".");
                  })
                  .ok());
  EXPECT_EQ(link.peer.receive(4 * kMany + 1),
            std::string(3 * kMany, '-') + std::string(kMany, '.') + "!");
}

TEST_P(SendTest, ABytelessSendIsNothing) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [](Connection& c) { EXPECT_EQ(c.send(""), SendResult::queued); });
  EXPECT_EQ(link.connection.send(""), SendResult::queued);
  fence(link.connection);
  EXPECT_EQ(kernel_.calls(KernelCall::kSend), 0u);
}

TEST_P(SendTest, HighIsFollowedByOneOnWritableForEachCrossing) {
  constexpr int kRounds = 20;
  use_small_buffers();
  std::atomic<std::size_t> sent{0};
  const auto send_until_high = [&](Connection& c) {
    SendResult result = SendResult::queued;
    while (result == SendResult::queued) {
      result = c.send(std::string(5'000, 'x'));
      sent += 5'000;
    }
    EXPECT_EQ(result, SendResult::high);
    EXPECT_GT(c.queued_bytes(), 100'000u);
  };
  int rounds = 1;
  Observer observer;
  observer.when_writable = [&](Connection& c) {
    EXPECT_LE(c.queued_bytes(), 20'000u);
    if (++rounds <= kRounds) {
      send_until_high(c);
    } else {
      c.close();
    }
  };
  Runtime runtime(options());
  Link link = open_link(runtime, observer, marks(20'000, 100'000), send_until_high);
  EXPECT_EQ(link.peer.receive_all().size(), sent);
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(observer.writable(), kRounds);
  EXPECT_EQ(runtime.counters().high_marks, static_cast<std::uint64_t>(kRounds));
}

// No producer that stops at `high` is left waiting.
TEST_P(SendTest, OtherThreadsThatStopAtHighAreAllCalledBack) {
  constexpr int kThreads = 3;
  constexpr std::size_t kBytes = 200'000;
  use_small_buffers();
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, marks(4'000, 16'000));
  std::vector<std::thread> producers;
  for (int i = 0; i < kThreads; ++i) {
    producers.emplace_back([&, connection = link.connection]() mutable {
      for (std::size_t sent = 0; sent < kBytes; sent += 1'000) {
        const int seen = observer.writable();
        const SendResult result = connection.send(std::string(1'000, 'x'));
        EXPECT_TRUE(result.ok());
        if (result == SendResult::high) observer.await_writable(seen + 1);
      }
    });
  }
  EXPECT_EQ(link.peer.receive(kThreads * kBytes).size(), kThreads * kBytes);
  for (std::thread& producer : producers) producer.join();
  EXPECT_LE(static_cast<std::uint64_t>(observer.writable()), runtime.counters().high_marks);
}

TEST_P(SendTest, MoreThanTheCapClosesFromACallback) {
  constexpr std::size_t kCap = 1'000'000;
  std::size_t most = 0;
  int refused = 0;
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, marks(1'000, 2'000, kCap), [&](Connection& c) {
    for (int i = 0; i < 10'000; ++i) {
      const SendResult result = c.send(std::string(5'000, 'x'));
      refused += result == SendResult::over_cap;
      EXPECT_TRUE(refused == 0 || !result.ok());
      most = std::max(most, c.queued_bytes());
    }
  });
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused, 1);
  EXPECT_LE(most, kCap);
  EXPECT_EQ(observer.writable(), 0);
  EXPECT_EQ(link.peer.end(), ECONNRESET);
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
  EXPECT_EQ(runtime.counters().queued_bytes, 0u);
}

TEST_P(SendTest, MoreThanTheCapClosesFromOtherThreads) {
  constexpr std::size_t kCap = 1'000'000;
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, marks(1'000, 2'000, kCap));
  std::vector<std::thread> producers;
  for (int i = 0; i < 3; ++i) {
    producers.emplace_back([connection = link.connection]() mutable {
      while (connection.send(std::string(5'000, 'x')).ok()) {
        EXPECT_LE(connection.queued_bytes(), kCap + 3 * 5'000);
      }
    });
  }
  const absl::Status why = observer.await_closed();
  EXPECT_EQ(why.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StrContains(why.message(), "the cap is 1000000")) << why;
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(link.peer.end(), ECONNRESET);
  EXPECT_TRUE(runtime.shutdown().ok());  // what was still on its way is dropped after on_closed
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
  EXPECT_EQ(runtime.counters().queued_bytes, 0u);
}

// Bytes of other threads count as queued until the system has taken them, also while a run has
// gathered them for one call.
TEST_P(SendTest, BytesOnTheirWayToTheSystemAreCounted) {
  FaultKernel kernel;
  RuntimeOptions with_kernel = options();
  with_kernel.kernel = &kernel;
  Observer observer;
  Runtime runtime(with_kernel);
  Link link = open_link(runtime, observer);
  absl::Notification runs;
  absl::Notification is_sent;
  ASSERT_TRUE(link.connection
                  .post([&](Connection&) {
                    runs.Notify();
                    is_sent.WaitForNotification();
                  })
                  .ok());
  runs.WaitForNotification();
  std::vector<std::size_t> queued;
  std::atomic<bool> is_first{true};
  kernel.before(KernelCall::kSend, [&](const FaultKernel::Call&) {
    if (!is_first.exchange(false)) return;
    std::thread([&] { queued.push_back(link.connection.queued_bytes()); }).join();
  });
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(link.connection.send(std::string(5'000, 'x')), SendResult::queued);
  }
  for (int i = 0; i < 50; ++i) {  // copied, as they are short
    EXPECT_EQ(link.connection.send(Bytes(std::string(100, 'x'))), SendResult::queued);
  }
  is_sent.Notify();
  EXPECT_EQ(link.peer.receive(15'000).size(), 15'000u);
  fence(link.connection);
  EXPECT_EQ(queued, std::vector<std::size_t>{15'000});
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
  EXPECT_EQ(runtime.counters().queued_bytes, 0u);
}

TEST_P(SendTest, ASendAsLargeAsTheCapIsTaken) {
  const std::string sent = pattern(300'000);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, marks(0, sent.size(), sent.size()));
  EXPECT_EQ(link.connection.send(sent), SendResult::queued);
  EXPECT_TRUE(link.peer.receive(sent.size()) == sent);
}

// Bytes on their way from another thread into the queue are counted once.
TEST_P(SendTest, BytesBelowTheCapAreNeverTakenForMore) {
  constexpr std::size_t kLarge = 600'000;
  for (int round = 0; round < 20; ++round) {
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer, marks(0, 0, kLarge + 100'000));
    link.connection.send(std::string(50'000, 'x'));
    std::atomic<bool> done{false};
    std::thread watcher([&] {
      while (!done) EXPECT_LE(link.connection.queued_bytes(), kLarge + 50'000);
    });
    EXPECT_TRUE(link.connection.send(std::string(kLarge, 'x')).ok());
    fence(link.connection);
    done = true;
    watcher.join();
    link.connection.abort();
    (void)observer.await_closed();
  }
}

TEST_P(SendTest, QueuedBytesAreThoseThatTheSystemHasNotTaken) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    EXPECT_EQ(c.queued_bytes(), 0u);
    c.send("12345");
    EXPECT_EQ(c.queued_bytes(), 5u) << "leaves at the end of the turn";
  });
  EXPECT_EQ(link.peer.receive(5), "12345");
  fence(link.connection);
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
  constexpr std::size_t kMuch = 20 << 20;
  link.connection.send(std::string(kMuch, 'x'));
  fence(link.connection);
  std::size_t queued = 0;
  std::size_t counted = 0;
  do {  // until it has not written meanwhile, as the loopback makes room now and then
    queued = link.connection.queued_bytes();
    fence(link.connection);
    counted = runtime.counters().queued_bytes;
    fence(link.connection);
  } while (link.connection.queued_bytes() != queued);
  EXPECT_GT(queued, 0u);
  EXPECT_LT(queued, kMuch);
  EXPECT_EQ(counted, queued);
  link.peer.receive(kMuch);
  fence(link.connection);
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
  EXPECT_EQ(runtime.counters().queued_bytes, 0u);
}

TEST_P(SendTest, AHandleOfNoConnectionSaysSo) {
  Connection none;
  EXPECT_EQ(none.send("x"), SendResult::closed);
  EXPECT_EQ(none.post([](Connection&) {}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(none.is_open());
  EXPECT_EQ(none.id(), 0u);
  EXPECT_EQ(none.queued_bytes(), 0u);
  EXPECT_TRUE(none.local_address().is_empty());
  EXPECT_TRUE(none.peer_address().is_empty());
  none.close();
  none.abort();
  none.shut_down_write();
  none.pause_reading();
  none.resume_reading();
  none.on_data(nullptr);
  Timer timer = none.timer([](Connection&) {});
  timer.arm(absl::ZeroDuration());
  EXPECT_FALSE(timer.is_armed());
}

INSTANTIATE_TEST_SUITE_P(Everywhere, SendTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
