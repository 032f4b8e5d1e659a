#include "tests/support/expect_events.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/print.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

constexpr std::size_t kBatch = 256;
constexpr int kMaxPolls = 10'000;  // a bound for events that keep coming, but never the right one
constexpr Token kFence{0xfe9ce0fe9ce0fe9c};

bool contains(Readiness all, Readiness part) { return (all | part) == all; }

testing::ScopedTrace trace(std::source_location where, const char* what) {
  return testing::ScopedTrace(where.file_name(), static_cast<int>(where.line()), what);
}

}  // namespace

std::map<std::uint64_t, Readiness> expect_events(Poll& poll,
                                                 const std::vector<ExpectedEvent>& expected,
                                                 std::source_location where) {
  const testing::ScopedTrace here = trace(where, "expect_events");
  std::map<std::uint64_t, Readiness> seen;
  const auto is_complete = [&] {
    return std::all_of(expected.begin(), expected.end(), [&](const ExpectedEvent& want) {
      const auto found = seen.find(want.token.value);
      return found != seen.end() && contains(found->second, want.readiness);
    });
  };
  Events events(kBatch);
  for (int polls = 0; !is_complete(); ++polls) {
    const absl::Status polled = poll.poll(events, kHangGuard);
    if (!polled.ok() || events.empty() || polls == kMaxPolls) {
      ADD_FAILURE() << "poll: " << polled << ", " << events.size() << " events, after " << polls
                    << " polls; so far: " << testing::PrintToString(seen);
      break;
    }
    for (const Event& event : events) {
      EXPECT_TRUE(std::any_of(expected.begin(), expected.end(),
                              [&](const ExpectedEvent& want) { return want.token == event.token; }))
          << "nobody expected " << testing::PrintToString(event);
      seen[event.token.value] |= event.readiness;
    }
  }
  return seen;
}

Readiness expect_event(Poll& poll, Token token, Readiness readiness, std::source_location where) {
  return expect_events(poll, {{token, readiness}}, where)[token.value];
}

std::vector<Event> take_events(Poll& poll, std::source_location where) {
  const testing::ScopedTrace here = trace(where, "take_events");
  const Pipe fence = make_pipe();
  write_all(fence.writer.get(), "x");
  const std::shared_ptr<Registry> registry = poll.registry();
  EXPECT_EQ(registry->register_fd(fence.reader.get(), kFence, Interest::readable()),
            absl::OkStatus());
  std::vector<Event> taken;
  Events events(kBatch);
  bool is_over = false;
  while (!is_over) {
    const absl::Status polled = poll.poll(events, kHangGuard);
    if (!polled.ok() || events.empty()) {
      ADD_FAILURE() << "the fence did not come: " << polled;
      break;
    }
    for (const Event& event : events) {
      if (event.token == kFence) {
        is_over = true;
      } else {
        taken.push_back(event);
      }
    }
  }
  EXPECT_EQ(registry->deregister_fd(fence.reader.get()), absl::OkStatus());
  return taken;
}

void expect_no_events(Poll& poll, std::source_location where) {
  const testing::ScopedTrace here = trace(where, "expect_no_events");
  const std::vector<Event> taken = take_events(poll, where);
  EXPECT_TRUE(taken.empty()) << testing::PrintToString(taken);
}

}  // namespace epore
