#include "tests/bench/load.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/bench/clock.h"
#include "tests/bench/tcp.h"
#include "tests/support/sockets.h"

namespace epore::bench {
namespace {

// Serves one connection at a time on a thread, blocking, with a given treatment of the bytes.
class TinyServer {
 public:
  using Treatment = std::function<bool(std::string&)>;  // false: close the connection

  TinyServer(int connections, Treatment treat)
      : listener_(listen_tcp(Endpoint::parse("127.0.0.1:0").value()).value()),
        endpoint_(local_endpoint(listener_.get()).value()) {
    // Blocking, for a thread.
    listener_ = OwnedFd(::fcntl(listener_.get(), F_DUPFD_CLOEXEC, 0));
    ::fcntl(listener_.get(), F_SETFL, 0);
    for (int i = 0; i < connections; ++i) threads_.emplace_back([this, treat] { serve(treat); });
  }
  ~TinyServer() {
    for (std::thread& thread : threads_) thread.join();
  }
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  void serve(const Treatment& treat) {
    const OwnedFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char buffer[10'000];
    for (;;) {
      const ssize_t size = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (size <= 0) return;
      std::string bytes(buffer, static_cast<std::size_t>(size));
      if (!treat(bytes)) return;
      if (::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return;
    }
  }

  OwnedFd listener_;
  Endpoint endpoint_;
  std::vector<std::thread> threads_;
};

bool echo(std::string&) { return true; }

TEST(LoadTest, SendsJustTheMessagesItIsLimitedTo) {
  TinyServer server(3, echo);
  auto load = Load::connect(server.endpoint(), {.connections = 3, .depth = 4});
  ASSERT_TRUE(load.ok()) << load.status();
  for (std::uint64_t messages : {1u, 100u, 1000u}) {
    const auto result = (*load)->run({.messages = messages});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->messages, messages);
    EXPECT_EQ(result->latency.count(), messages);
    EXPECT_GT(result->rate, 0);
    EXPECT_GT(result->latency.min(), 0u);
  }
}

TEST(LoadTest, AnOpenLoopSendsWhatIsDueAndNoMore) {
  TinyServer server(2, echo);
  auto load = Load::connect(server.endpoint(), {.connections = 2, .depth = 1000, .rate = 10'000});
  ASSERT_TRUE(load.ok()) << load.status();
  const auto result = (*load)->run({.duration = absl::Milliseconds(20)});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->messages + result->unsent, 200u);
  EXPECT_EQ(result->latency.count(), 200u);
  const auto limited = (*load)->run({.messages = 7});
  ASSERT_TRUE(limited.ok()) << limited.status();
  EXPECT_EQ(limited->messages, 7u);
}

// One message at a time, and each takes as long as ten are due in.
TEST(LoadTest, AnOpenLoopCountsFromWhenAMessageWasDue) {
  TinyServer server(1, [](std::string&) {
    const std::uint64_t end = now_ns() + 1'000'000;
    while (now_ns() < end) {
    }
    return true;
  });
  auto load = Load::connect(server.endpoint(), {.rate = 10'000});
  ASSERT_TRUE(load.ok()) << load.status();
  const auto result = (*load)->run({.duration = absl::Milliseconds(20)});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LE(result->messages, 21u);
  EXPECT_EQ(result->messages + result->unsent, 200u);
  EXPECT_EQ(result->latency.count(), 200u);
  EXPECT_GT(result->latency.max(), 15'000'000u);
  EXPECT_GT(result->latency.quantile(0.5), 5'000'000u);
}

TEST(LoadTest, StopsAfterItsTimeWithNothingInFlight) {
  TinyServer server(2, echo);
  auto load = Load::connect(server.endpoint(), {.connections = 2});
  ASSERT_TRUE(load.ok()) << load.status();
  const auto result = (*load)->run({.duration = absl::Milliseconds(20)});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GE(result->messages, 2u);
  EXPECT_EQ(result->latency.count(), result->messages);
  EXPECT_GE(result->elapsed, absl::Milliseconds(20));
}

TEST(LoadTest, MessagesLargerThanAllSocketBuffersComeThrough) {
  TinyServer server(2, echo);
  auto load =
      Load::connect(server.endpoint(), {.connections = 2, .message_size = 9'999'999, .depth = 2});
  ASSERT_TRUE(load.ok()) << load.status();
  const auto result = (*load)->run({.messages = 6});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->messages, 6u);
}

TEST(LoadTest, AWrongByteIsDataLoss) {
  int left = 5;
  TinyServer server(1, [&left](std::string& bytes) {
    if (--left == 0) bytes[10] ^= 1;
    return true;
  });
  auto load = Load::connect(server.endpoint(), {});
  ASSERT_TRUE(load.ok()) << load.status();
  const absl::Status status = (*load)->run({.messages = 10}).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_EQ(status.message(),
            "connection 0, after 4 messages: wrong bytes came back, after 256 right ones");
}

TEST(LoadTest, BytesNeverSentAreDataLoss) {
  TinyServer server(1, [](std::string& bytes) {
    bytes += bytes;
    return true;
  });
  auto load = Load::connect(server.endpoint(), {});
  ASSERT_TRUE(load.ok()) << load.status();
  const absl::Status status = (*load)->run({.messages = 1}).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

TEST(LoadTest, AServerThatClosesIsUnavailable) {
  TinyServer server(1, [](std::string&) { return false; });
  auto load = Load::connect(server.endpoint(), {});
  ASSERT_TRUE(load.ok()) << load.status();
  const absl::Status status = (*load)->run({.messages = 1}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST(LoadTest, AServerThatSwallowsIsDeadlineExceeded) {
  TinyServer server(1, [](std::string& bytes) {
    bytes.clear();
    return true;
  });
  // Long enough to connect in, as it is the limit for that as well.
  auto load =
      Load::connect(server.endpoint(), {.depth = 3, .stall_timeout = absl::Milliseconds(500)});
  ASSERT_TRUE(load.ok()) << load.status();
  const absl::Status status = (*load)->run({.messages = 5}).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_EQ(status.message(), "no reply for 500ms while 3 messages were in flight");
}

TEST(LoadTest, NoServerIsAnError) {
  const TcpPort refusing = refusing_port();
  const Endpoint nobody = Endpoint::parse("127.0.0.1:" + std::to_string(refusing.port)).value();
  const absl::Status status = Load::connect(nobody, {}).status();
  EXPECT_EQ(status.message(),
            "connect to " + nobody.to_string() + ": ECONNREFUSED (Connection refused)");
}

TEST(LoadTest, SenselessOptionsAreRefused) {
  const Endpoint any = Endpoint::parse("127.0.0.1:1").value();
  for (const LoadOptions& options :
       {LoadOptions{.connections = 0}, LoadOptions{.message_size = 0}, LoadOptions{.depth = 0}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Load::connect(any, options).status()));
  }
}

TEST(EndpointTest, OnlyIpv4AddressesWithAPortAreTaken) {
  EXPECT_EQ(Endpoint::parse("127.0.0.1:65535")->to_string(), "127.0.0.1:65535");
  for (const char* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                           "localhost:1", "[::1]:1", "1.2.3:4"}) {
    EXPECT_FALSE(Endpoint::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace epore::bench
