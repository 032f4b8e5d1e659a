// What becomes of a Poll that finds no memory, on every engine: each allocation fails in turn. The
// call says so and loses nothing.

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/poll/conformance/engine_test.h"
#include "tests/support/scarce_memory.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

constexpr std::uint64_t kPairs = 40;

class ScarcePollTest : public EngineTest {
 protected:
  ScarcePollTest() {
    for (std::uint64_t i = 0; i < kPairs; ++i) {
      pairs_.push_back(unix_pair());
      write_all(pairs_.back().b.get(), "x");
    }
  }

  // Calls one(k) for all k. It returns the status of a call whose k-th allocation has failed.
  template <typename One>
  void for_each_allocation(One one) {
    was_reached_ = true;
    for (int k = 1; was_reached_; ++k) {
      SCOPED_TRACE(k);
      const absl::Status status = one(k);
      EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
      EXPECT_TRUE(was_reached_ || status.ok());
    }
  }

  template <typename Call>
  absl::Status with_failure(int k, Call call) {
    ScarceMemory::fail(k);
    const absl::Status status = call();
    was_reached_ = ScarceMemory::stop();
    return status;
  }

  bool was_reached_ = true;
  std::vector<SocketPair> pairs_;
};

EPORE_FOR_EVERY_ENGINE(ScarcePollTest);

TEST_P(ScarcePollTest, APollThatIsNotMadeSaysSo) {
  for_each_allocation([&](int k) {
    const PollOptions given = {.selector = GetParam()};  // the tests' kernel allocates as well
    return with_failure(k, [&] { return Poll::create(given).status(); });
  });
}

TEST_P(ScarcePollTest, ARingThatIsNotMadeSaysSo) {
  if (GetParam() != "io_uring") return;
  for (int k = 1; k <= 3; ++k) {  // on the thread that makes it
    kernel_.after(KernelCall::kIoUringSetup,
                  [k](const FaultKernel::Call&) { ScarceMemory::fail(k); });
    const absl::Status made = Poll::create(options()).status();
    EXPECT_TRUE(made.ok() || absl::IsResourceExhausted(made)) << made;
  }
}

TEST_P(ScarcePollTest, AWakerThatIsNotMadeSaysSo) {
  for_each_allocation([&](int k) {
    const Poll poll = make_poll();
    return with_failure(k, [&] { return Waker::create(poll.registry(), Token{1}).status(); });
  });
}

TEST_P(ScarcePollTest, ARegistrationIsMadeOrNot) {
  for_each_allocation([&](int k) {
    const Poll poll = make_poll();
    const auto add = [&](const SocketPair& pair) {
      return poll.registry()->register_fd(pair.a.get(), Token{1}, Interest::readable());
    };
    std::size_t next = 0;
    const absl::Status first = with_failure(k, [&] {
      absl::Status added;
      while (added.ok() && next < pairs_.size()) added = add(pairs_[next++]);
      return added;
    });
    if (!first.ok()) --next;
    for (; next < pairs_.size(); ++next) EXPECT_THAT(add(pairs_[next]), IsOk());
    return first;
  });
}

TEST_P(ScarcePollTest, AWaitLosesNothing) {
  for_each_allocation([&](int k) {
    Poll poll = make_poll();
    const absl::StatusOr<Waker> waker = Waker::create(poll.registry(), Token{kPairs});
    EXPECT_THAT(waker->wake(), IsOk());
    const Interest once = Interest::readable().one_shot();
    for (std::uint64_t i = 0; i < kPairs; ++i) {
      EXPECT_THAT(poll.registry()->register_fd(pairs_[i].a.get(), Token{i}, once), IsOk());
    }
    Events events(2 * kPairs);
    std::set<std::uint64_t> seen;
    const auto note = [&] {
      for (const Event& event : events) seen.insert(event.token.value);
    };
    const absl::Status first =
        with_failure(k, [&] { return poll.poll(events, absl::ZeroDuration()); });
    if (first.ok()) note();
    for (int i = 0; i < 100 && seen.size() <= kPairs; ++i) {
      EXPECT_THAT(poll.poll(events, absl::ZeroDuration()), IsOk());
      note();
    }
    EXPECT_EQ(seen.size(), kPairs + 1);
    return first;
  });
}

}  // namespace
}  // namespace epore
