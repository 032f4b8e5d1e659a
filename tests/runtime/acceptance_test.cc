// The scenario that the runtime was built for, against a delay server of its own.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "examples/acceptance_scenario.h"
#include "gtest/gtest.h"
#include "tests/examples/server.h"
#include "tests/support/sockets.h"

namespace examples {
namespace {

TEST(Acceptance, TwelveWorkersGetSixtyAnswersInFourSeconds) {
  Server server("delay_server", {"127.0.0.1", "--port=0"});
  ScenarioOptions options;
  options.address = server.address;
  std::vector<int> answers(options.workers);
  const auto result = run_acceptance_scenario(options, [&](const ScenarioAnswer& answer) {
    EXPECT_TRUE(answer.status.ok()) << answer.status;
    EXPECT_EQ(answer.asked, answer.request * absl::Seconds(1));
    EXPECT_GE(answer.taken, answer.asked);
    EXPECT_LT(answer.taken, answer.asked + absl::Seconds(4));
    answers[answer.worker] |= 1 << answer.request;
  });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(answers, std::vector<int>(12, 0b11111));
  EXPECT_EQ(result->answered, 60);
  EXPECT_EQ(result->failed, 0);
  EXPECT_GE(result->taken, absl::Seconds(4));
  EXPECT_LT(result->taken, absl::Seconds(9));  // one after the other would be ten
  EXPECT_EQ(result->counters.connects, 60u);
  for (int i = 1; i <= 60; ++i) {
    const std::string line = server.process.read_line().value_or("");
    EXPECT_EQ(line.rfind("#" + std::to_string(i) + " - ", 0), 0u) << line;
  }
  EXPECT_EQ(server.terminate(), 0);
}

TEST(Acceptance, AServerThatIsNotThereFailsAllSixty) {
  const epore::TcpPort refusing = epore::refusing_port();
  ScenarioOptions options;
  options.address = absl::StrCat("127.0.0.1:", refusing.port);
  const auto result = run_acceptance_scenario(
      options, [](const ScenarioAnswer& answer) { EXPECT_FALSE(answer.status.ok()); });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->failed, 60);
}

}  // namespace
}  // namespace examples
