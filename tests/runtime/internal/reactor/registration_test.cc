#include "epore/runtime/internal/reactor/registration.h"

#include <atomic>
#include <cstdint>
#include <thread>

#include "gtest/gtest.h"
#include "tests/runtime/internal/reactor/core_test_base.h"

namespace epore::internal {
namespace {

// A runner's view of a registration.
class Watched final : public Registration {
 public:
  explicit Watched(Reactor& home) : Registration(home, Kind::lasting) {}
  void run() override {}
  std::string describe() const override { return "a test"; }
  void expired() override {}
  void shut_down(ShutdownStep) override {}

  std::uint32_t mark() const { return edges_.mark(Direction::read); }
  bool may_have_more() const {
    return (hints_.load(std::memory_order_relaxed) & kMayHaveMore) != 0;
  }
  void clear_hints() { hints_.store(0, std::memory_order_relaxed); }
};

class RegistrationTest : public CoreTest {};

// A runner that has seen the edge of an end of file must see the hint that came with it: it takes a
// short read for the last one otherwise, and the end is never read.
TEST_F(RegistrationTest, AnEdgeIsNeverSeenBeforeItsHints) {
  constexpr std::uint32_t kRounds = 20'000;
  const auto watched = Ref<Watched>::adopt(new Watched(reactor()));
  std::atomic<std::uint32_t> go{0};
  std::thread leader([&] {
    for (std::uint32_t round = 1; round <= kRounds; ++round) {
      while (go.load(std::memory_order_acquire) != round) {
      }
      (void)watched->ready(Readiness::readable() | Readiness::read_closed());
    }
  });
  std::uint32_t missed = 0;
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    watched->clear_hints();
    const std::uint32_t before = watched->mark();
    go.store(round, std::memory_order_release);
    while (watched->mark() == before) {
    }
    if (!watched->may_have_more()) ++missed;
  }
  leader.join();
  EXPECT_EQ(missed, 0u);
}

TEST_F(RegistrationTest, UrgentDataAreAHintAsWell) {
  const auto watched = Ref<Watched>::adopt(new Watched(reactor()));
  EXPECT_TRUE(watched->ready(Readiness::readable()));
  EXPECT_FALSE(watched->may_have_more());
  EXPECT_TRUE(watched->ready(Readiness::readable() | Readiness::priority()));
  EXPECT_TRUE(watched->may_have_more());
}

}  // namespace
}  // namespace epore::internal
