// Contracts 5, 7 and 10 with as many descriptors as a large service has.

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

constexpr std::size_t kWanted = 20'000;
constexpr std::size_t kReserve = 200;  // for what else the test has open

// How many descriptors a test may open, after an attempt to get more.
std::size_t room() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit more = {std::max<rlim_t>(limit.rlim_cur, kWanted + kReserve),
                 std::max<rlim_t>(limit.rlim_max, kWanted + kReserve)};
  if (::setrlimit(RLIMIT_NOFILE, &more) != 0) {
    more = {limit.rlim_max, limit.rlim_max};
    (void)::setrlimit(RLIMIT_NOFILE, &more);
  }
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= kReserve) return 0;
  return limit.rlim_cur - kReserve;
}

class ScaleTest : public EngineTest {
 protected:
  // The tokens of the next `count` different events, which come in several batches.
  std::set<std::uint64_t> take(std::size_t count) {
    std::set<std::uint64_t> seen;
    Events events(1024);
    while (seen.size() < count) {
      EXPECT_THAT(poll_.poll(events, kHangGuard), IsOk());
      if (events.empty()) {
        ADD_FAILURE() << "only " << seen.size() << " of " << count;
        break;
      }
      for (const Event& event : events) seen.insert(event.token.value);
    }
    return seen;
  }
};
EPORE_FOR_EVERY_ENGINE(ScaleTest);

TEST_P(ScaleTest, TwentyThousandDescriptorsAreAllTold) {
  const std::size_t count = std::min(kWanted, room());
  if (count < kWanted / 2) GTEST_SKIP() << "RLIMIT_NOFILE has room for " << count << " only";
  RecordProperty("descriptors", static_cast<int>(count));
  std::vector<OwnedFd> fds;
  for (std::size_t i = 0; i < count; ++i) {
    fds.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    ASSERT_TRUE(fds.back().is_valid()) << i;
    ASSERT_THAT(registry_->register_fd(fds.back().get(), Token{i}, Interest::readable()), IsOk());
  }
  expect_no_events(poll_);

  const std::uint64_t one = 1;
  std::set<std::uint64_t> some;
  for (std::size_t i = 0; i < count; i += 97) {
    some.insert(i);
    ASSERT_EQ(::write(fds[i].get(), &one, sizeof one), 8);
  }
  EXPECT_EQ(take(some.size()), some);
  std::uint64_t value;
  for (const std::uint64_t i : some) ASSERT_EQ(::read(fds[i].get(), &value, sizeof value), 8);
  expect_no_events(poll_);

  for (const OwnedFd& fd : fds) ASSERT_EQ(::write(fd.get(), &one, sizeof one), 8);
  EXPECT_EQ(take(count).size(), count);
  for (const OwnedFd& fd : fds) {
    ASSERT_THAT(registry_->reregister_fd(fd.get(), Token{count}, Interest::readable().one_shot()),
                IsOk());
  }
  EXPECT_EQ(take(1), std::set<std::uint64_t>{count});
  for (const OwnedFd& fd : fds) ASSERT_THAT(registry_->deregister_fd(fd.get()), IsOk());
  expect_no_events(poll_);
}

}  // namespace
}  // namespace epore
