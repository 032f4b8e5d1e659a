#ifndef EPORE_TESTS_SUPPORT_EXPECT_EVENTS_H_
#define EPORE_TESTS_SUPPORT_EXPECT_EVENTS_H_

#include <map>
#include <ostream>
#include <source_location>
#include <vector>

#include "absl/time/time.h"
#include "epore/poll/poll.h"

namespace epore {

// How long a wait in a test may last before it counts as hung. Never reached by a test that passes.
inline constexpr absl::Duration kHangGuard = absl::Seconds(60);

// A token and what it is expected to be ready for, at least.
struct ExpectedEvent {
  Token token;
  Readiness readiness;
};

// Polls until each of `expected` has come with at least its readiness, be it in several events or
// polls. Expected tokens may come more often and with more (readiness is a hint); any other token
// fails the test. Returns the union of what came, by token value.
std::map<std::uint64_t, Readiness> expect_events(
    Poll& poll, const std::vector<ExpectedEvent>& expected,
    std::source_location where = std::source_location::current());

// The same for one.
Readiness expect_event(Poll& poll, Token token, Readiness readiness,
                       std::source_location where = std::source_location::current());

// Fails if anything is ready, without waiting for time to pass: makes a descriptor of its own ready
// and polls until that is reported; what happened before the call would have come first. (Only what
// has reached this side counts: bytes that a TCP peer has just sent may still be on their way.)
void expect_no_events(Poll& poll, std::source_location where = std::source_location::current());

// All events that are there now, by the same means, in order.
std::vector<Event> take_events(Poll& poll,
                               std::source_location where = std::source_location::current());

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_EXPECT_EVENTS_H_
