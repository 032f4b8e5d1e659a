// Interest x trigger, and batches that are smaller than what is ready.

#include <map>
#include <vector>

#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

constexpr Token kToken{7};
const Interest kBoth = Interest::readable() | Interest::writable();

class InterestTest : public EngineTest {
 protected:
  const SocketPair pair_ = unix_pair();
  const int fd_ = pair_.a.get();
  const int peer_ = pair_.b.get();
};
EPORE_FOR_EVERY_ENGINE(InterestTest);

TEST_P(InterestTest, TellsTheDirectionsThatWereAskedForWithEachTrigger) {
  write_all(peer_, "x");  // readable, and there is room to write
  for (const Interest directions : {Interest::readable(), Interest::writable(), kBoth}) {
    for (const Interest interest : {directions.edge(), directions.level(), directions.one_shot()}) {
      SCOPED_TRACE(testing::PrintToString(interest));
      ASSERT_THAT(registry_->register_fd(fd_, kToken, interest), IsOk());
      Readiness wanted;
      if (interest.is_readable()) wanted |= Readiness::readable();
      if (interest.is_writable()) wanted |= Readiness::writable();
      EXPECT_EQ(expect_event(poll_, kToken, wanted), wanted);
      ASSERT_THAT(registry_->deregister_fd(fd_), IsOk());
    }
  }
  expect_no_events(poll_);
}

TEST_P(InterestTest, NothingIsToldOfADirectionThatIsNotReady) {
  fill(fd_);
  ASSERT_THAT(registry_->register_fd(fd_, kToken, kBoth), IsOk());
  expect_no_events(poll_);
  write_all(peer_, "x");
  EXPECT_FALSE(expect_event(poll_, kToken, Readiness::readable()).is_writable());
}

TEST_P(InterestTest, AnEdgeIsToldOnceWhereThereAreEdges) {
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  write_all(peer_, "x");
  expect_event(poll_, kToken, Readiness::readable());
  if (registry_->has_edges()) {
    expect_no_events(poll_);
  } else {
    expect_event(poll_, kToken, Readiness::readable());
  }
}

TEST_P(InterestTest, ReadingUntilEagainGetsEveryEdge) {
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  for (int round = 0; round < 100; ++round) {
    expect_no_events(poll_);
    write_all(peer_, "round");
    expect_event(poll_, kToken, Readiness::readable());
    EXPECT_EQ(read_available(fd_), "round");
  }
}

TEST_P(InterestTest, WritingUntilEagainGetsAnEdgeWhenThereIsRoom) {
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::writable()), IsOk());
  for (int round = 0; round < 10; ++round) {
    expect_event(poll_, kToken, Readiness::writable());
    fill(fd_);
    expect_no_events(poll_);
    read_available(peer_);
  }
}

TEST_P(InterestTest, LevelIsToldWhileItLastsAndNoLonger) {
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable().level()), IsOk());
  write_all(peer_, "xy");
  char byte;
  for (int i = 0; i < 3; ++i) expect_event(poll_, kToken, Readiness::readable());
  ASSERT_EQ(Kernel::real().read(fd_, &byte, 1).value(), 1);
  expect_event(poll_, kToken, Readiness::readable());
  read_available(fd_);
  expect_no_events(poll_);
}

TEST_P(InterestTest, OneShotIsToldOnceAndThenSilentUntilReregistered) {
  SocketPair pair = unix_pair();
  const int fd = pair.a.get();
  ASSERT_THAT(registry_->register_fd(fd, kToken, kBoth.one_shot()), IsOk());
  EXPECT_EQ(take_events(poll_).size(), 1u);
  write_all(pair.b.get(), "x");
  pair.b.reset();  // not even hang-ups
  expect_no_events(poll_);
  ASSERT_THAT(registry_->reregister_fd(fd, kToken, Interest::readable().one_shot()), IsOk());
  expect_event(poll_, kToken, Readiness::readable() | Readiness::read_closed());
  EXPECT_EQ(read_available(fd), "x");
  expect_no_events(poll_);
}

TEST_P(InterestTest, ReregisteringReplacesTokenAndInterest) {
  write_all(peer_, "x");
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  ASSERT_THAT(registry_->reregister_fd(fd_, Token{8}, Interest::writable()), IsOk());
  EXPECT_EQ(expect_event(poll_, Token{8}, Readiness::writable()), Readiness::writable());
  ASSERT_THAT(registry_->reregister_fd(fd_, Token{9}, Interest::readable().level()), IsOk());
  expect_event(poll_, Token{9}, Readiness::readable());
  expect_event(poll_, Token{9}, Readiness::readable());
}

TEST_P(InterestTest, ReregisteringReportsAPresentReadinessAgain) {
  write_all(peer_, "x");
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::readable()), IsOk());
  for (int i = 0; i < 3; ++i) {
    expect_event(poll_, kToken, Readiness::readable());
    ASSERT_THAT(registry_->reregister_fd(fd_, kToken, Interest::readable()), IsOk());
  }
}

TEST_P(InterestTest, TokensComeBackUntouched) {
  const std::uint64_t values[] = {0, 1, 0x8000'0000, 0xffff'ffff'ffff'ffff, 0x0123'4567'89ab'cdef};
  std::vector<SocketPair> pairs;
  std::vector<ExpectedEvent> expected;
  for (const std::uint64_t value : values) {
    pairs.push_back(unix_pair());
    ASSERT_THAT(registry_->register_fd(pairs.back().a.get(), Token{value}, Interest::writable()),
                IsOk());
    expected.push_back({Token{value}, Readiness::writable()});
  }
  expect_events(poll_, expected);
}

TEST_P(InterestTest, TwoRegistrationsMayShareAToken) {
  ASSERT_THAT(registry_->register_fd(fd_, kToken, Interest::writable()), IsOk());
  ASSERT_THAT(registry_->register_fd(peer_, kToken, Interest::writable()), IsOk());
  EXPECT_EQ(take_events(poll_).size(), 2u);
}

TEST_P(InterestTest, HangUpAloneTellsOfNothingElse) {
  SocketPair pair = tcp_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), Token{1}, Interest::hang_up().one_shot()),
              IsOk());
  write_all(pair.b.get(), "x");
  expect_no_events(poll_);
  reset(pair.b);
  expect_event(poll_, Token{1}, Readiness::error());
  expect_no_events(poll_);
}

// Registers `count` sockets that are ready to be written to, with the tokens 0, 1, ...
class BatchTest : public EngineTest {
 protected:
  void register_ready(int count, Interest interest) {
    for (int i = 0; i < count; ++i) {
      pairs_.push_back(unix_pair());
      ASSERT_THAT(registry_->register_fd(pairs_.back().a.get(),
                                         Token{static_cast<std::uint64_t>(i)}, interest),
                  IsOk());
    }
  }

  // How often each token came in `polls` polls of `capacity`.
  std::map<std::uint64_t, int> count_events(int polls, std::size_t capacity) {
    std::map<std::uint64_t, int> seen;
    Events events(capacity);
    for (int i = 0; i < polls; ++i) {
      EXPECT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
      EXPECT_LE(events.size(), capacity);
      for (const Event& event : events) ++seen[event.token.value];
    }
    return seen;
  }

  std::vector<SocketPair> pairs_;
};
EPORE_FOR_EVERY_ENGINE(BatchTest);

TEST_P(BatchTest, ASmallBatchLosesNoOneShot) {
  register_ready(10, Interest::writable().one_shot());
  const auto seen = count_events(10, 1);
  EXPECT_EQ(seen.size(), 10u);
  for (const auto& [token, times] : seen) EXPECT_EQ(times, 1) << token;
  expect_no_events(poll_);
}

TEST_P(BatchTest, ASmallBatchLosesNoEdge) {
  register_ready(10, Interest::writable());
  EXPECT_EQ(count_events(4, 3).size(), 10u);
}

// A runtime judges a timeout behind such a batch: what was ready in time has then been reported.
TEST_P(BatchTest, ABatchThatIsNotFullHasEverythingThatIsReady) {
  constexpr int kMany = 100;
  register_ready(kMany, Interest::readable());
  expect_no_events(poll_);
  for (int round = 0; round < 3; ++round) {
    for (const SocketPair& pair : pairs_) write_all(pair.b.get(), "x");
    EXPECT_EQ(count_events(1, 2 * kMany).size(), static_cast<std::size_t>(kMany));
    for (const SocketPair& pair : pairs_) EXPECT_EQ(read_available(pair.a.get()), "x");
  }
}

// io_uring tells that a poll was cancelled where an event could have been.
TEST_P(BatchTest, ReplacedRegistrationsHideNothing) {
  std::vector<SocketPair> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(unix_pair());
    ASSERT_THAT(registry_->register_fd(idle.back().a.get(), Token{99}, Interest::readable()),
                IsOk());
  }
  expect_no_events(poll_);
  for (std::size_t i = 0; i < idle.size(); ++i) {
    ASSERT_THAT(registry_->reregister_fd(idle[i].a.get(), Token{99}, Interest::readable()), IsOk());
    if (i % 5 != 0) continue;
    pairs_.push_back(unix_pair());
    ASSERT_THAT(registry_->register_fd(pairs_.back().a.get(), Token{i}, Interest::writable()),
                IsOk());
  }
  EXPECT_EQ(count_events(1, 100).size(), pairs_.size());
}

TEST_P(BatchTest, ASmallBatchStarvesNobody) {
  register_ready(10, Interest::writable().level());
  const auto seen = count_events(30, 1);
  EXPECT_EQ(seen.size(), 10u);
  for (const auto& [token, times] : seen) EXPECT_EQ(times, 3) << token;
}

TEST_P(BatchTest, ASmallBatchStarvesNobodyWhileOthersComeAndGo) {
  register_ready(10, Interest::writable().level());
  std::map<std::uint64_t, int> seen;
  const SocketPair visitor = unix_pair();
  Events events(1);
  for (int i = 0; i < 200; ++i) {
    ASSERT_THAT(registry_->register_fd(visitor.a.get(), Token{99}, Interest::readable()), IsOk());
    ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
    for (const Event& event : events) ++seen[event.token.value];
    ASSERT_THAT(registry_->deregister_fd(visitor.a.get()), IsOk());
  }
  EXPECT_EQ(seen.size(), 10u);
  for (const auto& [token, times] : seen) EXPECT_EQ(times, 20) << token;
}

TEST_P(BatchTest, AWakerIsNotStarvedByASmallBatch) {
  register_ready(10, Interest::writable().level());
  const Waker waker = make_waker(Token{99});
  ASSERT_THAT(waker.wake(), IsOk());
  EXPECT_EQ(count_events(11, 1).count(99), 1u);
}

TEST_P(BatchTest, EachPollReplacesTheBatch) {
  register_ready(1, Interest::writable().one_shot());
  Events events(8);
  ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
  EXPECT_EQ(events.size(), 1u);
  ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
  EXPECT_TRUE(events.empty());
}

}  // namespace
}  // namespace epore
