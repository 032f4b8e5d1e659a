#include "tests/bench/short_connections.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/process_usage.h"
#include "tests/support/sockets.h"

namespace epore::bench {
namespace {

class ShortConnectionsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ShortConnectionsTest, AllAreServedAndTheServerKeepsNoDescriptor) {
  absl::StatusOr<EchoServer> server =
      EchoServer::start(ContenderSpec::parse(GetParam()).value(), -1);
  if (absl::IsUnimplemented(server.status())) GTEST_SKIP() << server.status().message();
  ASSERT_TRUE(server.ok()) << server.status();
  const int before = ProcessUsage::of(server->pid()).value().descriptors;
  for (const ConnectionEnd end : {ConnectionEnd::graceful, ConnectionEnd::reset}) {
    auto clients = ShortConnections::make(server->endpoint(),
                                          {.parallel = 7, .message_size = 100, .end = end});
    ASSERT_TRUE(clients.ok()) << clients.status();
    for (const std::uint64_t count : {1u, 300u}) {
      const absl::Status status = (*clients)->run(count);
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  // The server sees the last ends when it comes to it.
  const auto has_closed_all = [&](const ProcessUsage& now) { return now.descriptors <= before; };
  const absl::StatusOr<ProcessUsage> after =
      ProcessUsage::await(server->pid(), has_closed_all, absl::Seconds(30));
  EXPECT_TRUE(after.ok()) << after.status();
  EXPECT_TRUE(server->stop().ok());
}

INSTANTIATE_TEST_SUITE_P(Servers, ShortConnectionsTest,
                         ::testing::Values("epoll", "epore", "epore:dispatch=poll_thread", "asio"));

TEST(ShortConnectionsErrorTest, NoServerIsAnErrorWithItsAddress) {
  const TcpPort refusing = refusing_port();
  const Endpoint nobody = Endpoint::parse("127.0.0.1:" + std::to_string(refusing.port)).value();
  auto clients = ShortConnections::make(nobody, {});
  ASSERT_TRUE(clients.ok()) << clients.status();
  const absl::Status status = (*clients)->run(1);
  EXPECT_NE(status.message().find(nobody.to_string()), std::string::npos) << status;
}

TEST(ShortConnectionsErrorTest, SenselessOptionsAreRefused) {
  for (const ShortConnectionsOptions& options :
       {ShortConnectionsOptions{.parallel = 0}, ShortConnectionsOptions{.message_size = 0},
        ShortConnectionsOptions{.message_size = 1'000'000}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ShortConnections::make({}, options).status()));
  }
}

TEST(ProcessUsageTest, OfThisProcessCountsADescriptor) {
  const absl::StatusOr<ProcessUsage> before = ProcessUsage::of(::getpid());
  ASSERT_TRUE(before.ok()) << before.status();
  const OwnedFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const absl::StatusOr<ProcessUsage> after = ProcessUsage::of(::getpid());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->descriptors, before->descriptors + 1);
  EXPECT_GE(after->threads, 1);
  EXPECT_GT(after->uss_kib, 0);
  EXPECT_GE(after->rss_kib, after->uss_kib);
}

TEST(ProcessUsageTest, AwaitEndsWithItsTimeAndHasAProcessToWaitFor) {
  const auto never = [](const ProcessUsage&) { return false; };
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      ProcessUsage::await(::getpid(), never, absl::ZeroDuration()).status()));
  EXPECT_FALSE(ProcessUsage::await(-1, never, absl::InfiniteDuration()).ok());
}

TEST(ProcessUsageTest, OfNoProcessIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ProcessUsage::of(-1).status()));
}

}  // namespace
}  // namespace epore::bench
