// Shared bytes that connections send and write.

#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"
#include "tests/support/temporary_file.h"

namespace epore {
namespace {

using SharedSendTest = HandlerTest;

INSTANTIATE_TEST_SUITE_P(Everywhere, SharedSendTest, testing::ValuesIn(all_modes()), mode_name);

// Sends pieces of all kinds and sizes, and returns what the peer must get.
std::string send_all_kinds(Connection& c, const File& file, const std::string& contents) {
  std::string expected;
  for (unsigned i = 0; i < 100; ++i) {
    const std::size_t sizes[] = {1, 255, 256, 1'000, 15'000, 16'384, 70'000};
    const std::string text = pattern(sizes[i % std::size(sizes)], i);
    switch (i % 5) {
      case 0:
        EXPECT_TRUE(c.send(text).ok());
        break;
      case 1:
        if (i % 3 == 0) {
          EXPECT_TRUE(c.send(file, i, 5'000).ok());
          absl::StrAppend(&expected, contents.substr(i, 5'000));
        }
        EXPECT_TRUE(c.send(Bytes(text)).ok());
        break;
      case 2:
        EXPECT_TRUE(c.send(Bytes(text).slice(0, text.size())).ok());
        break;
      default: {
        const Bytes bytes(text);
        const std::array<Bytes, 3> pieces = {bytes, Bytes(), bytes.slice(text.size() / 2)};
        EXPECT_TRUE(c.send(pieces).ok());
        absl::StrAppend(&expected, text, text.substr(text.size() / 2));
        continue;
      }
    }
    absl::StrAppend(&expected, text);
  }
  return expected;
}

TEST_P(SharedSendTest, KeepsTheSequenceWithCopiesAndFiles) {
  const std::string contents = pattern(10'000, 77);
  const TemporaryFile made(contents);
  const File file = made.open();
  for (const std::size_t most : {std::size_t{1} << 30, std::size_t{999}}) {
    for (const bool from_callback : {true, false}) {
      if (most < 1'000) use_small_buffers();
      kernel_.shrink_sends(most);
      Runtime runtime(options());
      Observer observer;
      Link link = open_link(runtime, observer);
      std::string expected;
      absl::Notification sent;
      const auto send = [&](Connection& c) {
        expected = send_all_kinds(c, file, contents);
        c.close();
        sent.Notify();
      };
      if (from_callback) {
        ASSERT_TRUE(link.connection.post(send).ok());
      } else {
        send(link.connection);
      }
      sent.WaitForNotification();
      EXPECT_TRUE(link.peer.receive_all() == expected) << most << ' ' << from_callback;
      link.peer.close();
      EXPECT_EQ(observer.await_closed(), absl::OkStatus());
      EXPECT_TRUE(runtime.shutdown().ok());
      EXPECT_EQ(runtime.counters().queued_bytes, 0u);
      EXPECT_EQ(runtime.counters().bytes_out, expected.size());
    }
  }
}

TEST_P(SharedSendTest, WhatACallbackSendsLeavesInOneCall) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const std::array<Bytes, 3> pieces = {Bytes(pattern(300, 1)), Bytes(pattern(20'000, 2)),
                                       Bytes(pattern(30'000, 3))};
  const std::string expected =
      absl::StrCat("head", pattern(300, 1), pattern(20'000, 2), pattern(30'000, 3));
  const std::uint64_t before = writes();
  ASSERT_TRUE(link.connection
                  .post([&](Connection& c) {
                    c.send("head");
                    EXPECT_TRUE(c.send(pieces).ok());
                  })
                  .ok());
  EXPECT_TRUE(link.peer.receive(expected.size()) == expected);
  EXPECT_EQ(writes() - before, 1u);

  // Small ones wait for each other.
  const Bytes message(pattern(1'000));
  const std::uint64_t between = writes();
  ASSERT_TRUE(link.connection
                  .post([&](Connection& c) {
                    for (int i = 0; i < 10; ++i) EXPECT_EQ(c.send(message), SendResult::queued);
                    EXPECT_EQ(c.queued_bytes(), 10'000u);
                  })
                  .ok());
  EXPECT_EQ(link.peer.receive(10'000).size(), 10'000u);
  EXPECT_EQ(writes() - between, 1u);
  fence(link.connection);
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
}

std::string dots(int message) {
  return std::string(static_cast<std::size_t>(message % 10) * 100, '.');
}

TEST_P(SharedSendTest, PiecesOfOneCallStayTogether) {
  constexpr int kThreads = 4;
  constexpr int kMessages = 200;
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([connection = link.connection, i]() mutable {
      for (int k = 0; k < kMessages; ++k) {
        const std::array<Bytes, 3> pieces = {Bytes(absl::StrCat(i, " ", k, " ")), Bytes(dots(k)),
                                             Bytes("\n")};
        EXPECT_TRUE(connection.send(pieces).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  fence(link.connection);
  link.connection.close();
  expect_lines_of_threads(link.peer.receive_all(), kThreads, kMessages, dots);
}

TEST_P(SharedSendTest, CountsForTheMarksAndTheCap) {
  use_small_buffers();
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, marks(10'000, 100'000, 1'000'000));
  const Bytes message(pattern(50'000));
  ASSERT_TRUE(link.connection
                  .post([&](Connection& c) {
                    while (c.send(message) == SendResult::queued) continue;
                    EXPECT_GT(c.queued_bytes(), 100'000u);
                    // The system may take some of them later, without a peer that reads.
                    while (c.queued_bytes() < 600'000) EXPECT_TRUE(c.send(message).ok());
                  })
                  .ok());
  std::thread reader([&] { link.peer.receive(1); });
  reader.join();
  fence(link.connection);
  SendResult result = SendResult::high;
  for (int i = 0; result == SendResult::high; ++i) {
    ASSERT_LT(i, 1'000);
    result = link.connection.send(message);
  }
  EXPECT_EQ(result, SendResult::over_cap);
  EXPECT_TRUE(absl::IsResourceExhausted(observer.await_closed()));
  EXPECT_EQ(link.connection.send(message), SendResult::closed);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().queued_bytes, 0u);
}

// Of the first message more than the high mark waits, whatever the system takes meanwhile.
TEST_P(SharedSendTest, OnWritableComesWhenThePeerHasRead) {
  use_small_buffers();
  Observer observer;
  Runtime runtime(options());
  const Bytes message(pattern(600'000));
  observer.when_writable = [](Connection& c) {
    EXPECT_LE(c.queued_bytes(), 10'000u);
    c.close();
  };
  Link link = open_link(runtime, observer, marks(10'000, 100'000), [&](Connection& c) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(c.send(message), SendResult::high);
  });
  std::string expected;
  for (int i = 0; i < 5; ++i) absl::StrAppend(&expected, message.text());
  EXPECT_TRUE(link.peer.receive_all() == expected);
  EXPECT_EQ(observer.writable(), 1);
}

TEST_P(SharedSendTest, AHandleOfNoConnectionSaysSo) {
  Connection none;
  const Bytes message("x");
  EXPECT_EQ(none.send(message), SendResult::closed);
  EXPECT_EQ(none.send(std::span(&message, 1)), SendResult::closed);
}

TEST_P(SharedSendTest, NothingIsNothing) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) {
    EXPECT_EQ(c.send(Bytes()), SendResult::queued);
    EXPECT_EQ(c.send(std::span<const Bytes>()), SendResult::queued);
  });
  EXPECT_EQ(link.connection.send(Bytes()), SendResult::queued);
  fence(link.connection);
  EXPECT_EQ(writes(), 0u);
}

TEST_P(SharedSendTest, ACoroutineWritesThem) {
  const TemporaryFile made(pattern(100'000, 9));
  for (const std::size_t most : {std::size_t{1} << 30, std::size_t{9'999}}) {
    kernel_.shrink_sends(most);
    Runtime runtime(options());
    Peer peer = serve(
        runtime,
        [&](Connection c) -> Task<> {
          co_await c.write(Bytes("head"));
          co_await c.write(Bytes(pattern(500'000, 1)));
          co_await c.write("middle");
          const std::array<Bytes, 4> pieces = {Bytes(pattern(1'000, 2)), Bytes(),
                                               Bytes(pattern(300'000, 3)), Bytes("small")};
          co_await c.write(pieces);
          co_await c.write(made.open(), 0, 100'000);
          co_await c.write(pieces[2].slice(0, 1'000));
          co_await c.write(Bytes());
          co_await c.flush();
          EXPECT_EQ(c.queued_bytes(), 0u);
        },
        marks(10'000, 50'000));
    EXPECT_TRUE(peer.receive_all() == absl::StrCat("head", pattern(500'000, 1), "middle",
                                                   pattern(1'000, 2), pattern(300'000, 3), "small",
                                                   pattern(100'000, 9),
                                                   pattern(300'000, 3).substr(0, 1'000)));
  }
}

TEST_P(SharedSendTest, PiecesOfAWriteLeaveInOneCall) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    const std::array<Bytes, 3> pieces = {Bytes(pattern(1'000, 1)), Bytes(pattern(5'000, 2)),
                                         Bytes(pattern(3'000, 3))};
    co_await c.write(pieces);
    co_await c.read();
  });
  EXPECT_TRUE(peer.receive(9'000) ==
              absl::StrCat(pattern(1'000, 1), pattern(5'000, 2), pattern(3'000, 3)));
  EXPECT_EQ(writes(), 1u);
}

// A peer that does not read holds the coroutine up.
TEST_P(SharedSendTest, AWriteWaitsAboveTheHighMarkAndADeadlineLeavesAPart) {
  use_small_buffers();
  const std::string text = pattern(20'000'000);
  absl::Notification is_late;
  Runtime runtime(options());
  Peer peer = serve(
      runtime,
      [&](Connection c) -> Task<> {
        const absl::Status status =
            co_await within(absl::Milliseconds(1), c.write(Bytes(text))).result();
        EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
        EXPECT_LE(c.queued_bytes(), 100'000u);
        is_late.Notify();
        co_await c.read();
      },
      marks(50'000, 100'000));
  is_late.WaitForNotification();  // or the peer might read all of it before
  peer.send("go on");
  const std::string got = peer.receive_all();
  EXPECT_LT(got.size(), text.size());
  EXPECT_TRUE(got == text.substr(0, got.size()));
}

TEST_P(SharedSendTest, WhatIsSentDuringAWriteComesBehindIt) {
  use_small_buffers();
  Runtime runtime(options());
  const std::array<Bytes, 3> pieces = {Bytes(pattern(1'000, 2)), Bytes("small"),
                                       Bytes(pattern(20'000, 3))};
  Peer peer = serve(
      runtime,
      [&](Connection c) -> Task<> {
        const auto write = [](Connection& c) -> Task<> {
          co_await c.write(Bytes(pattern(300'000, 1)));
        };
        const auto send = [&pieces](Connection& c) -> Task<> {
          EXPECT_TRUE(c.send(pieces).ok());
          EXPECT_TRUE(c.send(pieces[0]).ok());
          co_return;
        };
        co_await all(write(c), send(c));
      },
      marks(10'000, 20'000));
  EXPECT_TRUE(peer.receive_all() == absl::StrCat(pattern(300'000, 1), pattern(1'000, 2), "small",
                                                 pattern(20'000, 3), pattern(1'000, 2)));
}

// Writes of several coroutines do not mix.
TEST_P(SharedSendTest, WritesOfSeveralCoroutinesDoNotMix) {
  Runtime runtime(options());
  Peer peer = serve(
      runtime,
      [&](Connection c) -> Task<> {
        const auto write = [](Connection& c, unsigned seed) -> Task<> {
          co_await c.write(Bytes(pattern(300'000, seed)));
        };
        co_await all(write(c, 1), write(c, 2), write(c, 3));
      },
      marks(10'000, 20'000));
  EXPECT_TRUE(peer.receive_all() ==
              absl::StrCat(pattern(300'000, 1), pattern(300'000, 2), pattern(300'000, 3)));
}

}  // namespace
}  // namespace epore
