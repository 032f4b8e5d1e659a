// Coroutines of several orders use one connection, and callbacks send to it meanwhile. No byte is
// lost, doubled or moved, and no call overtakes an earlier one.
//
// The near order is that of the connection. It stands still while a task of it blocks its thread,
// so what comes to it by mail is not delivered, and each test is one certain interleaving.

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

class ConnectionOrdersTest : public HandlerTest {
 protected:
  // Each order may block a thread.
  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.workers = 3;
    return options;
  }

  // A connection of the order `near`, and its peer.
  struct Pair {
    Connection connection;
    Peer peer;
  };
  static Pair make_pair(Runtime& runtime, const Order& near, ConnectOptions options = {}) {
    const TcpPort port = tcp_listener();
    // accept4() waits: this end may be connected a moment before the other one can be accepted.
    PCHECK(::fcntl(port.fd.get(), F_SETFL, 0) == 0);
    Connection connection;
    run_in(runtime, near, [&]() -> Task<> {
      connection = co_await connect("127.0.0.1:" + std::to_string(port.port), options);
    });
    return {connection, Peer(OwnedFd(::accept4(port.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)))};
  }

  // The same, where the connection has got `text`. The peer has ended its half, so that a test of
  // lost bytes ends.
  static Pair make_pair_with(Runtime& runtime, const Order& near, std::string_view text) {
    Pair pair = make_pair(runtime, near);
    pair.peer.send(text);
    pair.peer.half_close();
    run_in(runtime, near, [&]() -> Task<> { co_await pair.connection.peek(text.size()); });
    return pair;
  }

  // Runs a task to its end in `order`.
  template <typename F>
  static void run_in(Runtime& runtime, const Order& order, F task) {
    const absl::Status status = runtime.spawn_in(order, std::move(task)).wait();
    EXPECT_TRUE(status.ok()) << status;
  }

  // Returns when the near order has done what was asked of the connection before.
  static void await_mail(Connection& connection) { fence(connection); }
};

std::string text_of(ByteView bytes) { return std::string(bytes.text()); }

// The winner of an any() is there first. The read has completed as well, and gives back.
TEST_P(ConnectionOrdersTest, BytesThatNobodyTookAreReadBeforeThoseBehindThem) {
  for (const bool is_copied : {false, true}) {
    SCOPED_TRACE(is_copied);
    absl::Notification near_is_in, gave_back;
    std::string got;
    std::array<std::byte, 3> buffer;
    Runtime runtime(options());
    const Order near = runtime.order();
    Pair pair = make_pair_with(runtime, near, "abcdef");
    Connection& c = pair.connection;
    Job later;
    run_in(runtime, runtime.order(), [&]() -> Task<> {
      auto wins = [&]() -> Task<> {
        await_mail(c);  // the read, which is complete now
        later = runtime.spawn_in(near, [&]() -> Task<> {
          near_is_in.Notify();
          gave_back.WaitForNotification();
          got = text_of(co_await c.read_exactly(3));
          got += text_of(co_await c.read_exactly(3));
        });
        near_is_in.WaitForNotification();
        co_return;
      };
      if (is_copied) {
        auto first = co_await any(c.read_some(buffer), wins());
        EXPECT_EQ(first.index(), 1u);
      } else {
        auto first = co_await any(c.read_exactly(3), wins());
        EXPECT_EQ(first.index(), 1u);
      }
      gave_back.Notify();
    });
    EXPECT_TRUE(later.wait().ok()) << later.wait();
    EXPECT_EQ(got, "abcdef");
  }
}

// A consume() in the connection's own order waits for what is on its way there.
TEST_P(ConnectionOrdersTest, AConsumeComesAfterBytesThatNobodyTook) {
  absl::Notification near_is_in, gave_back;
  std::string got;
  Runtime runtime(options());
  const Order near = runtime.order();
  Pair pair = make_pair_with(runtime, near, "abcdef");
  Connection& c = pair.connection;
  Job later;
  run_in(runtime, runtime.order(), [&]() -> Task<> {
    auto wins = [&]() -> Task<> {
      await_mail(c);  // the read, which is complete now
      later = runtime.spawn_in(near, [&]() -> Task<> {
        near_is_in.Notify();
        gave_back.WaitForNotification();
        c.consume(1);
        got = text_of(co_await c.read());
      });
      near_is_in.WaitForNotification();
      co_return;
    };
    auto first = co_await any(c.read_exactly(3), wins());
    EXPECT_EQ(first.index(), 1u);
    gave_back.Notify();
  });
  EXPECT_TRUE(later.wait().ok()) << later.wait();
  EXPECT_EQ(got, "bcdef");
}

// It has not been resumed yet, so it is the reader still, and its view stays as it is.
TEST_P(ConnectionOrdersTest, BytesOfAReaderThatWasNotResumedYetAreNobodyElses) {
  for (const bool is_peek : {false, true}) {
    SCOPED_TRACE(is_peek);
    absl::Notification refused;
    std::string got;
    std::string rest;
    Runtime runtime(options());
    const Order near = runtime.order();
    Pair pair = make_pair_with(runtime, near, "abcdef");
    Connection& c = pair.connection;
    run_in(runtime, runtime.order(), [&]() -> Task<> {
      auto others = [&]() -> Task<> {
        await_mail(c);  // the read, which is complete now
        const Job other = runtime.spawn_in(near, [&]() -> Task<> {
          c.consume(1);  // nothing: these bytes are not this task's
          absl::StatusOr<ByteView> bytes = co_await c.read().result();
          EXPECT_TRUE(absl::IsFailedPrecondition(bytes.status())) << bytes.status();
          refused.Notify();
        });
        refused.WaitForNotification();
        co_return;
      };
      if (is_peek) {
        auto both = co_await all(c.peek(6), others());
        got = text_of(std::get<0>(both));
        c.consume(3);
      } else {
        auto both = co_await all(c.read_exactly(3), others());
        got = text_of(std::get<0>(both)) + "def";
      }
      rest = text_of(co_await c.read());
    });
    EXPECT_EQ(got, "abcdef");
    EXPECT_EQ(rest, "def");
  }
}

// Each of them completes at once most of the time, and now and then lets others run first.
TEST_P(ConnectionOrdersTest, TwoReadersOfOneOrderGetTheBytesInSequence) {
  const std::string text = pattern(2'000);
  std::string got;
  Runtime runtime(options());
  const Order near = runtime.order();
  Pair pair = make_pair(runtime, near);
  Connection& c = pair.connection;
  pair.peer.send(text);
  pair.peer.half_close();
  auto reads = [&]() -> Task<> {
    while (got.size() < text.size()) {
      absl::StatusOr<ByteView> byte = co_await c.read_exactly(1).result();
      if (byte.ok()) {
        got += byte->text();
      } else {
        if (!absl::IsFailedPrecondition(byte.status())) co_await byte.status();
        co_await yield();
      }
    }
  };
  run_in(runtime, near, [&]() -> Task<> { co_await all(reads(), reads()); });
  EXPECT_TRUE(got == text);
}

// Also where the run that delivers mail resumes the reader, after it has done so.
TEST_P(ConnectionOrdersTest, AReadComesAfterAnEarlierConsume) {
  for (const bool is_in_run_of_connection : {false, true}) {
    SCOPED_TRACE(is_in_run_of_connection);
    absl::Notification near_is_in, consumed;
    std::string got;
    Runtime runtime(options());
    const Order near = runtime.order();
    Pair pair = make_pair(runtime, near);
    Connection& c = pair.connection;
    pair.peer.send("abcdef");
    Job later;
    run_in(runtime, runtime.order(), [&]() -> Task<> {
      EXPECT_EQ((co_await c.peek(6)).text(), "abcdef");
      later = runtime.spawn_in(near, [&]() -> Task<> {
        if (is_in_run_of_connection) co_await c.peek(7);
        near_is_in.Notify();
        consumed.WaitForNotification();
        got = text_of(co_await c.read());
      });
      if (is_in_run_of_connection) pair.peer.send("g");
      near_is_in.WaitForNotification();
      c.consume(2);
      consumed.Notify();
    });
    EXPECT_TRUE(later.wait().ok()) << later.wait();
    EXPECT_EQ(got, is_in_run_of_connection ? "cdefg" : "cdef");
  }
}

TEST_P(ConnectionOrdersTest, AWriteComesAfterAnEarlierSend) {
  for (const bool is_send : {false, true}) {
    SCOPED_TRACE(is_send);
    absl::Notification near_is_in, sent;
    Runtime runtime(options());
    const Order near = runtime.order();
    Pair pair = make_pair(runtime, near);
    Connection& c = pair.connection;
    run_in(runtime, near, [&]() -> Task<> { co_await c.write("0"); });
    Job later;
    run_in(runtime, runtime.order(), [&]() -> Task<> {
      later = runtime.spawn_in(near, [&]() -> Task<> {
        near_is_in.Notify();
        sent.WaitForNotification();
        if (is_send) {
          c.send("2");
        } else {
          co_await c.write("2");
        }
        co_await c.write("3");
      });
      near_is_in.WaitForNotification();
      c.send("1");
      sent.Notify();
      co_return;
    });
    EXPECT_TRUE(later.wait().ok()) << later.wait();
    EXPECT_EQ(pair.peer.receive(4), "0123");
  }
}

// Who sends while a write() waits for room: another thread, a callback of the connection, or
// another coroutine of its order.
enum class Sender { thread, callback, coroutine };

class DuringAWriteTest : public ConnectionOrdersTest {
 protected:
  // More than the system takes, and then more than the write queue lets a coroutine have.
  const std::string large_ = pattern(20'000'000);
  const std::string sent_ = pattern(300'000, 1);

  static ConnectOptions small_queue() {
    ConnectOptions options;
    options.connection.write_high_mark = 64 * 1024;
    options.connection.write_low_mark = 16 * 1024;
    return options;
  }

  // Begins to write large_, and sends sent_ when that waits.
  Job write_and_send(Runtime& runtime, const Order& near, Connection& c, Sender sender) {
    Job job = runtime.spawn_in(near, [&]() -> Task<> { co_await c.write(large_); });
    run_in(runtime, near, []() -> Task<> { co_return; });
    fence(c);
    const std::string_view sent = sent_;
    switch (sender) {
      case Sender::thread:
        c.send(sent);
        break;
      case Sender::callback:
        EXPECT_TRUE(c.post([sent](Connection& c) { c.send(sent); }).ok());
        break;
      case Sender::coroutine:
        run_in(runtime, near, [&]() -> Task<> {
          c.send(sent);
          co_return;
        });
        break;
    }
    fence(c);
    EXPECT_FALSE(job.status().has_value()) << "it waits";
    EXPECT_GE(c.queued_bytes(), sent.size());
    return job;
  }
};

// The order of the connection ends the writer, and stands still right behind that until the frame
// of the writer is gone.
TEST_P(DuringAWriteTest, AWriterOfAnotherOrderMayBeGoneAsSoonAsItHasFailed) {
  if (GetParam().dispatch != Dispatch::workers) GTEST_SKIP() << "both orders may be of one thread";
  absl::Notification is_gone;
  std::atomic<bool> fails{false};
  std::atomic<std::thread::id> failed_on{};
  Runtime runtime(options());
  const Order near = runtime.order();
  Pair pair = make_pair(runtime, near, small_queue());
  Connection& c = pair.connection;
  const auto error_of = [&](const FaultKernel::Call&) {
    if (!fails || c.queued_bytes() != 0) return 0;  // only what the writer gives
    failed_on = std::this_thread::get_id();
    return ECONNRESET;
  };
  kernel_.fail_if(KernelCall::kSend, error_of);
  kernel_.fail_if(KernelCall::kSendmsg, error_of);
  kernel_.after(KernelCall::kUnpark, [&](const FaultKernel::Call&) {
    if (failed_on.load() == std::this_thread::get_id()) is_gone.WaitForNotification();
  });
  Job job = runtime.spawn_in(runtime.order(), [&]() -> Task<> { co_await c.write(large_); });
  while (c.queued_bytes() == 0) fence(c);
  fails = true;
  std::thread reader([&] { (void)pair.peer.receive_all(); });
  const absl::Status status = job.wait();
  is_gone.Notify();
  reader.join();
  EXPECT_EQ(errno_of(status), ECONNRESET) << status;
}

TEST_P(DuringAWriteTest, BytesThatAreSentComeBehindIt) {
  for (const Sender sender : {Sender::thread, Sender::callback, Sender::coroutine}) {
    SCOPED_TRACE(static_cast<int>(sender));
    Runtime runtime(options());
    const Order near = runtime.order();
    Pair pair = make_pair(runtime, near, small_queue());
    const Job job = write_and_send(runtime, near, pair.connection, sender);
    const Job next =
        runtime.spawn_in(near, [&]() -> Task<> { co_await pair.connection.write("!"); });
    EXPECT_TRUE(pair.peer.receive(large_.size()) == large_);
    EXPECT_TRUE(pair.peer.receive(sent_.size()) == sent_);
    EXPECT_EQ(pair.peer.receive(1), "!");
    EXPECT_TRUE(job.wait().ok()) << job.wait();
    EXPECT_TRUE(next.wait().ok()) << next.wait();
    EXPECT_EQ(pair.connection.queued_bytes(), 0u);
  }
}

// The end of our half comes behind the writes that wait.
TEST_P(DuringAWriteTest, TheEndOfOurHalfComesBehindIt) {
  Runtime runtime(options());
  const Order near = runtime.order();
  Pair pair = make_pair(runtime, near, small_queue());
  const Job job = write_and_send(runtime, near, pair.connection, Sender::thread);
  const Job next = runtime.spawn_in(near, [&]() -> Task<> { co_await pair.connection.write("!"); });
  run_in(runtime, near, []() -> Task<> { co_return; });
  pair.connection.shut_down_write();
  EXPECT_TRUE(pair.peer.receive_all() == large_ + sent_ + "!");
  EXPECT_TRUE(job.wait().ok()) << job.wait();
  EXPECT_TRUE(next.wait().ok()) << next.wait();
}

// What has left of the write() stays, and what was sent comes behind that.
TEST_P(DuringAWriteTest, BytesThatAreSentOutliveAWriteThatEndsEarly) {
  for (const bool is_stop : {false, true}) {
    SCOPED_TRACE(is_stop);
    Runtime runtime(options());
    const Order near = runtime.order();
    Pair pair = make_pair(runtime, near, small_queue());
    const Job job = write_and_send(runtime, near, pair.connection, Sender::thread);
    if (is_stop) job.stop();
    if (!is_stop) pair.connection.close();
    EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
    if (is_stop) pair.connection.close();
    const std::string got = pair.peer.receive_all();
    ASSERT_GT(got.size(), sent_.size());
    const std::size_t begin = got.size() - sent_.size();
    EXPECT_LT(begin, large_.size());
    EXPECT_TRUE(got.substr(0, begin) == large_.substr(0, begin));
    EXPECT_TRUE(got.substr(begin) == sent_);
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ConnectionOrdersTest,
                         testing::Values(Mode{Dispatch::workers, "epoll"},
                                         Mode{Dispatch::workers, "poll"}),
                         mode_name);
INSTANTIATE_TEST_SUITE_P(Everywhere, DuringAWriteTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
