// What the servers say to --help and to flags that are wrong.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ServerFlags : public ::testing::TestWithParam<std::string> {
 protected:
  // The message on stderr; the exit code must be 1.
  std::string error(const std::vector<std::string>& arguments) {
    ChildProcess process = start_program(GetParam(), arguments);
    const std::string message = process.read_error_line().value_or("");
    EXPECT_EQ(process.wait().value_or(-1), 1);
    return message;
  }
};

TEST_P(ServerFlags, HelpIsHelp) {
  ChildProcess process = start_program(GetParam(), {"--help"});
  std::string text;
  while (const auto line = process.read_line()) text += *line + "\n";
  EXPECT_EQ(process.wait().value_or(-1), 0);
  for (const char* flag : {"--address", "--workers", "--reactors", "--dispatch", "--selector"}) {
    EXPECT_THAT(text, HasSubstr(flag));
  }
  EXPECT_THAT(text, HasSubstr("SIGUSR1"));
}

TEST_P(ServerFlags, ErrorsSayWhatAndWhere) {
  EXPECT_THAT(error({"--dispatch=magic"}),
              AllOf(HasSubstr("--dispatch=magic"), HasSubstr("poll_thread")));
  EXPECT_THAT(error({"--workers=-1"}), HasSubstr("--workers=-1"));
  EXPECT_THAT(error({"--workers=many"}), AllOf(HasSubstr("workers"), HasSubstr("many")));
  EXPECT_THAT(error({"--reactors=0"}), HasSubstr("--reactors=0"));
  EXPECT_THAT(error({"--address=localhost"}), AllOf(HasSubstr("address"), HasSubstr("localhost")));
  EXPECT_THAT(error({"--address=localhost:99999"}), HasSubstr("99999"));
  EXPECT_THAT(error({"--selector=kqueue"}),
              AllOf(HasSubstr("--selector=kqueue"), HasSubstr("epoll")));
  EXPECT_THAT(error({"--no-such-flag"}), HasSubstr("no_such_flag"));
  EXPECT_THAT(error({"--address=name.invalid:0"}), HasSubstr("name.invalid"));
  EXPECT_THAT(error({"one", "two"}), HasSubstr("(see --help)"));
}

TEST_P(ServerFlags, SignalsCountFromTheFirstLineOn) {
  for (int i = 0; i < 20; ++i) {
    Server quick(GetParam(), {"--address=127.0.0.1:0", "--workers=2"});
    EXPECT_EQ(quick.terminate(), 0);
  }
  for (int i = 0; i < 5; ++i) {
    Server server(GetParam(), {"--address=127.0.0.1:0", "--dispatch=poll_thread"});
    EXPECT_THAT(server.counters(), HasSubstr("\"accepts\":0"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, ServerFlags, ::testing::Values("echo_server", "delay_server"));

}  // namespace
}  // namespace examples
