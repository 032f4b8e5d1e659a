// Every contender, as the process that it is, in all that it can be asked to do.

#include <poll.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/arena/broadcast_load.h"
#include "tests/bench/arena/room_load.h"
#include "tests/bench/arena/slow_neighbour.h"
#include "tests/bench/connect_many.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/load.h"
#include "tests/bench/process.h"
#include "tests/bench/programs.h"

namespace epore::bench {
namespace {

class ContenderTest : public testing::TestWithParam<std::string> {
 protected:
  // Null: it says that it cannot run here.
  std::unique_ptr<EchoServer> start(const std::string& flags = "") {
    const auto spec = ContenderSpec::parse(absl::StrCat(GetParam(), flags));
    EXPECT_TRUE(spec.ok()) << spec.status();
    auto server = EchoServer::start(*spec, /*core=*/-1);
    if (absl::IsUnimplemented(server.status())) {
      skipped_ = std::string(server.status().message());
      return nullptr;
    }
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? std::make_unique<EchoServer>(*std::move(server)) : nullptr;
  }

  // Echoes so many messages on each of five connections.
  void echo(EchoServer& server, const LoadOptions& options, std::uint64_t messages) {
    auto load = Load::connect(server.endpoint(), options);
    ASSERT_TRUE(load.ok()) << load.status();
    const auto result = (*load)->run({.messages = messages});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->messages, messages);
  }

  std::string skipped_;
};

#define START_OR_SKIP(server, ...)                 \
  const auto server = start(__VA_ARGS__);          \
  if (!skipped_.empty()) GTEST_SKIP() << skipped_; \
  ASSERT_NE(server, nullptr)

TEST_P(ContenderTest, EchoesMessagesOfAllSizes) {
  START_OR_SKIP(server);
  echo(*server, {.connections = 5, .message_size = 1, .depth = 4}, 200);
  echo(*server, {.connections = 5, .message_size = 64, .depth = 4}, 200);
  echo(*server, {.connections = 5, .message_size = 300'000, .depth = 4}, 50);
  EXPECT_TRUE(server->stop().ok());
}

TEST_P(ContenderTest, AnswersInTenSends) {
  START_OR_SKIP(server, ":reply=ten_sends");
  echo(*server, {.connections = 5, .message_size = 7, .depth = 1}, 50);
  echo(*server, {.connections = 5, .message_size = 640, .depth = 4}, 200);
  echo(*server, {.connections = 5, .message_size = 300'001, .depth = 2}, 50);
  EXPECT_TRUE(server->stop().ok());
}

TEST_P(ContenderTest, SendsABroadcastToAll) {
  START_OR_SKIP(server, ":reply=broadcast");
  // Clients that go take nobody with them.
  for (const int connections : {1, 20, 5}) {
    auto load = BroadcastLoad::connect(server->endpoint(), {.connections = connections});
    ASSERT_TRUE(load.ok()) << load.status();
    const auto result = (*load)->run(absl::Milliseconds(10));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_GE(result->latency.count(), 1u);
  }
  EXPECT_TRUE(server->stop().ok());
}

TEST_P(ContenderTest, ServesARoomWithManyTalkers) {
  START_OR_SKIP(server, ":reply=broadcast");
  auto load = RoomLoad::connect(server->endpoint(), {.members = 20, .talkers = 10});
  ASSERT_TRUE(load.ok()) << load.status();
  // Of a slow build, 10 ms may be over before any message has reached all.
  for (std::uint64_t messages = 0; messages < 200;) {
    const auto result = (*load)->run(absl::Milliseconds(10));
    ASSERT_TRUE(result.ok()) << result.status();
    messages += result->messages;
  }
  load->reset();
  EXPECT_TRUE(server->stop().ok());
}

TEST_P(ContenderTest, BurnsTwentyMillisecondsOfCpuForAnS) {
  START_OR_SKIP(server);
  const auto before = server->cpu_time();
  ASSERT_TRUE(before.ok()) << before.status();
  auto neighbour = SlowNeighbour::start(server->endpoint());
  ASSERT_TRUE(neighbour.ok()) << neighbour.status();
  ASSERT_TRUE((*neighbour)->stop().ok());
  const auto after = server->cpu_time();
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_GE((*after - *before).ran, absl::Milliseconds(20) * (*neighbour)->messages());
}

TEST_P(ContenderTest, BurnsWhatItIsToldToForEachMessage) {
  START_OR_SKIP(server, ":work_us=1000");
  const auto before = server->cpu_time();
  ASSERT_TRUE(before.ok()) << before.status();
  echo(*server, {.connections = 2}, 20);
  const auto after = server->cpu_time();
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_GE((*after - *before).ran, absl::Milliseconds(20));
}

TEST_P(ContenderTest, EchoesWithAnIdleTimeout) {
  START_OR_SKIP(server, ":idle_timeout_s=3600");
  echo(*server, {.connections = 5, .message_size = 64, .depth = 4}, 200);
  echo(*server, {.connections = 5, .message_size = 300'000, .depth = 4}, 50);
  EXPECT_TRUE(server->stop().ok());
}

TEST_P(ContenderTest, ClosesWhoIsIdleForTooLong) {
  START_OR_SKIP(server, ":idle_timeout_s=0.02");
  auto fds = connect_many(server->endpoint(), 2, absl::Seconds(30));
  ASSERT_TRUE(fds.ok()) << fds.status();
  for (const OwnedFd& fd : *fds) {
    pollfd closed = {.fd = fd.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&closed, 1, 30'000), 1);
    char byte;
    EXPECT_LE(::recv(fd.get(), &byte, 1, 0), 0);
  }
  EXPECT_TRUE(server->stop().ok());
}

TEST_P(ContenderTest, SaysWhatIsWrongWithAFlag) {
  START_OR_SKIP(server);
  for (const char* flag :
       {"--reply=shout", "--work_us=-1", "--idle_timeout_s=-1", "--work_us=x", "--nothing=1"}) {
    const auto program =
        find_program(absl::StrCat("echo_", server->label().substr(0, server->label().find(':'))));
    ASSERT_TRUE(program.ok()) << program.status();
    auto process = Process::spawn({*program, flag});
    ASSERT_TRUE(process.ok()) << process.status();
    const auto ended = process->wait_for_success(absl::Seconds(30));
    EXPECT_THAT(std::string(ended.status().message()), testing::HasSubstr("exit code")) << flag;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ContenderTest,
                         testing::Values("epoll", "io_uring", "epore", "epore:dispatch=poll_thread",
                                         "epore:dispatch=workers:workers=2", "epore:reactors=2",
                                         "epore:handler=coroutine",
                                         "epore:handler=coroutine:dispatch=workers:workers=2",
                                         "asio", "asio:partial_reads", "asio:threads=2",
                                         "asio:threads=2:partial_reads:continuations",
                                         "asio:contexts=2", "asio_uring", "libuv", "libevent"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (c == ':' || c == '=') c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace epore::bench
