// The end of one direction while the other goes on.

#include <sys/socket.h>

#include <atomic>
#include <string>
#include <thread>
#include <tuple>

#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using HalfCloseTest = RuntimeTest;

constexpr std::size_t kBuffer = 64 * 1024;  // of one recv
constexpr std::size_t kBudget = 16 * kBuffer;
constexpr std::size_t kMuch = 10 * 1024 * 1024;

// Ten mebibytes each way, made once.
const std::string& much_there() {
  static const std::string bytes = pattern(kMuch, 1);
  return bytes;
}
const std::string& much_back() {
  static const std::string bytes = pattern(kMuch, 2);
  return bytes;
}

TEST_P(HalfCloseTest, AllBytesComeThenTheEndThenWeStillSend) {
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, kBuffer - 1, kBuffer, kBuffer + 1,
                           kBudget - 1, kBudget, kBudget + 1, kMuch}) {
    const std::string sent = much_there().substr(0, size);
    const std::string& reply = much_back();
    Observer observer;
    observer.when_read_closed = [&](Connection& c) {
      EXPECT_TRUE(c.send(reply).ok());  // `queued` where the peer reads as fast as this writes
      c.close();
    };
    Runtime runtime(options());
    Link link = open_link(runtime, observer);
    link.peer.send(sent);
    link.peer.half_close();
    EXPECT_TRUE(link.peer.receive_all() == reply) << size;
    EXPECT_TRUE(observer.await_closed().ok());
    EXPECT_TRUE(observer.bytes() == sent) << size;
    EXPECT_EQ(observer.read_closed(), 1);
  }
}

// With the end of file in the same event as the bytes before it.
TEST_P(HalfCloseTest, TheEndBehindBytesOfAPauseIsTold) {
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{5'000}, kBuffer}) {
    Observer observer;
    Runtime runtime(options());
    Link link =
        open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.pause_reading(); });
    std::thread sender([&] {
      link.peer.send(pattern(size));
      link.peer.half_close();
    });
    if (size <= 5'000) sender.join();
    fence(runtime);
    EXPECT_EQ(observer.read_closed(), 0);
    link.connection.resume_reading();
    EXPECT_TRUE(observer.await_closed().ok());
    EXPECT_TRUE(observer.bytes() == pattern(size));
    EXPECT_EQ(observer.read_closed(), 1);
    if (sender.joinable()) sender.join();
  }
}

TEST_P(HalfCloseTest, BothWaysAtOnceTenMebibytesEach) {
  const std::string& sent = much_there();
  const std::string& reply = much_back();
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    EXPECT_TRUE(c.send(reply).ok());
    c.shut_down_write();
  });
  std::thread sender([&] {
    link.peer.send(sent);
    link.peer.half_close();
  });
  EXPECT_TRUE(link.peer.receive_all() == reply);
  sender.join();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_TRUE(observer.bytes() == sent);
  EXPECT_EQ(observer.read_closed(), 1);
}

// The peer's end of file is not room for writing.
TEST_P(HalfCloseTest, AHalfClosedPeerThatReadsNothingIsLeftAlone) {
  const std::string& sent = much_there();
  Observer observer;
  observer.when_read_closed = nullptr;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [&](Connection& c) { EXPECT_EQ(c.send(sent), SendResult::high); });
  link.peer.half_close();
  observer.await_read_closed();
  fence(link.connection);
  // The loopback makes room now and then, and what was sent had room. What is in vain: one that was
  // under way, one behind each that took some, and, where the system reports room twice as it came
  // while the connection was looked at, one more.
  std::atomic<int> taken{0};
  std::atomic<int> in_vain{0};
  const auto count = [&](const FaultKernel::Call& call) {
    (call.result.ok() ? taken : in_vain).fetch_add(1);
  };
  kernel_.after(KernelCall::kSend, count);
  kernel_.after(KernelCall::kSendmsg, count);
  for (int i = 0; i < 5; ++i) {
    fence(runtime);
    fence(link.connection);
  }
  kernel_.after(KernelCall::kSend, nullptr);
  kernel_.after(KernelCall::kSendmsg, nullptr);
  fence(link.connection);  // no hook runs any more
  EXPECT_LE(in_vain.load(), 3 + 2 * taken.load());
  EXPECT_EQ(observer.writable(), 0);
  EXPECT_TRUE(link.peer.receive(sent.size()) == sent);
  observer.await_writable();
  link.connection.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(observer.read_closed(), 1);
  EXPECT_EQ(observer.writable(), 1);
  EXPECT_EQ(link.peer.end(), 0);
}

// What was not read may be the end of file or a reset, and neither makes events without end.
TEST_P(HalfCloseTest, APausedConnectionWhosePeerIsGoneDoesNotSpin) {
  for (const bool is_reset : {false, true}) {
    std::atomic<int> paused_fd{-1};  // the first that is accepted
    std::atomic<int> reads{0};       // of it
    kernel_.after(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
      int none = -1;
      if (call.result.ok()) paused_fd.compare_exchange_strong(none, call.result.fd());
    });
    kernel_.before(KernelCall::kRecv, [&](const FaultKernel::Call& call) {
      if (call.fd == paused_fd) reads.fetch_add(1);
    });
    Observer observer;
    Runtime runtime(options());
    Link link =
        open_link(runtime, observer, ConnectionOptions(), [](Connection& c) { c.pause_reading(); });
    fence(link.connection);
    link.peer.send("x");
    if (is_reset) {
      link.peer.reset();
    } else {
      link.peer.close();
    }
    fence(runtime);
    const std::uint64_t polls = runtime.counters().polls;
    for (int i = 0; i < 5; ++i) fence(runtime);
    // A fence is a few turns of its own; a spin would be thousands.
    EXPECT_LE(runtime.counters().polls - polls, 5 * 20u);
    EXPECT_EQ(reads.load(), 0);
    EXPECT_EQ(observer.closed(), 0);
    link.connection.resume_reading();
    const absl::Status why = observer.await_closed();
    EXPECT_EQ(why.ok(), !is_reset) << why;
  }
}

// No read finds it, as the end of file was the last.
TEST_P(HalfCloseTest, AResetBehindTheEndOfFileIsNoticed) {
  Observer observer;
  observer.when_read_closed = nullptr;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.half_close();
  observer.await_read_closed();
  fence(link.connection);
  const std::uint64_t polls = runtime.counters().polls;
  for (int i = 0; i < 5; ++i) fence(runtime);
  EXPECT_LE(runtime.counters().polls - polls, 5 * 20u) << "it waits and does not spin";
  EXPECT_EQ(observer.closed(), 0);
  link.peer.reset();
  EXPECT_FALSE(observer.await_closed().ok());
}

TEST_P(HalfCloseTest, ShutDownWriteSendsWhatIsQueuedAndStillReads) {
  const std::string& sent = much_there();
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    c.send(sent);
    c.shut_down_write();
    EXPECT_EQ(c.send("more"), SendResult::closed);
    EXPECT_TRUE(c.is_open());
    c.shut_down_write();
  });
  EXPECT_TRUE(link.peer.receive_all() == sent);
  link.peer.send("still here");
  EXPECT_EQ(observer.await_bytes(10), "still here");
  EXPECT_EQ(link.connection.send("more"), SendResult::closed);
  EXPECT_TRUE(link.connection.is_open());
  EXPECT_EQ(kernel_.calls(KernelCall::kShutdown), 1u);
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(HalfCloseTest, ShutDownWriteFromAnotherThreadComesAfterItsSends) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(link.connection.send("0123456789").ok());
  link.connection.shut_down_write();
  EXPECT_EQ(link.connection.send("more"), SendResult::closed);
  EXPECT_EQ(link.peer.receive_all().size(), 10'000u);
  link.connection.close();
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(HalfCloseTest, BothHalvesShutIsTheEnd) {
  Observer observer;
  observer.when_read_closed = nullptr;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.half_close();
  observer.await_read_closed();
  fence(link.connection);
  EXPECT_TRUE(link.connection.is_open());
  link.connection.shut_down_write();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(link.peer.end(), 0);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, HalfCloseTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
