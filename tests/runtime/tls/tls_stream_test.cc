// What TlsStream makes of an engine that cannot write before the peer has sent more, as OpenSSL in
// the middle of a ticket that comes in several records. Without OpenSSL.

#include "epore/runtime/tls/tls_stream.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/join.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/tls/tls_engine.h"
#include "epore/runtime/until.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/scarce_memory.h"

namespace epore {
namespace {

using internal::TlsEngine;
using internal::TlsStream;

// Encrypts nothing. The first `message` bytes are a message for the engine, and nothing can be
// written before they have come. "." is the end. Counts the calls of end().
class PlainEngine : public TlsEngine {
 public:
  PlainEngine(std::size_t message, std::atomic<int>& ends) : message_(message), ends_(ends) {}

  void feed(ByteView bytes) override { input_ = bytes; }
  Step handshake() override { return Step::done; }
  Step read(std::span<std::byte> into, std::size_t& count) override {
    take_message();
    if (message_ != 0 || input_.empty()) return Step::wants_input;
    if (input_.text().front() == '.') return Step::ended;
    count = std::min(into.size(), input_.size());
    std::memcpy(into.data(), input_.data(), count);
    input_ = input_.subspan(count);
    return Step::done;
  }
  Step write(ByteView bytes) override {
    take_message();
    if (message_ != 0) return Step::wants_input;
    output_ += bytes.text();
    return Step::done;
  }
  Step end() override {
    ++ends_;
    return write(".");
  }
  std::string take_output() override { return std::exchange(output_, {}); }
  const absl::Status& error() const override { return error_; }
  std::string alpn() const override { return {}; }
  std::string version() const override { return {}; }
  std::string server_name() const override { return {}; }
  std::string peer_subject() const override { return {}; }

 private:
  void take_message() {
    const std::size_t count = std::min(message_, input_.size());
    message_ -= count;
    input_ = input_.subspan(count);
  }

  std::size_t message_;
  std::atomic<int>& ends_;
  ByteView input_;
  std::string output_;
  absl::Status error_;
};

using Stream = std::shared_ptr<TlsStream>;

class TlsStreamTest : public testing::Test {
 protected:
  // Serves one connection with an engine whose message is "abc", or that has got `input`.
  void serve(std::function<Task<>(Stream)> use, std::string_view input = {}) {
    const auto handler = [this, use, input](Connection peer) -> Task<> {
      auto engine = std::make_unique<PlainEngine>(input.empty() ? 3 : 0, ends_);
      engine->feed(input);
      const auto stream = std::make_shared<TlsStream>(std::move(engine), peer);
      co_await use(stream);
    };
    absl::StatusOr<Listener> listener = runtime_.listen("127.0.0.1:0", handler);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    peer_.emplace(listener_.address());
  }

  std::atomic<int> ends_ = 0;
  Runtime runtime_;
  Listener listener_;
  std::optional<Peer> peer_;
};

TEST_F(TlsStreamTest, AWriterReceivesIfNobodyReads) {
  serve([](Stream stream) -> Task<> {
    co_await TlsStream::write(stream, "hello");
    co_await TlsStream::shut_down_write(stream);
    const ByteView rest = co_await TlsStream::read(stream);  // behind the message
    EXPECT_EQ(rest.text(), "rest");
    const ByteView end = co_await TlsStream::read(stream);
    EXPECT_TRUE(end.empty());
    TlsStream::close(stream);
  });
  peer_->send("a");
  peer_->send("bcrest");
  EXPECT_EQ(peer_->receive(6), "hello.");
  peer_->send(".");
  peer_->half_close();
  EXPECT_EQ(peer_->receive_all(), "");
}

TEST_F(TlsStreamTest, AWriterWaitsForTheReader) {
  absl::Notification both_wait;
  serve([&both_wait](Stream stream) -> Task<> {
    const auto read = [&stream]() -> Task<> {
      const ByteView rest = co_await TlsStream::read(stream);
      EXPECT_EQ(rest.text(), "rest");
    };
    const auto write = [&stream]() -> Task<> { co_await TlsStream::write(stream, "hello"); };
    const auto tell = [&both_wait]() -> Task<> {
      both_wait.Notify();
      co_return;
    };
    co_await all(read(), write(), tell());
    TlsStream::close(stream);
  });
  both_wait.WaitForNotification();
  peer_->send("a");
  peer_->send("bc");
  EXPECT_EQ(peer_->receive(5), "hello");
  peer_->send("rest");
  EXPECT_EQ(peer_->receive(1), ".");
}

TEST_F(TlsStreamTest, AWriterGoesOnWhenTheReaderIsStopped) {
  absl::Notification is_stopped;
  serve([&is_stopped](Stream stream) -> Task<> {
    std::stop_source source;
    const auto read = [&]() -> Task<> {
      const auto stopped = co_await until(source.get_token(), TlsStream::read(stream)).result();
      EXPECT_TRUE(absl::IsCancelled(stopped.status())) << stopped.status();
    };
    const auto write = [&stream]() -> Task<> { co_await TlsStream::write(stream, "hello"); };
    const auto stop = [&]() -> Task<> {
      co_await yield();
      source.request_stop();
      is_stopped.Notify();
    };
    co_await all(read(), write(), stop());
    TlsStream::close(stream);
  });
  is_stopped.WaitForNotification();
  peer_->send("abc");
  EXPECT_EQ(peer_->receive(6), "hello.");
}

// The reader waits for the writer, who wakes it and wins before it runs. The record that it would
// get then is for the next read.
TEST_F(TlsStreamTest, AReadThatHasLostToTheWriteLosesNothing) {
  absl::Notification all_wait;
  serve([&all_wait](Stream stream) -> Task<> {
    const auto wait = [&all_wait]() -> Task<> {
      all_wait.Notify();
      co_await sleep_for(absl::InfiniteDuration());
    };
    const auto first =
        co_await any(TlsStream::write(stream, "hello"), TlsStream::read(stream), wait());
    EXPECT_EQ(first.index(), 0u);
    const ByteView rest = co_await TlsStream::read(stream);
    EXPECT_EQ(rest.text(), "rest");
    TlsStream::close(stream);
  });
  all_wait.WaitForNotification();
  peer_->send("abcrest");
  EXPECT_EQ(peer_->receive(5), "hello");
  peer_->half_close();
  EXPECT_EQ(peer_->receive_all(), ".");
}

TEST_F(TlsStreamTest, AReaderWaitsForTheWriter) {
  absl::Notification both_wait;
  serve([&both_wait](Stream stream) -> Task<> {
    const auto read = [&stream]() -> Task<> {
      const ByteView rest = co_await TlsStream::read(stream);
      EXPECT_EQ(rest.text(), "rest");
    };
    const auto write = [&stream]() -> Task<> { co_await TlsStream::write(stream, "hello"); };
    const auto tell = [&both_wait]() -> Task<> {
      both_wait.Notify();
      co_return;
    };
    co_await all(write(), read(), tell());
    TlsStream::close(stream);
  });
  both_wait.WaitForNotification();
  peer_->send("abcrest");
  EXPECT_EQ(peer_->receive(6), "hello.");
}

TEST_F(TlsStreamTest, AnEndEndsBoth) {
  absl::Notification has_ended;
  serve([&has_ended](Stream stream) -> Task<> {
    const auto read = [&stream]() -> Task<> {
      const auto bytes = co_await TlsStream::read(stream).result();
      EXPECT_TRUE(absl::IsDataLoss(bytes.status())) << bytes.status();
    };
    const auto write = [&stream]() -> Task<> {
      const absl::Status status = co_await TlsStream::write(stream, "hello").result();
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    };
    co_await all(write(), read());
    has_ended.Notify();
  });
  peer_->send("ab");
  peer_->half_close();
  has_ended.WaitForNotification();
}

// The peer has read nothing, and a flush() of a connection that closes would wait for it.
TEST_F(TlsStreamTest, ACloseEndsAWriteThatWaits) {
  absl::Notification has_ended;
  const auto use = [&has_ended](Stream stream) -> Task<> {
    const std::string text(64 << 20, 'x');  // more than the sockets hold
    const auto write = [&]() -> Task<> {
      const absl::Status status = co_await TlsStream::write(stream, text).result();
      EXPECT_TRUE(absl::IsCancelled(status)) << status;
    };
    const auto close_when_full = [&stream]() -> Task<> {
      while (stream->connection().queued_bytes() <= ConnectionOptions().write_high_mark) {
        co_await yield();
      }
      TlsStream::close(stream);
    };
    co_await all(write(), write(), close_when_full());
    has_ended.Notify();
  };
  serve(use, "no message");
  has_ended.WaitForNotification();
}

class EngineWithoutMemory final : public PlainEngine {
 public:
  using PlainEngine::PlainEngine;
  Step end() override { throw std::bad_alloc(); }
};

TEST_F(TlsStreamTest, ACloseWithoutMemoryClosesTheConnection) {
  absl::Notification has_ended;
  serve([&](Stream stream) -> Task<> {
    Connection connection = stream->connection();
    TlsStream::close(
        std::make_shared<TlsStream>(std::make_unique<EngineWithoutMemory>(0, ends_), connection));
    const ConnectionEnd end = co_await connection.closed();
    EXPECT_TRUE(end.reason.ok()) << end.reason;
    has_ended.Notify();
  });
  peer_->half_close();
  EXPECT_EQ(peer_->end(), 0);  // no reset
  has_ended.WaitForNotification();
}

TEST_F(TlsStreamTest, ACloseElsewhereWithoutMemoryEndsTheConnection) {
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    Stream shared;
    absl::Notification is_open;
    absl::Notification has_ended;
    serve([&](Stream stream) -> Task<> {
      shared = stream;
      is_open.Notify();
      const auto bytes = co_await TlsStream::read(stream).result();
      EXPECT_FALSE(bytes.ok());
      has_ended.Notify();
    });
    is_open.WaitForNotification();
    ScarceMemory::fail(k);
    TlsStream::close(shared);
    was_reached = ScarceMemory::stop();
    has_ended.WaitForNotification();
    (void)peer_->end();
  }
}

// The connection is closed already, but its order runs on, and may be in a call of the engine.
TEST_F(TlsStreamTest, ACloseElsewhereLeavesTheEngineToTheOrder) {
  Stream shared;
  absl::Notification is_aborted;
  absl::Notification may_go_on;
  absl::Notification is_over;  // the runtime outlives what is here
  serve([&](Stream stream) -> Task<> {
    shared = stream;
    Connection connection = stream->connection();
    connection.abort();
    is_aborted.Notify();
    may_go_on.WaitForNotification();  // nothing else runs in the order meanwhile
    EXPECT_NE(stream->engine(), nullptr);
    TlsStream::close(stream);
    EXPECT_EQ(ends_, 1);
    is_over.Notify();
    co_return;
  });
  is_aborted.WaitForNotification();
  EXPECT_EQ(shared->engine(), nullptr);
  TlsStream::close(shared);
  EXPECT_EQ(ends_, 0);
  may_go_on.Notify();
  EXPECT_NE(peer_->end(), 0);  // a reset
  is_over.WaitForNotification();
}

}  // namespace
}  // namespace epore
