#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "gtest/gtest.h"
#include "tests/bench/arena/broadcast_load.h"
#include "tests/bench/arena/room_load.h"
#include "tests/bench/arena/slow_neighbour.h"
#include "tests/bench/arena/svg_chart.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

// What a server on a thread of its own does with the connections that it was promised.
class TinyServer {
 public:
  template <typename Serve>
  TinyServer(int connections, Serve serve)
      : listener_(listen_tcp(Endpoint::parse("127.0.0.1:0").value()).value()),
        endpoint_(local_endpoint(listener_.get()).value()) {
    thread_ = std::thread([this, connections, serve] {
      ::fcntl(listener_.get(), F_SETFL, 0);
      std::vector<OwnedFd> fds;
      for (int i = 0; i < connections; ++i) {
        fds.emplace_back(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      }
      serve(fds);
    });
  }
  ~TinyServer() { thread_.join(); }
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  OwnedFd listener_;
  Endpoint endpoint_;
  std::thread thread_;
};

// Answers each message of the connections in turn by sending it to all, after `change`.
template <typename Change>
void broadcast(std::vector<OwnedFd>& fds, Change change) {
  std::vector<pollfd> polled;
  for (const OwnedFd& fd : fds) polled.push_back({.fd = fd.get(), .events = POLLIN, .revents = 0});
  for (int message = 1; ::poll(polled.data(), polled.size(), -1) > 0; ++message) {
    for (const pollfd& entry : polled) {
      if (entry.revents == 0) continue;
      char bytes[1000];
      const ssize_t size = ::recv(entry.fd, bytes, sizeof bytes, 0);
      if (size <= 0) return;
      for (std::size_t i = 0; i < fds.size(); ++i) {
        if (!change(message, i, bytes)) continue;
        (void)::send(fds[i].get(), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
      }
    }
  }
}

TEST(BroadcastLoadTest, CountsWhatArrivesEverywhere) {
  TinyServer server(5, [](std::vector<OwnedFd>& fds) {
    broadcast(fds, [](int, std::size_t, char*) { return true; });
  });
  auto load = BroadcastLoad::connect(server.endpoint(), {.connections = 5});
  ASSERT_TRUE(load.ok()) << load.status();
  const auto result = (*load)->run(absl::Milliseconds(5));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GE(result->messages, 5u);
  EXPECT_EQ(result->messages, 5 * result->latency.count());
  EXPECT_GT(result->rate, 0);
}

// The server may know a connection only after its first messages.
TEST(BroadcastLoadTest, BeginsWhenAMessageHasReachedAll) {
  TinyServer server(3, [](std::vector<OwnedFd>& fds) {
    broadcast(fds, [](int message, std::size_t i, char*) { return message > 2 || i != 1; });
  });
  auto load = BroadcastLoad::connect(server.endpoint(), {.connections = 3});
  ASSERT_TRUE(load.ok()) << load.status();
  EXPECT_TRUE((*load)->run(absl::Milliseconds(1)).ok());
}

TEST(BroadcastLoadTest, ComparesEveryByte) {
  TinyServer server(2, [](std::vector<OwnedFd>& fds) {
    broadcast(fds, [](int message, std::size_t i, char* bytes) {
      if (message == 2 && i == 1) bytes[40] ^= 1;
      return true;
    });
  });
  auto load = BroadcastLoad::connect(server.endpoint(), {.connections = 2});
  ASSERT_TRUE(load.ok()) << load.status();
  const auto result = (*load)->run(absl::Seconds(10));
  EXPECT_TRUE(absl::IsDataLoss(result.status())) << result.status();
  load->reset();
}

TEST(BroadcastLoadTest, SaysHowManyAMessageDidNotReach) {
  TinyServer server(2, [](std::vector<OwnedFd>& fds) {
    broadcast(fds, [](int message, std::size_t i, char*) { return message < 2 || i != 1; });
  });
  auto load = BroadcastLoad::connect(server.endpoint(),
                                     {.connections = 2, .stall_timeout = absl::Milliseconds(300)});
  ASSERT_TRUE(load.ok()) << load.status();
  const auto result = (*load)->run(absl::Seconds(10));
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.status())) << result.status();
  load->reset();
}

TEST(RoomLoadTest, CountsDeliveriesToAllMembers) {
  for (const int talkers : {1, 3}) {
    TinyServer server(5, [](std::vector<OwnedFd>& fds) {
      broadcast(fds, [](int, std::size_t, char*) { return true; });
    });
    auto load = RoomLoad::connect(server.endpoint(), {.members = 5, .talkers = talkers});
    ASSERT_TRUE(load.ok()) << load.status();
    const auto result = (*load)->run(absl::Milliseconds(5));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_GE(result->messages, 5u * static_cast<unsigned>(talkers));
    EXPECT_EQ(result->messages, 5 * result->latency.count());
    EXPECT_GT(result->rate, 0);
  }
}

// The server may know a connection only after its first messages.
TEST(RoomLoadTest, BeginsWhenAMessageHasReachedAll) {
  TinyServer server(3, [](std::vector<OwnedFd>& fds) {
    broadcast(fds, [](int message, std::size_t i, char*) { return message > 2 || i != 1; });
  });
  auto load = RoomLoad::connect(server.endpoint(), {.members = 3});
  ASSERT_TRUE(load.ok()) << load.status();
  EXPECT_TRUE((*load)->run(absl::Milliseconds(1)).ok());
}

TEST(RoomLoadTest, PutsMessagesTogetherThatArriveInPieces) {
  TinyServer server(1, [](std::vector<OwnedFd>& fds) {
    char bytes[64];
    while (::recv(fds[0].get(), bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes) {
      for (std::size_t i = 0; i < sizeof bytes; i += 16) {
        (void)::send(fds[0].get(), bytes + i, 16, MSG_NOSIGNAL);
      }
    }
  });
  auto load = RoomLoad::connect(server.endpoint(), {.members = 1});
  ASSERT_TRUE(load.ok()) << load.status();
  EXPECT_TRUE((*load)->run(absl::Milliseconds(5)).ok());
  load->reset();
}

TEST(RoomLoadTest, ComparesEveryByteAndTheOrder) {
  // A byte of the text, of the talker, and of the number.
  for (const int offset : {40, 0, 3}) {
    TinyServer server(2, [offset](std::vector<OwnedFd>& fds) {
      broadcast(fds, [offset](int message, std::size_t i, char* bytes) {
        if (message == 2 && i == 1) bytes[offset] ^= 1;
        return true;
      });
    });
    auto load = RoomLoad::connect(server.endpoint(), {.members = 2});
    ASSERT_TRUE(load.ok()) << load.status();
    const auto result = (*load)->run(absl::Seconds(10));
    EXPECT_TRUE(absl::IsDataLoss(result.status())) << result.status();
    load->reset();
  }
}

TEST(RoomLoadTest, SaysHowManyDeliveriesAreMissing) {
  TinyServer server(2, [](std::vector<OwnedFd>& fds) {
    broadcast(fds, [](int message, std::size_t i, char*) { return message < 2 || i != 1; });
  });
  auto load = RoomLoad::connect(server.endpoint(),
                                {.members = 2, .stall_timeout = absl::Milliseconds(300)});
  ASSERT_TRUE(load.ok()) << load.status();
  const auto result = (*load)->run(absl::Milliseconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.status())) << result.status();
  load->reset();
}

TEST(RoomLoadTest, SaysWhatIsWrongWithARoom) {
  const Endpoint nobody = Endpoint::parse("127.0.0.1:1").value();
  for (const RoomOptions& options :
       {RoomOptions{.members = 0}, RoomOptions{.members = 2, .talkers = 3},
        RoomOptions{.talkers = 0}, RoomOptions{.message_size = 15}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(RoomLoad::connect(nobody, options).status()));
  }
}

TEST(SlowNeighbourTest, SendsMessagesThatBeginWithSUntilItIsStopped) {
  TinyServer server(1, [](std::vector<OwnedFd>& fds) {
    char bytes[64];
    for (;;) {
      if (::recv(fds[0].get(), bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes) return;
      EXPECT_EQ(bytes[0], 'S');
      (void)::send(fds[0].get(), bytes, sizeof bytes, MSG_NOSIGNAL);
    }
  });
  auto neighbour = SlowNeighbour::start(server.endpoint());
  ASSERT_TRUE(neighbour.ok()) << neighbour.status();
  while ((*neighbour)->messages() < 10) std::this_thread::yield();
  EXPECT_TRUE((*neighbour)->stop().ok());
  const std::uint64_t before = (*neighbour)->messages();
  (*neighbour)->resume();
  EXPECT_TRUE((*neighbour)->stop().ok());
  EXPECT_GT((*neighbour)->messages(), before);
  neighbour->reset();
}

TEST(SlowNeighbourTest, SaysThatTheServerClosed) {
  TinyServer server(1, [](std::vector<OwnedFd>& fds) {
    char bytes[64];
    (void)::recv(fds[0].get(), bytes, sizeof bytes, MSG_WAITALL);
  });
  auto neighbour = SlowNeighbour::start(server.endpoint());
  ASSERT_TRUE(neighbour.ok()) << neighbour.status();
  EXPECT_TRUE(absl::IsUnavailable((*neighbour)->stop()));
}

TEST(SvgChartTest, EscapesTextAndDrawsARowForEach) {
  const std::string svg = bar_chart(
      "a < b",
      {{.label = "x&y", .css_class = "epore", .value = 2, .low = 1, .high = 3, .text = "2"},
       {.label = "zero", .css_class = "asio", .text = "0"}});
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_NE(svg.find("x&amp;y"), std::string::npos);
  EXPECT_NE(svg.find("class=\"asio\""), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  // Nothing measured, nothing drawn.
  EXPECT_EQ(percentile_chart("latency", {{.label = "a", .css_class = "epore"}}), "");
  EXPECT_NE(
      percentile_chart("latency",
                       {{.label = "a", .css_class = "epore", .p50 = 10, .p99 = 100, .p999 = 1500}})
          .find("10 ms"),
      std::string::npos);
}

}  // namespace
}  // namespace epore::bench
