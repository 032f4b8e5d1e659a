// RuntimeOptions::max_queued_bytes: what all connections together may have queued.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

constexpr std::size_t kBudget = 1'000'000;
constexpr std::size_t kUnlimited = 64 << 20;

// More than half of it, also when the system has taken what it holds for a peer that does not read.
constexpr std::size_t kAboveHalf = 700'000;

// What a thread gathers before it asks the system to take it.
constexpr std::size_t kGathered = 80 * 1024;

class BudgetTest : public RuntimeTest {
 protected:
  RuntimeOptions options(std::size_t budget = kBudget) {
    use_small_buffers();
    RuntimeOptions options = RuntimeTest::options();
    options.max_queued_bytes = budget;
    return options;
  }
};

// Sends until so many bytes are queued, whatever send() says of marks. Gives the most that were.
std::size_t fill(Connection connection, std::size_t size) {
  std::size_t most = 0;
  absl::Notification done;
  const absl::Status posted = connection.post([&](Connection& c) {
    while (c.queued_bytes() < size && c.send(std::string(4'000, 'x')).ok()) {
      most = std::max(most, c.queued_bytes());
    }
    done.Notify();
  });
  EXPECT_TRUE(posted.ok()) << posted;
  done.WaitForNotification();
  fence(connection);
  return most;
}

TEST_P(BudgetTest, AQueueBeyondItsShareEndsItsConnectionAndNoOther) {
  Observer of_modest;
  Observer of_greedy;
  Runtime runtime(options());
  Link modest = open_link(runtime, of_modest, marks(1'000, kUnlimited));
  Link greedy = open_link(runtime, of_greedy, marks(1'000, kUnlimited));
  fill(modest.connection, 200'000);
  const std::size_t most = fill(greedy.connection, 20'000'000);
  const absl::Status why = of_greedy.await_closed();
  EXPECT_TRUE(absl::IsResourceExhausted(why)) << why;
  EXPECT_TRUE(absl::StrContains(why.message(), "RuntimeOptions::max_queued_bytes is 1000000"))
      << why;
  EXPECT_GT(most, kBudget / 2);
  EXPECT_LT(most, kBudget + kGathered);
  EXPECT_EQ(greedy.peer.end(), ECONNRESET);
  EXPECT_TRUE(modest.connection.is_open());
  fill(modest.connection, 300'000);  // the greedy one has given its memory back
  modest.connection.close();
  EXPECT_GT(modest.peer.receive_all().size(), 300'000u);
  modest.peer.close();
  EXPECT_TRUE(of_modest.await_closed().ok());
  EXPECT_EQ(runtime.counters().queued_bytes, 0u);
}

// The share of the later ones is smaller, and the earlier ones keep what they have.
TEST_P(BudgetTest, ThoseThatComeOneAfterTheOtherHaveTwiceOfItAtMost) {
  constexpr std::size_t kConnections = 24;
  std::vector<std::unique_ptr<Observer>> observers;  // outlive the runtime, which tells them
  Runtime runtime(options());
  std::vector<Link> links;
  std::size_t most = 0;
  for (std::size_t i = 0; i < kConnections; ++i) {
    observers.push_back(std::make_unique<Observer>());
    links.push_back(open_link(runtime, *observers.back(), marks(1'000, kUnlimited)));
    // Just as much as its share, so that most of them stay.
    fill(links.back().connection, kBudget / (i + 1) - 8'000);
    most = std::max<std::size_t>(most, runtime.counters().queued_bytes);
  }
  EXPECT_GT(most, kBudget) << "the shares alone";
  EXPECT_LT(most, 2 * kBudget + 2 * kGathered);
  for (Link& link : links) link.connection.abort();
}

TEST_P(BudgetTest, WhatOtherThreadsSendCountsAsWell) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, marks(1'000, kUnlimited));
  std::size_t most = 0;
  for (int i = 0; i < 1000 && link.connection.send(std::string(20'000, 'x')).ok(); ++i) {
    most = std::max(most, link.connection.queued_bytes());
    fence(link.connection);
  }
  const absl::Status why = observer.await_closed();
  EXPECT_TRUE(absl::IsResourceExhausted(why)) << why;
  EXPECT_TRUE(absl::StrContains(why.message(), "max_queued_bytes")) << why;
  EXPECT_LT(most, kBudget + kGathered);
}

TEST_P(BudgetTest, AboveHalfOfItTheMarksAreLower) {
  Observer of_large;
  Observer of_small;
  std::atomic<std::size_t> left_when_told{0};
  of_small.when_writable = [&](Connection& c) { left_when_told += c.queued_bytes(); };
  Runtime runtime(options());
  Link large = open_link(runtime, of_large, marks(1'000, kUnlimited));
  Link small = open_link(runtime, of_small, marks(500'000, kUnlimited));
  fill(large.connection, kAboveHalf);
  std::size_t sent = 0;
  absl::Notification is_high;
  const absl::Status posted = small.connection.post([&](Connection& c) {
    SendResult result = SendResult::queued;
    while (result == SendResult::queued) {
      result = c.send(std::string(1'000, 'x'));
      sent += 1'000;
    }
    EXPECT_EQ(result, SendResult::high);
    EXPECT_LE(c.queued_bytes(), kGathered);
    is_high.Notify();
  });
  ASSERT_TRUE(posted.ok()) << posted;
  is_high.WaitForNotification();
  EXPECT_EQ(of_small.writable(), 0);
  EXPECT_EQ(small.peer.receive(sent).size(), sent);
  of_small.await_writable();
  EXPECT_EQ(left_when_told.load(), 0u) << "the low mark is 0";
  EXPECT_EQ(of_small.closed() + of_large.closed(), 0);
}

TEST_P(BudgetTest, AboveHalfOfItReadingPausesWhileAQueueIsNotEmpty) {
  constexpr std::size_t kSize = 3'000'000;
  Observer of_large;
  Observer of_echo;
  of_echo.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  Runtime runtime(options());
  Link large = open_link(runtime, of_large, marks(1'000, kUnlimited));
  fill(large.connection, kAboveHalf);
  Link echo = open_link(runtime, of_echo, marks(500'000, kUnlimited));
  const std::string sent = pattern(kSize);
  std::thread sender([&] { echo.peer.send(sent); });
  while (runtime.counters().read_pauses == 0) fence(echo.connection);
  EXPECT_LE(echo.connection.queued_bytes(), 2 * kGathered);
  EXPECT_TRUE(echo.peer.receive(kSize) == sent);
  sender.join();
  EXPECT_EQ(of_echo.closed() + of_large.closed(), 0);
}

TEST_P(BudgetTest, AboveHalfOfItAWriteWaits) {
  constexpr std::size_t kSize = 3'000'000;
  const std::string sent = pattern(kSize);
  Observer of_large;
  absl::Notification has_begun;
  Connection writer;
  Runtime runtime(options());
  Link large = open_link(runtime, of_large, marks(1'000, kUnlimited));
  fill(large.connection, kAboveHalf);
  const auto listener = runtime.listen("127.0.0.1:0", [&](Connection peer) -> Task<> {
    writer = peer;
    has_begun.Notify();
    co_await peer.write(sent);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  Peer peer(listener->address());
  has_begun.WaitForNotification();
  for (int i = 0; i < 50; ++i) {
    fence(writer);
    EXPECT_LE(writer.queued_bytes(), 16u * 1024);
  }
  EXPECT_TRUE(peer.receive_all() == sent);
  EXPECT_EQ(of_large.closed(), 0);
}

TEST_P(BudgetTest, SharedBytesDoNotCount) {
  constexpr std::size_t kLinks = 5;
  const Bytes shared(std::string(2'000'000, 'x'));
  std::vector<Observer> observers(kLinks);
  Runtime runtime(options());
  std::vector<Link> links;
  for (Observer& observer : observers) {
    links.push_back(open_link(runtime, observer, marks(1'000, kUnlimited)));
    EXPECT_TRUE(links.back().connection.send(shared).ok());
    fence(links.back().connection);
  }
  EXPECT_GT(runtime.counters().queued_bytes, 2 * kBudget);
  for (std::size_t i = 0; i < kLinks; ++i) {
    EXPECT_EQ(links[i].peer.receive(shared.size()).size(), shared.size());
    EXPECT_EQ(observers[i].closed(), 0);
  }
}

TEST_P(BudgetTest, ZeroIsNoLimit) {
  Observer observer;
  Runtime runtime(options(0));
  Link link = open_link(runtime, observer, marks(1'000, kUnlimited));
  EXPECT_GE(fill(link.connection, 5'000'000), 5'000'000u);
  EXPECT_EQ(observer.closed(), 0);
}

// Each of them stops at `high`, and none of them reads.
TEST_P(BudgetTest, ManyThatDoNotReadStayWithinTwiceOfIt) {
  constexpr int kClients = 100;
  std::atomic<int> told{0};
  std::atomic<int> ended{0};
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(
      runtime,
      [&](Connection& peer) {
        peer.on_closed([&](Connection&, const absl::Status& why) {
          if (absl::IsResourceExhausted(why)) ++ended;
        });
        while (peer.send(std::string(1'000, 'x')) == SendResult::queued) {
        }
        ++told;
      },
      marks(64 * 1024, 256 * 1024));
  std::vector<Peer> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back(listener.address());
    while (told.load() <= i) std::this_thread::yield();
    EXPECT_LT(runtime.counters().queued_bytes, 2 * kBudget + kGathered);
  }
  EXPECT_GT(runtime.counters().queued_bytes, kBudget / 2);
  EXPECT_LT(ended.load(), kClients);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, BudgetTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
