#include "tests/bench/report.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/bench/baselines.h"
#include "tests/bench/machine.h"
#include "tests/bench/rounds.h"
#include "tests/bench/sample.h"
#include "tests/bench/text_table.h"

namespace epore::bench {
namespace {

std::vector<Sample> rounds_with_cpu(double first, double second, double third) {
  std::vector<Sample> samples;
  for (const double cpu : {first, second, third}) {
    samples.push_back({.messages = 10, .rate = 1e6 / cpu, .p50_us = 1, .p99_us = 2, .cpu_ns = cpu});
  }
  return samples;
}

RoundsResult example() {
  RoundsResult result;
  result.options.contenders = parse_contenders("epoll,epore,asio,uring").value();
  result.options.rounds = 3;
  result.cores = {.server = 1, .load = 0};
  for (const ContenderSpec& spec : result.options.contenders) {
    result.contenders.push_back({.spec = spec, .version = "1.0 of " + spec.name, .skipped = {}});
  }
  result.contenders[3].skipped = "refused by the kernel";
  result.workloads = {
      {.connections = 1,
       .samples = {rounds_with_cpu(100, 200, 400),
                   rounds_with_cpu(110, 240, 400),
                   rounds_with_cpu(200, 400, 800),
                   {}}},
      {.connections = 50,
       .samples = {rounds_with_cpu(100, 100, 100),
                   rounds_with_cpu(90, 90, 90),
                   rounds_with_cpu(180, 180, 180),
                   {}}},
  };
  return result;
}

Machine machine(const std::string& kernel, const std::string& build, bool is_optimised) {
  Machine machine;
  machine.kernel = kernel;
  machine.build = build;
  machine.is_optimised = is_optimised;
  return machine;
}

TEST(BaselinesTest, AreTheFloorAndAsioAsFarAsTheyTookPart) {
  RoundsResult result = example();
  ASSERT_EQ(baselines(result).size(), 2u);
  EXPECT_EQ(baselines(result)[1].index, 2u);
  result.contenders[2].skipped = "built without Boost";
  EXPECT_EQ(baselines(result).size(), 1u);
}

TEST(BaselinesTest, RatiosAreMediansOverRoundsOfMeansOverWorkloads) {
  const RoundsResult result = example();
  EXPECT_DOUBLE_EQ(ratio_to(result.workloads[0], 1, 0, &Sample::cpu_ns).median, 1.1);
  EXPECT_DOUBLE_EQ(ratio_to(result.workloads[0], 1, 2, &Sample::cpu_ns).median, 0.55);
  EXPECT_DOUBLE_EQ(mean_cpu_ratio(result, 1, 0).median, 1.0);
  EXPECT_DOUBLE_EQ(mean_cpu_ratio(result, 1, 0).interval.low, 0.95);
  EXPECT_DOUBLE_EQ(mean_cpu_ratio(result, 1, 0).interval.high, 1.05);
  EXPECT_DOUBLE_EQ(mean_cpu_ratio(result, 1, 2).median, 0.525);
}

TEST(ReportTest, TextNamesEveryContenderAndEveryRatio) {
  const std::string text = text_report(example(), machine("Linux 9", "optimised", true));
  for (const char* part :
       {"Linux 9", "epoll: 1.0 of epoll", "uring: skipped: refused by the kernel", "50 connections",
        "1.100 [1.000 1.200]", "0.550 [0.500 0.600]", "mean over 1, 50 connections",
        "0.525 [0.500 0.550]", "0 rounds, none discarded"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find("warning"), std::string::npos);
}

TEST(ReportTest, WarnsOfBuildsAndMachinesThatMeasureLittle) {
  RoundsResult result = example();
  result.cores = {.server = 0, .load = 0};
  const std::string text = warnings(result, machine("", "not optimised", false));
  EXPECT_NE(text.find("this build is not optimised"), std::string::npos);
  EXPECT_NE(text.find("only one core"), std::string::npos);
}

TEST(ReportTest, WarnsOfABusyMachine) {
  RoundsResult result = example();
  for (Sample& sample : result.workloads[1].samples[2]) sample.load_waited = 0.5;
  EXPECT_NE(warnings(result, machine("", "", true)).find("up to 50%"), std::string::npos);
}

TEST(ReportTest, JsonHasEverySample) {
  const std::string json = json_report(example(), {});
  for (const char* part : {"\"mean_cpu_ratios\"", "\"confidence\": 0.75", "\"skipped\": \"refused",
                           "\"program\": \"echo_epore\"", "240"}) {
    EXPECT_NE(json.find(part), std::string::npos) << part << "\n" << json;
  }
}

TEST(MachineTest, IsKnown) {
  const Machine machine = Machine::here();
  EXPECT_GT(machine.cores, 0);
  EXPECT_NE(machine.kernel.find("Linux"), std::string::npos);
  EXPECT_FALSE(machine.compiler.empty());
}

TEST(TextTableTest, LinesUpAndLeavesNoBlanksAtTheEnd) {
  TextTable table;
  table.add_row({"name", "n", ""});
  table.add_row({"a", "100"});
  EXPECT_EQ(table.to_string(), "name    n\na     100\n");
}

}  // namespace
}  // namespace epore::bench
