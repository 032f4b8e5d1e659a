// Bytes, ends, stops.

#include <algorithm>
#include <cstddef>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/async_event.h"
#include "epore/runtime/join.h"
#include "epore/runtime/on.h"
#include "epore/runtime/order.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/testing/faulty_network.h"
#include "epore/runtime/tls/tls_connection.h"
#include "epore/runtime/until.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/tls/tls_test_base.h"

namespace epore {
namespace {

constexpr std::size_t kMuch = 1'500'000;

class TlsData : public TlsTest {
 protected:
  TlsContext of_server() { return server(server_options()); }
  TlsContext of_client() { return client(client_options()); }

  // Writes `text` and reads the echo at the same time.
  static Task<std::string> ask(TlsContext context, std::string address, std::string text) {
    const TlsConnection tls = co_await dial(context, address);
    std::string answer;
    co_await all(say(tls, text), listen_to(tls, answer));
    tls.close();
    co_return answer;
  }
  static Task<> say(TlsConnection tls, const std::string& text) {
    co_await tls.write(text);
    co_await tls.shut_down_write();
  }
  static Task<> listen_to(TlsConnection tls, std::string& answer) {
    answer = co_await read_all(tls);
  }

  // In another order than that of the connection.
  static Task<> misuse(const TlsConnection& tls) {
    const auto bytes = co_await tls.read().result();
    EXPECT_TRUE(absl::IsFailedPrecondition(bytes.status())) << bytes.status();
    EXPECT_TRUE(absl::StrContains(bytes.status().message(), "epore::on()")) << bytes.status();
    const absl::Status written = co_await tls.write("x").result();
    EXPECT_TRUE(absl::IsFailedPrecondition(written)) << written;
    const absl::Status shut = co_await tls.shut_down_write().result();
    EXPECT_TRUE(absl::IsFailedPrecondition(shut)) << shut;
    EXPECT_EQ(tls.version(), "");
    tls.close();
  }

  static ListenOptions small_marks() { return marks(16 * 1024, 32 * 1024); }
};

TEST_F(TlsData, MuchGoesBothWays) {
  for (const Dispatch dispatch : {Dispatch::adaptive, Dispatch::workers, Dispatch::poll_thread}) {
    Runtime runtime({.dispatch = dispatch});
    const Listener listener = serve(runtime, of_server(), echo);
    const std::string text = pattern(kMuch);
    const auto answer = runtime.run(ask, of_client(), listener.address().to_string(), text);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(*answer == text) << answer->size();
  }
}

TEST_F(TlsData, RecordsMayBeSplitAtEveryByte) {
  for (const std::size_t most : {1u, 2u, 7u}) {
    FaultyNetwork network;
    network.shrink_reads(most);
    network.shrink_writes(most);
    Runtime runtime({.kernel = network.kernel()});
    const Listener listener = serve(runtime, of_server(), echo);
    const std::string text = pattern(40'000);
    const auto answer = runtime.run(ask, of_client(), listener.address().to_string(), text);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(*answer == text) << answer->size();
  }
}

TEST_F(TlsData, AWriteOfNothingIsNone) {
  Runtime runtime;
  const auto use = [](TlsConnection tls) -> Task<> {
    co_await tls.write("");
    co_await tls.write("a");
    co_await tls.write(ByteView());
    tls.close();
  };
  const Listener listener = serve(runtime, of_server(), use);
  const auto ask_all = [](TlsContext context, std::string address) -> Task<std::string> {
    const TlsConnection tls = co_await dial(context, address);
    co_return co_await read_all(tls);
  };
  EXPECT_EQ(runtime.run(ask_all, of_client(), listener.address().to_string()).value_or(""), "a");
}

// Without close_notify whoever is in between could cut a message short.
TEST_F(TlsData, AnEndWithoutCloseNotifyIsNotTheEnd) {
  const auto use = [](TlsConnection tls) -> Task<> { co_await tls.write("hello"); };
  Runtime runtime;
  const Listener listener = serve(runtime, of_server(), use);
  const auto read_to_error = [](TlsContext context, std::string address) -> Task<> {
    const TlsConnection tls = co_await dial(context, address);
    const ByteView bytes = co_await tls.read();
    EXPECT_EQ(bytes.text(), "hello");
    for (int i = 0; i < 2; ++i) {  // it stays so
      const auto end = co_await tls.read().result();
      EXPECT_TRUE(absl::IsDataLoss(end.status())) << end.status();
      EXPECT_TRUE(absl::StrContains(end.status().message(), "TlsConnection::read(127.0.0.1:"))
          << end.status();
    }
  };
  EXPECT_TRUE(runtime.run(read_to_error, of_client(), listener.address().to_string()).ok());
}

TEST_F(TlsData, CloseIsTheEndForBoth) {
  Outcome outcome;
  Runtime runtime;
  const auto use = [](TlsConnection tls) -> Task<> {
    co_await tls.write("hello");
    tls.close();
    tls.close();  // again
    const absl::Status write = co_await tls.write("x").result();
    EXPECT_TRUE(absl::IsCancelled(write)) << write;
    const auto read = co_await tls.read().result();
    EXPECT_TRUE(absl::IsCancelled(read.status())) << read.status();
    const absl::Status shut = co_await tls.shut_down_write().result();
    EXPECT_TRUE(absl::IsCancelled(shut)) << shut;
    const ConnectionEnd end = co_await tls.connection().closed();
    co_await end.reason;
  };
  const Listener listener = serve(runtime, of_server(), use, &outcome);
  const auto ask_all = [](TlsContext context, std::string address) -> Task<std::string> {
    const TlsConnection tls = co_await dial(context, address);
    std::string text = co_await read_all(tls);
    // It stays so, but not for a loop that does not look.
    for (int i = 1; i < 16; ++i) {
      const ByteView more = co_await tls.read();
      EXPECT_TRUE(more.empty());
    }
    const auto past_end = co_await tls.read().result();
    EXPECT_TRUE(absl::IsOutOfRange(past_end.status())) << past_end.status();
    co_return text;
  };
  EXPECT_EQ(runtime.run(ask_all, of_client(), listener.address().to_string()).value_or(""),
            "hello");
  EXPECT_TRUE(outcome.await().ok()) << outcome.await();
}

TEST_F(TlsData, AfterTheEndOfOneHalfTheOtherGoesOn) {
  Runtime runtime;
  const auto use = [](TlsConnection tls) -> Task<> {
    const std::string question = co_await read_all(tls);
    co_await tls.write(absl::StrCat("you said ", question));
    co_await tls.shut_down_write();
    co_await tls.shut_down_write();  // again
    const absl::Status write = co_await tls.write("x").result();
    EXPECT_TRUE(absl::IsFailedPrecondition(write)) << write;
    tls.close();
  };
  const Listener listener = serve(runtime, of_server(), use);
  EXPECT_EQ(runtime.run(ask, of_client(), listener.address().to_string(), "hello").value_or(""),
            "you said hello");
}

TEST_F(TlsData, BytesThatWereChangedAreRefused) {
  Outcome outcome;
  Runtime runtime;
  const auto use = [](TlsConnection tls) -> Task<> {
    const auto bytes = co_await tls.read().result();
    const absl::Status write = co_await tls.write("x").result();
    EXPECT_FALSE(write.ok());
    co_await bytes;
  };
  const Listener listener = serve(runtime, of_server(), use, &outcome);
  const auto lie = [](TlsContext context, std::string address) -> Task<> {
    const TlsConnection tls = co_await dial(context, address);
    const std::string record = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
    co_await tls.connection().write(record);
    const auto alert = co_await tls.read().result();
    EXPECT_TRUE(absl::StrContains(alert.status().message(), "the peer's alert: bad record mac"))
        << alert.status();
  };
  EXPECT_TRUE(runtime.run(lie, of_client(), listener.address().to_string()).ok());
  EXPECT_TRUE(absl::IsUnavailable(outcome.await())) << outcome.await();
}

TEST_F(TlsData, AReadThatIsStoppedLosesNothing) {
  Outcome outcome;
  AsyncEvent is_stopped;
  Runtime runtime;
  const auto use = [&is_stopped](TlsConnection tls) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      std::stop_source source;
      source.request_stop();
      const auto stopped = co_await until(source.get_token(), tls.read()).result();
      EXPECT_TRUE(absl::IsCancelled(stopped.status())) << stopped.status();
    }
    std::stop_source source;
    const auto later = [&source]() -> Task<> {
      co_await yield();
      source.request_stop();
    };
    const auto read = [&tls, &source]() -> Task<> {
      const auto stopped = co_await until(source.get_token(), tls.read()).result();
      EXPECT_TRUE(absl::IsCancelled(stopped.status())) << stopped.status();
    };
    co_await all(read(), later());  // it waits, and is stopped
    is_stopped.set();
    const ByteView bytes = co_await tls.read();
    EXPECT_EQ(bytes.text(), "hello");
    tls.close();
  };
  const Listener listener = serve(runtime, of_server(), use, &outcome);
  const auto ask_late = [&is_stopped](TlsContext context, std::string address) -> Task<> {
    const TlsConnection tls = co_await dial(context, address);
    co_await is_stopped.wait();
    co_await tls.write("hello");
    const std::string rest = co_await read_all(tls);
    EXPECT_EQ(rest, "");
  };
  EXPECT_TRUE(runtime.run(ask_late, of_client(), listener.address().to_string()).ok());
  EXPECT_TRUE(outcome.await().ok()) << outcome.await();
}

// The peer reads nothing until the write waits, and the stop has come. What it reads then are
// whole writes, and records that follow each other.
TEST_F(TlsData, AWriteThatIsStoppedIsAllOrNothing) {
  Outcome outcome;
  AsyncEvent may_read;
  std::string expected;
  Runtime runtime;
  const auto use = [&](TlsConnection tls) -> Task<> {
    std::stop_source source;
    const auto fill = [&]() -> Task<> {
      for (unsigned i = 0;; ++i) {
        const std::string text = pattern(16 * 1024, i);
        co_await tls.write(text);
        expected += text;
      }
    };
    const auto stop_when_full = [&]() -> Task<> {
      while (tls.connection().queued_bytes() <= 32 * 1024) co_await yield();
      source.request_stop();
    };
    const auto fill_until_stop = [&]() -> Task<> {
      const absl::Status stopped = co_await until(source.get_token(), fill()).result();
      EXPECT_TRUE(absl::IsCancelled(stopped)) << stopped;
    };
    co_await all(fill_until_stop(), stop_when_full());
    EXPECT_LE(tls.connection().queued_bytes(), 32u * 1024 + 17 * 1024);  // backpressure
    may_read.set();
    co_await tls.write("the end");
    expected += "the end";
    tls.close();
  };
  const Listener listener = serve(runtime, of_server(), use, &outcome, small_marks());
  const auto ask_late = [&may_read](TlsContext context, std::string address) -> Task<std::string> {
    const TlsConnection tls = co_await dial(context, address);
    co_await may_read.wait();
    co_return co_await read_all(tls);
  };
  const auto all = runtime.run(ask_late, of_client(), listener.address().to_string());
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(outcome.await().ok()) << outcome.await();
  EXPECT_TRUE(*all == expected) << all->size() << " " << expected.size();
}

// A write of several records that was stopped in the middle does not look as if it were done.
TEST_F(TlsData, AWriteThatWasCutHasNoCloseNotify) {
  Outcome outcome;
  AsyncEvent may_read;
  Runtime runtime;
  const auto use = [&](TlsConnection tls) -> Task<> {
    std::stop_source source;
    const std::string text(64 << 20, 'x');  // more than the sockets hold
    const auto fill = [&]() -> Task<> {
      const absl::Status stopped = co_await until(source.get_token(), tls.write(text)).result();
      EXPECT_TRUE(absl::IsCancelled(stopped)) << stopped;
    };
    const auto stop_when_full = [&]() -> Task<> {
      while (tls.connection().queued_bytes() <= 32 * 1024) co_await yield();
      source.request_stop();
    };
    co_await all(fill(), stop_when_full());
    tls.close();
    may_read.set();
  };
  const Listener listener = serve(runtime, of_server(), use, &outcome, small_marks());
  const auto ask_late = [&may_read](TlsContext context, std::string address) -> Task<std::string> {
    const TlsConnection tls = co_await dial(context, address);
    co_await may_read.wait();
    co_return co_await read_all(tls);
  };
  const auto all = runtime.run(ask_late, of_client(), listener.address().to_string());
  EXPECT_TRUE(absl::IsDataLoss(all.status())) << all.status();
  EXPECT_TRUE(outcome.await().ok()) << outcome.await();
}

TEST_F(TlsData, TheBytesOfOneWriteStayTogether) {
  Runtime runtime;
  constexpr std::size_t kSize = 300'000;
  const auto use = [](TlsConnection tls) -> Task<> {
    const std::string a(kSize, 'a');
    const std::string b(kSize, 'b');
    const std::string c(kSize, 'c');
    co_await all(tls.write(a), tls.write(b), tls.write(c));
    tls.close();
  };
  const Listener listener = serve(runtime, of_server(), use, nullptr, small_marks());
  const auto ask_all = [](TlsContext context, std::string address) -> Task<std::string> {
    const TlsConnection tls = co_await dial(context, address);
    co_return co_await read_all(tls);
  };
  const auto text = runtime.run(ask_all, of_client(), listener.address().to_string());
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_TRUE(*text == std::string(kSize, 'a') + std::string(kSize, 'b') + std::string(kSize, 'c'));
}

TEST_F(TlsData, OneCoroutineReadsAtATime) {
  Runtime runtime;
  const auto use = [](TlsConnection tls) -> Task<> {
    const auto first = [&tls]() -> Task<> {
      const ByteView bytes = co_await tls.read();
      EXPECT_EQ(bytes.text(), "hello");
    };
    const auto second = [&tls]() -> Task<> {
      const auto bytes = co_await tls.read().result();
      EXPECT_TRUE(absl::IsFailedPrecondition(bytes.status())) << bytes.status();
      co_await tls.write("go on");
    };
    co_await all(first(), second());
    tls.close();
  };
  const Listener listener = serve(runtime, of_server(), use);
  const auto ask_all = [](TlsContext context, std::string address) -> Task<std::string> {
    const TlsConnection tls = co_await dial(context, address);
    const ByteView bytes = co_await tls.read();
    std::string text(bytes.text());
    co_await tls.write("hello");
    co_return text + co_await read_all(tls);
  };
  EXPECT_EQ(runtime.run(ask_all, of_client(), listener.address().to_string()).value_or(""),
            "go on");
}

TEST_F(TlsData, ElsewhereItIsRefusedButForClose) {
  Outcome outcome;
  Runtime runtime;
  const Order other = runtime.order();
  const auto use = [&](TlsConnection tls) -> Task<> {
    co_await on(other, misuse, std::cref(tls));
    const ConnectionEnd end = co_await tls.connection().closed();
    co_await end.reason;
  };
  const Listener listener = serve(runtime, of_server(), use, &outcome);
  EXPECT_EQ(runtime.run(ask, of_client(), listener.address().to_string(), "").value_or("x"), "");
  EXPECT_TRUE(outcome.await().ok()) << outcome.await();
}

// The order of the connection is there still, and so are those who use the engine in it.
TEST_F(TlsData, ElsewhereItIsRefusedAfterTheEndToo) {
  Outcome outcome;
  Runtime runtime;
  const Order other = runtime.order();
  const auto use = [&](TlsConnection tls) -> Task<> {
    tls.connection().abort();
    co_await on(other, misuse, std::cref(tls));
    (void)co_await tls.connection().closed();
    co_await on(other, misuse, std::cref(tls));
    EXPECT_EQ(tls.version(), "TLSv1.3");
  };
  const Listener listener = serve(runtime, of_server(), use, &outcome);
  EXPECT_FALSE(runtime.run(ask, of_client(), listener.address().to_string(), "").ok());
  EXPECT_TRUE(outcome.await().ok()) << outcome.await();
}

TEST_F(TlsData, OneThatNamesNoneSaysSo) {
  Runtime runtime;
  const auto use_none = []() -> Task<> {
    const TlsConnection none;
    none.close();
    EXPECT_EQ(none.alpn() + none.version() + none.server_name() + none.peer_subject(), "");
    EXPECT_EQ(none.connection().id(), 0u);
    const auto bytes = co_await none.read().result();
    EXPECT_TRUE(absl::IsFailedPrecondition(bytes.status())) << bytes.status();
    const absl::Status written = co_await none.write("x").result();
    EXPECT_TRUE(absl::IsFailedPrecondition(written)) << written;
    const absl::Status shut = co_await none.shut_down_write().result();
    EXPECT_TRUE(absl::IsFailedPrecondition(shut)) << shut;
  };
  EXPECT_TRUE(runtime.run(use_none).ok());
}

// A shutdown ends a read that waits; the handler says the end, and nothing is cut off.
TEST_F(TlsData, AShutdownLetsTheHandlerSayTheEnd) {
  Outcome outcome;
  absl::Notification is_open;
  std::string end = "not asked";
  Runtime clients;
  const auto wait_for_end = [](TlsContext context, std::string address) -> Task<std::string> {
    const TlsConnection tls = co_await dial(context, address);
    co_return co_await read_all(tls);
  };
  Runtime servers;
  const auto use = [&is_open](TlsConnection tls) -> Task<> {
    is_open.Notify();
    const auto bytes = co_await tls.read().result();
    EXPECT_TRUE(absl::IsCancelled(bytes.status())) << bytes.status();
    co_await tls.write("good bye");
    tls.close();
  };
  const Listener listener = serve(servers, of_server(), use, &outcome);
  const auto store_end = [&](TlsContext context, std::string address) -> Task<> {
    end = co_await wait_for_end(context, address);
  };
  Job job = clients.spawn(store_end, of_client(), listener.address().to_string());
  is_open.WaitForNotification();
  EXPECT_TRUE(servers.shutdown().ok());
  EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(end, "good bye");
  EXPECT_TRUE(outcome.await().ok()) << outcome.await();
}

}  // namespace
}  // namespace epore
