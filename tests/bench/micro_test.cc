// Rounds too short to measure anything: only whether all of it works.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/micro_report.h"
#include "tests/bench/micro_side.h"

namespace epore::bench {
namespace {

void quiet(std::string_view, double) {}

class MicroTest : public testing::TestWithParam<Dispatch> {
 protected:
  absl::StatusOr<MicroResult> run() {
    std::vector<std::unique_ptr<MicroSide>> sides;
    sides.push_back(make_epore_side(GetParam(), 2));
    if (std::unique_ptr<MicroSide> asio = make_asio_side()) sides.push_back(std::move(asio));
    return run_micro(sides, {.rounds = 2, .scale = 0.002, .filter = ""}, quiet);
  }
};

TEST_P(MicroTest, EveryCaseRunsOnBothSides) {
  const absl::StatusOr<MicroResult> result = run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->rows.size(), 29u);
  for (const MicroRow& row : result->rows) {
    for (const MicroCost& cost : row.costs) EXPECT_EQ(cost.wall_ns.size(), 2u) << row.name;
  }
  for (const MicroMemory& memory : {result->memory, result->task_memory}) {
    ASSERT_EQ(memory.bytes.size(), result->names.size());
    EXPECT_GE(memory.bytes[0], result->has_heap ? 100 : 0);
  }
  const std::string text = text_report(*result, Machine());
  EXPECT_THAT(text, testing::HasSubstr("post, 4 other threads"));
  EXPECT_THAT(json_report(*result, Machine()), testing::HasSubstr("\"wall_ns\""));
}

INSTANTIATE_TEST_SUITE_P(Dispatch, MicroTest,
                         testing::Values(Dispatch::workers, Dispatch::poll_thread),
                         [](const auto& info) { return std::string(dispatch_name(info.param)); });

}  // namespace
}  // namespace epore::bench
