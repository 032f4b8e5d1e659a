// The small value types: Token, Interest, Readiness, Event, Events.

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "epore/poll/events.h"
#include "epore/poll/interest.h"
#include "gtest/gtest.h"
#include "tests/support/print.h"

namespace epore {
namespace {

static_assert(sizeof(Token) == 8 && sizeof(Interest) == 2 && sizeof(Event) == 16);
static_assert(std::is_trivially_copyable_v<Event> && std::is_trivially_copyable_v<Interest>);

TEST(InterestTest, DirectionsAddUpAndTheTriggerIsThatOfTheFirst) {
  constexpr Interest both = Interest::readable().level() | Interest::writable();
  static_assert(both.is_readable() && both.is_writable() && both.trigger() == Trigger::level);
  static_assert(Interest::readable().trigger() == Trigger::edge);
  EXPECT_EQ(both - Interest::writable(), Interest::readable().level());
  EXPECT_NE(both, both.edge());
  EXPECT_NE(both, both - Interest::readable());
  EXPECT_EQ(both.one_shot().edge().level(), both);
  EXPECT_TRUE((both - both).is_empty());
  EXPECT_FALSE(both.is_empty());
}

TEST(ReadinessTest, BitsAreIndependent) {
  const Readiness all[] = {Readiness::readable(), Readiness::writable(), Readiness::read_closed(),
                           Readiness::write_closed(), Readiness::error()};
  Readiness sum;
  EXPECT_TRUE(sum.is_empty());
  for (const Readiness& one : all) {
    EXPECT_FALSE(one.is_empty());
    EXPECT_NE(sum | one, sum);
    sum |= one;
    EXPECT_EQ(sum | one, sum);
  }
  EXPECT_TRUE(sum.is_readable() && sum.is_writable() && sum.is_read_closed() &&
              sum.is_write_closed() && sum.is_error());
  EXPECT_EQ(testing::PrintToString(sum), "readable|writable|read_closed|write_closed|error");
}

TEST(EventsTest, CapacityZeroIsOne) {
  EXPECT_EQ(Events(0).capacity(), 1u);
  EXPECT_EQ(Events(1024).capacity(), 1024u);
}

TEST(EventsTest, ABatchIsAnArrayOfEvents) {
  Events events(2);
  EXPECT_TRUE(events.empty());
  events.push_back({Token{1}, Readiness::readable()});
  events.push_back({Token{2}, Readiness::writable()});
  std::uint64_t tokens = 0;
  for (const Event& event : events) tokens = 10 * tokens + event.token.value;
  EXPECT_EQ(tokens, 12u);
  EXPECT_EQ(events[1].token, Token{2});
  Events moved = std::move(events);
  EXPECT_EQ(moved.size(), 2u);
  events = Events(3);
  EXPECT_EQ(events.capacity(), 3u);
  moved.clear();
  EXPECT_TRUE(moved.empty());
}

TEST(EventsTest, AMovedFromBatchCanBeFilledAgain) {
  Events events(3);
  events.scratch(12);
  const Events moved = std::move(events);
  EXPECT_NE(events.scratch(12), nullptr);  // NOLINT(bugprone-use-after-move)
}

TEST(EventsTest, ScratchIsKeptAndAligned) {
  Events events(3);
  void* const small = events.scratch(12);
  EXPECT_EQ(events.scratch(12), small);
  EXPECT_EQ(events.scratch(4), small);
  void* const large = events.scratch(64);
  static_cast<std::byte*>(large)[3 * 64 - 1] = std::byte{1};
  for (void* room : {small, large}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(room) % alignof(std::max_align_t), 0u);
  }
}

}  // namespace
}  // namespace epore
