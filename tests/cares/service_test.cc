// The order in which the targets of a service are tried, and which names may be asked for.

#include "epore/runtime/cares/service.h"

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace epore::internal {
namespace {

ServiceTarget target(const std::string& host, std::uint16_t priority, std::uint16_t weight) {
  return {.host = host, .port = 80, .priority = priority, .weight = weight};
}

// The hosts in their order, by these lots.
std::string order(std::vector<ServiceTarget> targets, const std::vector<std::uint32_t>& lots) {
  std::size_t next = 0;
  order_targets(targets, [&](std::uint32_t most) {
    const std::uint32_t lot = lots.at(next++ % lots.size());
    EXPECT_LE(lot, most);
    return lot;
  });
  std::string hosts;
  for (const ServiceTarget& t : targets) hosts += t.host;
  return hosts;
}

TEST(OrderTargets, TheLowerPriorityComesFirst) {
  EXPECT_EQ(order({target("a", 20, 0), target("b", 10, 0), target("c", 15, 0)}, {0}), "bca");
  EXPECT_EQ(order({}, {0}), "");
}

// The example of RFC 2782: the lot is at most the sum, and the first whose sum reaches it is
// chosen.
TEST(OrderTargets, TheLotDecidesAmongThoseOfOnePriority) {
  const std::vector<ServiceTarget> targets = {target("a", 0, 1), target("b", 0, 3),
                                              target("z", 0, 0)};
  EXPECT_EQ(order(targets, {0, 0, 0}), "zab") << "zeros come first in the list";
  EXPECT_EQ(order(targets, {1, 0, 0}), "azb");
  EXPECT_EQ(order(targets, {2, 1, 0}), "baz");
  EXPECT_EQ(order(targets, {4, 0, 1}), "bza");
}

TEST(OrderTargets, LotsAreDrawnForEachPriority) {
  const std::vector<ServiceTarget> targets = {target("a", 1, 1), target("b", 2, 1),
                                              target("c", 1, 1), target("d", 2, 1)};
  EXPECT_EQ(order(targets, {2, 1, 1, 1}), "cabd");
}

TEST(OrderTargets, EachComesFirstAsOftenAsItsWeightSays) {
  std::mt19937 random(1);
  std::map<std::string, int> first;
  for (int i = 0; i < 10'000; ++i) {
    std::vector<ServiceTarget> targets = {target("a", 0, 10), target("b", 0, 30),
                                          target("c", 0, 60), target("z", 0, 0)};
    order_targets(targets, [&](std::uint32_t most) {
      return std::uniform_int_distribution<std::uint32_t>(0, most)(random);
    });
    ++first[targets.front().host];
  }
  EXPECT_NEAR(first["a"], 1'000, 150);
  EXPECT_NEAR(first["b"], 3'000, 200);
  EXPECT_NEAR(first["c"], 6'000, 200);
  EXPECT_GT(first["z"], 0) << "a very small chance";
  EXPECT_LT(first["z"], 250);
}

TEST(OrderTargets, TheLargestWeightsDoNotOverflow) {
  std::vector<ServiceTarget> targets(5'000, target("a", 0, 65'535));
  order_targets(targets, [](std::uint32_t most) { return most; });
  EXPECT_EQ(targets.size(), 5'000u);
}

TEST(CheckName, TakesNamesOfHostsAndServices) {
  const std::string label(63, 'a');
  for (const std::string& name :
       {std::string("example.com"), std::string("example.com."), std::string("localhost"),
        std::string("_http._tcp.example.org"), std::string("xn--bcher-kva.example"),
        std::string("1.2"), label,
        absl::StrCat(label, ".", label, ".", label, ".", label.substr(2)),
        absl::StrCat(label, ".", label, ".", label, ".", label.substr(2), ".")}) {
    EXPECT_TRUE(check_name(name).ok()) << name;
  }
}

TEST(CheckName, F53RefusesWhatIsNoName) {
  const std::string label(63, 'a');
  struct {
    std::string name;
    std::string_view why;
  } const cases[] = {
      {"", "empty"},
      {".", "empty"},
      {"a..b", "an empty label"},
      {".a", "an empty label"},
      {"a..", "an empty label"},
      {label + "a", "a label of more than 63 characters"},
      {absl::StrCat(label, ".", label, ".", label, ".", label), "more than 253 characters"},
      {std::string("good.example\0.evil.example", 26), "only letters"},
      {"a b", "only letters"},
      {"a\\.b", "only letters"},
      {"b\xC3\xBC"
       "cher.example",
       "only letters"},
      {"a/b", "only letters"},
      {"*.example", "only letters"},
  };
  for (const auto& c : cases) {
    const absl::Status status = check_name(c.name);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.name;
    EXPECT_TRUE(absl::StrContains(status.message(), c.why)) << status;
  }
}

}  // namespace
}  // namespace epore::internal
