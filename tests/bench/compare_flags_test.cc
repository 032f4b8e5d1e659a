#include "tests/bench/compare_flags.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace epore::bench {
namespace {

CompareFlags good() {
  return {.contenders = "epoll,asio:threads=2",
          .connections = "1,50",
          .rounds = 9,
          .seconds = 0.5,
          .size = 64,
          .depth = 1};
}

TEST(CompareFlagsTest, BecomeOptions) {
  const auto options = make_rounds_options(good());
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->contenders.size(), 2u);
  EXPECT_EQ(options->connections, (std::vector<int>{1, 50}));
  EXPECT_EQ(options->rounds, 9);
  EXPECT_EQ(options->round, absl::Milliseconds(500));
}

TEST(CompareFlagsTest, QuickShortensButNeverLengthens) {
  CompareFlags flags = good();
  flags.quick = true;
  EXPECT_EQ(make_rounds_options(flags)->rounds, 3);
  EXPECT_EQ(make_rounds_options(flags)->round, absl::Milliseconds(200));
  flags.rounds = 1;
  flags.seconds = 0.01;
  EXPECT_EQ(make_rounds_options(flags)->rounds, 1);
  EXPECT_EQ(make_rounds_options(flags)->round, absl::Milliseconds(10));
}

TEST(CompareFlagsTest, BadValuesAreRefusedWithTheNameOfTheFlag) {
  const auto expect_refused = [](const std::string& name,
                                 const std::function<void(CompareFlags&)>& spoil) {
    CompareFlags flags = good();
    spoil(flags);
    const absl::Status status = make_rounds_options(flags).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name;
    EXPECT_EQ(status.message().substr(0, name.size() + 3), "--" + name + ":");
  };
  for (const char* text : {"", "0", "1,", "-1", "x", "1000001", "1;2"}) {
    expect_refused("connections", [&](CompareFlags& flags) { flags.connections = text; });
  }
  expect_refused("contenders", [](CompareFlags& flags) { flags.contenders = "/bin/sh"; });
  expect_refused("rounds", [](CompareFlags& flags) { flags.rounds = 0; });
  expect_refused("seconds", [](CompareFlags& flags) { flags.seconds = 0; });
  expect_refused("seconds", [](CompareFlags& flags) { flags.seconds = std::nan(""); });
  expect_refused("size", [](CompareFlags& flags) { flags.size = 0; });
  expect_refused("depth", [](CompareFlags& flags) { flags.depth = -1; });
}

}  // namespace
}  // namespace epore::bench
