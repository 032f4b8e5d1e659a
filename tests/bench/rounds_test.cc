#include "tests/bench/rounds.h"

#include <signal.h>

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/bench/contender_set.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/load.h"
#include "tests/bench/sample.h"

namespace epore::bench {
namespace {

ContenderSpec spec(const std::string& text) { return ContenderSpec::parse(text).value(); }

// Every contender, in every way that it can be run.
constexpr char kAll[] =
    "epoll,epore,epore:workers=2,epore:dispatch=poll_thread,epore:reactors=2,asio,asio:threads=2,"
    "asio:contexts=2,asio:locking=false";

TEST(RoundsTest, EveryContenderEchoesInEveryRound) {
  const RoundsOptions options = {.contenders = parse_contenders(kAll).value(),
                                 .connections = {1, 20},
                                 .rounds = 2,
                                 .round = absl::Milliseconds(50),
                                 .depth = 3};
  int steps = 0;
  const auto result = run_rounds(options, [&](std::string_view, double) { ++steps; });
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->contenders.size(), options.contenders.size());
  ASSERT_EQ(result->workloads.size(), 2u);
  int samples = 0;
  for (const Workload& workload : result->workloads) {
    for (std::size_t i = 0; i < workload.samples.size(); ++i) {
      const Contender& contender = result->contenders[i];
      if (!contender.skipped.empty()) {
        EXPECT_EQ(contender.skipped, "built without Boost");
        EXPECT_TRUE(workload.samples[i].empty());
        continue;
      }
      EXPECT_FALSE(contender.version.empty());
      EXPECT_EQ(workload.samples[i].size(), 2u);
      for (const Sample& sample : workload.samples[i]) {
        ++samples;
        EXPECT_GT(sample.messages, 0u) << contender.spec.label;
        EXPECT_GT(sample.p50_us, 0) << contender.spec.label;
        EXPECT_LE(sample.p50_us, sample.p99_us) << contender.spec.label;
        EXPECT_GT(sample.cpu_ns, 0) << contender.spec.label;
      }
    }
  }
  EXPECT_EQ(steps, samples);
}

TEST(RoundsTest, MessagesLargerThanEveryBufferComeThrough) {
  const RoundsOptions options = {.contenders = parse_contenders(kAll).value(),
                                 .connections = {2},
                                 .rounds = 1,
                                 .round = absl::Milliseconds(1),
                                 .message_size = 5'000'000};
  const auto result = run_rounds(options, [](std::string_view, double) {});
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST(RoundsTest, AnUnknownContenderIsNamed) {
  const auto result = run_rounds({.contenders = {spec("nobody")}}, [](std::string_view, double) {});
  EXPECT_TRUE(absl::IsNotFound(result.status()));
  EXPECT_NE(result.status().message().find("echo_nobody"), std::string::npos) << result.status();
}

TEST(RoundsTest, AContenderThatRefusesItsFlagsIsNamed) {
  const auto result =
      run_rounds({.contenders = {spec("epoll:address=nowhere")}}, [](std::string_view, double) {});
  EXPECT_EQ(result.status().message(), "server epoll:address=nowhere: ended with exit code 2");
}

TEST(RoundsTest, AServerThatDiesEndsTheRoundsWithItsName) {
  const RoundsOptions options = {.contenders = {spec("epoll")}, .connections = {4}};
  const auto result = run_rounds(options, [](std::string_view, double) {
    std::ifstream children("/proc/thread-self/children");
    for (pid_t child; children >> child;) ::kill(child, SIGKILL);
  });
  EXPECT_EQ(result.status().message(), "server epoll: was killed by signal 9 (Killed)");
}

TEST(EchoServerTest, DyingUnderLoadIsAnErrorAndNoHang) {
  auto server = EchoServer::start(spec("epoll"), -1);
  ASSERT_TRUE(server.ok()) << server.status();
  auto load = Load::connect(server->endpoint(), {.connections = 4});
  ASSERT_TRUE(load.ok()) << load.status();
  ASSERT_TRUE((*load)->run({.messages = 100}).ok());
  ::kill(server->pid(), SIGKILL);
  EXPECT_TRUE(absl::IsUnavailable((*load)->run({}).status()));
  EXPECT_FALSE(server->check_alive(absl::Seconds(60)).ok());
}

TEST(EchoServerTest, EndsCleanlyAndOnlyOnce) {
  auto server = EchoServer::start(spec("epoll"), -1);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(server->check_alive().ok());
  EXPECT_TRUE(server->stop().ok());
  EXPECT_EQ(server->stop().message(), "server epoll: ended with exit code 0");
}

TEST(ContenderSetTest, WhoFailsToStartIsLeftOutOnlyWhereThatIsWanted) {
  const std::vector<ContenderSpec> specs = {spec("epoll"), spec("epoll:nothing=1")};
  EXPECT_FALSE(ContenderSet::start(specs, -1).ok());
  ContenderSet set = ContenderSet::start_who_can(specs, -1);
  ASSERT_EQ(set.size(), 2u);
  EXPECT_NE(set.server(0), nullptr);
  EXPECT_FALSE(set.contenders()[0].has_failed);
  EXPECT_EQ(set.server(1), nullptr);
  EXPECT_TRUE(set.contenders()[1].has_failed);
  EXPECT_NE(set.contenders()[1].skipped, "");
}

TEST(ContenderSetTest, EndsTheOthersAsWellAfterOneThatDidNotEndInPeace) {
  auto set = ContenderSet::start({spec("epoll"), spec("epoll")}, -1);
  ASSERT_TRUE(set.ok()) << set.status();
  ::kill(set->server(0)->pid(), SIGKILL);
  EXPECT_EQ(set->stop().message(), "server epoll: was killed by signal 9 (Killed)");
  EXPECT_FALSE(set->server(1)->check_alive().ok());
}

TEST(ContenderSpecTest, FlagsFollowTheName) {
  const ContenderSpec asio = spec("asio:threads=2:locking=false");
  EXPECT_EQ(asio.label, "asio:threads=2:locking=false");
  EXPECT_EQ(asio.name, "asio");
  EXPECT_EQ(asio.flags, (std::vector<std::string>{"--threads=2", "--locking=false"}));
}

TEST(ContenderSpecTest, TheSameTwiceGetsANumber) {
  const auto specs = parse_contenders("epoll,asio,epoll");
  ASSERT_TRUE(specs.ok());
  EXPECT_EQ((*specs)[2].label, "epoll#2");
  EXPECT_EQ((*specs)[2].name, "epoll");
}

TEST(ContenderSpecTest, WhatIsNoContenderIsRefused) {
  for (const char* text :
       {"", "epoll,", "../epoll", "asio:", "asio:=2", "asio:--threads=2", "a b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(parse_contenders(text).status())) << text;
  }
}

TEST(SampleTest, RatiosAreTakenRoundByRound) {
  const std::vector<Sample> base = {{.rate = 10}, {.rate = 20}};
  const std::vector<Sample> other = {{.rate = 20}, {.rate = 10}};
  EXPECT_EQ(ratios(other, base, &Sample::rate), (std::vector<double>{2, 0.5}));
}

}  // namespace
}  // namespace epore::bench
