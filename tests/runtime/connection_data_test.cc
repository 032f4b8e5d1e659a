// That bytes arrive, all of them, once and in order, whatever the system makes of the calls.

#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/spurious_kernel.h"

namespace epore {
namespace {

using ConnectionDataTest = RuntimeTest;

TEST_P(ConnectionDataTest, SmallSendsSurviveEverySplit) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  for (std::size_t limit = 1; limit <= 22; ++limit) {
    kernel_.shrink_sends(limit);
    const std::string sent = pattern(21, static_cast<unsigned>(limit));
    ASSERT_TRUE(link.connection
                    .post([&](Connection& c) {
                      for (std::size_t at = 0; at < sent.size(); at += 7) {
                        EXPECT_EQ(c.send(sent.substr(at, 7)), SendResult::queued);
                      }
                    })
                    .ok());
    EXPECT_EQ(link.peer.receive(sent.size()), sent) << "at most " << limit << " bytes a call";
  }
}

// What was gathered and a large piece leave in one sendmsg, split before, at and after the
// seam.
TEST_P(ConnectionDataTest, ASmallAndALargeSendSurviveSplits) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  constexpr std::size_t kLarge = 16 * 1024;
  for (std::size_t limit : {std::size_t{1}, std::size_t{9}, std::size_t{10}, std::size_t{11},
                            kLarge - 1, kLarge, kLarge + 9, kLarge + 10, kLarge + 11}) {
    kernel_.shrink_sends(limit);
    const std::string sent = pattern(10 + kLarge + 10, static_cast<unsigned>(limit));
    ASSERT_TRUE(link.connection
                    .post([&](Connection& c) {
                      c.send(sent.substr(0, 10));
                      c.send(sent.substr(10, kLarge));
                      c.send(sent.substr(10 + kLarge));
                    })
                    .ok());
    EXPECT_EQ(link.peer.receive(sent.size()), sent) << "at most " << limit << " bytes a call";
  }
  EXPECT_GT(kernel_.calls(KernelCall::kSendmsg), 0u);
}

TEST_P(ConnectionDataTest, QueuedBytesSurviveSplits) {
  const std::string sent = pattern(6'000'000);
  for (std::size_t limit : {10'007u, 65'536u, 1'000'000u}) {
    Observer observer;
    DrivenRuntime runtime(options());
    kernel_.shrink_sends(limit);
    Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
      // Pieces of all sizes; the peer reads nothing yet, so most of them are queued.
      for (std::size_t at = 0, size = 1; at < sent.size(); at += size, size = size * 3 % 99'991) {
        c.send(std::string_view(sent).substr(at, size));
      }
    });
    fence(link.connection);
    EXPECT_GT(link.connection.queued_bytes(), 0u);
    EXPECT_TRUE(link.peer.receive(sent.size()) == sent) << "at most " << limit << " bytes a call";
    fence(link.connection);  // the peer has the last bytes before send(2) has returned
    EXPECT_EQ(link.connection.queued_bytes(), 0u);
  }
}

TEST_P(ConnectionDataTest, InterruptedCallsAreRepeated) {
  Observer observer;
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  DrivenRuntime runtime(options());
  kernel_.fail(KernelCall::kAccept, EINTR, 1, 3);
  Link link = open_link(runtime, observer);
  for (const std::string& sent : {pattern(100), pattern(100'000)}) {
    kernel_.fail(KernelCall::kRecv, EINTR, 1, 3);
    kernel_.fail(KernelCall::kSend, EINTR, 1, 3);
    kernel_.fail(KernelCall::kSendmsg, EINTR, 1, 3);
    link.peer.send(sent);
    EXPECT_TRUE(link.peer.receive(sent.size()) == sent);
  }
}

// A turn ends when its budget does; what is left needs no further event.
TEST_P(ConnectionDataTest, MoreThanABudgetOfReadsIsReadToTheEnd) {
  if (!reads_by_recv(GetParam())) return;  // completions_test sends more than 16 buffers
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  // Each interrupted call uses up a part of the budget, which is 16.
  kernel_.fail(KernelCall::kRecv, EINTR, 1, 100);
  link.peer.send("all of it");
  EXPECT_EQ(observer.await_bytes(9), "all of it");
  EXPECT_GE(kernel_.calls(KernelCall::kRecv), 101u);
}

// The edge for what came during a pause is remembered.
TEST_P(ConnectionDataTest, BytesOfAPauseAreReadWithoutAnotherEvent) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.pause_reading(); });
  const std::string sent = pattern(100'000);
  std::thread sender([&] { link.peer.send(sent); });
  fence(runtime);
  EXPECT_EQ(observer.bytes(), "");
  link.connection.resume_reading();
  EXPECT_TRUE(observer.await_bytes(sent.size()) == sent);
  sender.join();
  link.peer.send("!");
  EXPECT_EQ(observer.await_bytes(sent.size() + 1).back(), '!');
}

TEST_P(ConnectionDataTest, BytesWaitForACallback) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.on_data(nullptr); });
  link.peer.send("abc");
  link.peer.send("def");
  link.peer.half_close();
  fence(runtime);
  fence(link.connection);
  EXPECT_EQ(observer.bytes(), "");
  EXPECT_EQ(observer.read_closed(), 0) << "bytes are before it";
  observer.watch(link.connection);
  EXPECT_EQ(observer.await_bytes(6), "abcdef");
  observer.await_read_closed();
  EXPECT_EQ(link.peer.end(), 0);
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(ConnectionDataTest, WithoutACallbackTheEndIsToldIfNoBytesAreBeforeIt) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.on_data(nullptr); });
  link.peer.half_close();
  observer.await_read_closed();
  EXPECT_EQ(link.peer.end(), 0);
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(ConnectionDataTest, WithoutACallbackAResetIsSeen) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.on_data(nullptr); });
  link.peer.reset();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kUnavailable);
}

TEST_P(ConnectionDataTest, WithoutACallbackAResetBehindBytesIsSeen) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.on_data(nullptr); });
  link.peer.send("nobody reads this");
  fence(runtime);
  link.peer.reset();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kUnavailable);
}

TEST_P(ConnectionDataTest, WithoutACallbackACloseDropsWhatWaits) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link =
      open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.on_data(nullptr); });
  link.peer.send("nobody reads this");
  fence(runtime);
  fence(link.connection);
  link.connection.close();
  EXPECT_EQ(link.peer.end(), 0) << "no reset";
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

// A peer that does not read what it gets is not read from either.
TEST_P(ConnectionDataTest, ReadingPausesAboveTheHighMark) {
  constexpr std::size_t kMuch = 16'000'000;
  ConnectionOptions marks;
  marks.write_high_mark = 100'000;
  marks.write_low_mark = 10'000;
  Observer observer;
  std::size_t most = 0;  // the connection's
  observer.when_data = [&](Connection& c, std::string_view bytes) {
    EXPECT_TRUE(c.send(bytes).ok());
    most = std::max(most, c.queued_bytes());
  };
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer, marks);
  const std::string sent = pattern(kMuch);
  std::thread sender([&] { link.peer.send(sent); });
  while (runtime.counters().read_pauses == 0) std::this_thread::yield();
  EXPECT_TRUE(link.peer.receive(kMuch) == sent);
  sender.join();
  fence(link.connection);
  EXPECT_LE(most, 100'000u + 64 * 1024) << "it is asked before each read";
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
}

TEST_P(ConnectionDataTest, ReadingGoesOnAboveTheHighMarkIfSoAsked) {
  constexpr std::size_t kMuch = 16'000'000;
  ConnectionOptions marks;
  marks.write_high_mark = 100'000;
  marks.write_low_mark = 10'000;
  marks.pause_reading_above_high_mark = false;
  Observer observer;
  observer.when_data = [&](Connection& c, std::string_view bytes) { c.send(bytes); };
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer, marks);
  const std::string sent = pattern(kMuch);
  link.peer.send(sent);
  (void)observer.await_bytes(kMuch);
  EXPECT_TRUE(link.peer.receive(kMuch) == sent);
  // A ring counts here as well how often it had no buffer.
  if (reads_by_recv(GetParam())) {
    EXPECT_EQ(runtime.counters().read_pauses, 0u);
  }
}

// Whoever has paused too must resume.
TEST_P(ConnectionDataTest, APauseOutlastsTheOneAboveTheHighMark) {
  constexpr std::size_t kMuch = 16'000'000;
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [](Connection& c) { c.send(std::string(kMuch, 'x')); });
  link.peer.send("abc");
  while (runtime.counters().read_pauses == 0) std::this_thread::yield();
  EXPECT_EQ(observer.bytes(), "");
  link.connection.pause_reading();
  EXPECT_EQ(link.peer.receive(kMuch).size(), kMuch);
  fence(runtime);
  fence(link.connection);
  EXPECT_EQ(observer.bytes(), "");
  link.connection.resume_reading();
  EXPECT_EQ(observer.await_bytes(3), "abc");
}

// Nobody resumes it then; what comes is dropped.
TEST_P(ConnectionDataTest, ACloseAboveTheHighMarkEndsWithoutAReset) {
  constexpr std::size_t kMuch = 16'000'000;
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [](Connection& c) { c.send(std::string(kMuch, 'x')); });
  link.peer.send("abc");
  while (runtime.counters().read_pauses == 0) std::this_thread::yield();
  link.connection.close();
  EXPECT_EQ(link.peer.receive_all().size(), kMuch);
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(observer.bytes(), "");
}

TEST_P(ConnectionDataTest, SpuriousEventsDoNoHarm) {
  SpuriousKernel kernel;
  {
    Observer observers[8];
    RuntimeOptions spurious = options();
    spurious.kernel = &kernel;
    DrivenRuntime runtime(spurious);
    std::vector<Link> links;
    for (Observer& observer : observers) {
      observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
      links.push_back(open_link(runtime, observer));
    }
    for (unsigned round = 0; round < 50; ++round) {
      for (Link& link : links) link.peer.send(pattern(1'000, round));
      for (Link& link : links) EXPECT_EQ(link.peer.receive(1'000), pattern(1'000, round));
      if (round != 25) continue;
      links.front().peer.close();  // its token comes again, stale
      EXPECT_TRUE(observers[0].await_closed().ok());
      links.erase(links.begin());
    }
    // It has no way into the memory of a ring, which tells enough by itself.
    if (GetParam().selector != "io_uring") {
      EXPECT_GT(kernel.spurious(), 0u);
    }
    for (Observer& observer : observers) EXPECT_LE(observer.closed(), 1);
  }
}

// Each byte names the connection that it was sent on, while connections come and go.
TEST_P(ConnectionDataTest, BytesNeverCrossBetweenConnections) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 50;
  std::atomic<int> crossed{0};
  DrivenRuntime runtime(options());
  // The first byte names a connection, and all others must be equal to it; echoes.
  const Listener listener = listen_on_loopback(runtime, [&](Connection& connection) {
    connection.on_data([&, name = -1](Connection& c, std::span<const std::byte> bytes) mutable {
      if (name < 0) name = static_cast<int>(bytes[0]);
      for (std::byte byte : bytes) crossed += static_cast<int>(byte) != name;
      c.send(bytes);
      // Some go at once, with the echo on its way or not at all.
      if (name % 7 == 1) c.close();
      if (name % 7 == 2) c.abort();
    });
  });
  std::vector<std::thread> clients;
  for (int thread = 0; thread < kThreads; ++thread) {
    clients.emplace_back([&, thread] {
      for (int round = 0; round < kRounds; ++round) {
        const int name = (thread * kRounds + round) % 256;
        Peer peer(listener.address());
        peer.send(std::string(100, static_cast<char>(name)));
        for (char byte : peer.receive(100)) crossed += static_cast<unsigned char>(byte) != name;
        if (round % 3 == 0) peer.reset();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(crossed, 0);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().connections, 0u);
}

// A read stops at urgent data, and no edge comes for what is behind them.
TEST_P(ConnectionDataTest, WhatIsBehindUrgentDataIsRead) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.pause_reading();
  fence(link.connection);
  link.peer.send("abc");
  ASSERT_EQ(::send(link.peer.fd(), "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
  link.peer.send("efg");
  fence(runtime);
  link.connection.resume_reading();
  EXPECT_EQ(observer.await_bytes(6), "abcefg");
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ConnectionDataTest, testing::ValuesIn(every_mode()),
                         mode_name);

}  // namespace
}  // namespace epore
