// The demo, made short.

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string run_demo(const std::vector<std::string>& arguments) {
  ChildProcess demo = start_program("demo", arguments);
  std::string text;
  while (const auto line = demo.read_line(absl::Seconds(60))) text += *line + "\n";
  EXPECT_EQ(demo.wait().value_or(-1), 0) << demo.read_error_line().value_or("");
  return text;
}

TEST(Demo, ShowsTheScenarioTheComparisonAndTheVersions) {
  const std::string text = run_demo({"--step=100ms", "--comparison=1s"});
  EXPECT_THAT(text, HasSubstr("60 of 60 answered"));
  for (const char* row : {"epoll loop", "epore", "Boost.Asio", "Abseil", "Compiler", "Processor"}) {
    EXPECT_THAT(text, HasSubstr(row));
  }
  EXPECT_THAT(text, Not(HasSubstr("\x1b"))) << "escape codes, and this is no terminal";
  EXPECT_THAT(text, Not(HasSubstr("\r")));
}

TEST(Demo, TheComparisonMayBeLeftOut) {
  const std::string text = run_demo({"--step=10ms", "--comparison=0"});
  EXPECT_THAT(text, HasSubstr("60 of 60 answered"));
  EXPECT_THAT(text, Not(HasSubstr("Boost")));
}

}  // namespace
}  // namespace examples
