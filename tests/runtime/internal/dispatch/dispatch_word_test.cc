#include "epore/runtime/internal/dispatch/dispatch_word.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/interleavings.h"

namespace epore::internal {
namespace {

TEST(DispatchWordTest, OnlyTheFirstWakeQueues) {
  DispatchWord word;
  EXPECT_TRUE(word.wake());
  EXPECT_FALSE(word.wake());
  word.begin();
  EXPECT_TRUE(word.end());
  EXPECT_TRUE(word.wake());
}

TEST(DispatchWordTest, AClaimOfAnIdleOneIsARunAndOtherwiseAWake) {
  using Claim = DispatchWord::Claim;
  DispatchWord word;
  EXPECT_EQ(word.claim(), Claim::run);
  EXPECT_EQ(word.claim(), Claim::none);  // running: once more
  EXPECT_FALSE(word.end());
  EXPECT_EQ(word.claim(), Claim::none);  // queued
  word.begin();
  EXPECT_TRUE(word.end());
}

TEST(DispatchWordTest, AClaimOfAnIdleOneOnlyChangesNothingOtherwise) {
  DispatchWord word;
  EXPECT_TRUE(word.claim_idle());
  EXPECT_FALSE(word.claim_idle());  // running
  EXPECT_TRUE(word.end());
  EXPECT_TRUE(word.wake());
  EXPECT_FALSE(word.claim_idle());  // queued
  word.begin();
  EXPECT_FALSE(word.claim_idle());
  EXPECT_TRUE(word.end());
}

TEST(DispatchWordTest, AWakeDuringARunQueuesItOnceMore) {
  DispatchWord word;
  EXPECT_TRUE(word.wake());
  word.begin();
  EXPECT_FALSE(word.wake());
  EXPECT_FALSE(word.wake());
  EXPECT_FALSE(word.end());   // queue it again
  EXPECT_FALSE(word.wake());  // it is queued already
  word.begin();
  EXPECT_TRUE(word.end());
}

TEST(DispatchWordTest, AWakeForWhatWasPushedIsOneUnlessARunIsToComeAnyway) {
  DispatchWord word;
  EXPECT_TRUE(word.wake_pushed());
  EXPECT_TRUE(word.is_pending());
  EXPECT_FALSE(word.wake_pushed());  // queued
  word.begin();
  EXPECT_FALSE(word.is_pending());
  EXPECT_FALSE(word.wake_pushed());  // running: once more
  EXPECT_TRUE(word.is_pending());
  EXPECT_FALSE(word.wake_pushed());
  EXPECT_FALSE(word.end());
}

TEST(DispatchWordTest, OneThatOnlyItsLeaderWakesIsClaimedIfNobodyHasIt) {
  DispatchWord word;
  EXPECT_TRUE(word.claim_led());
  EXPECT_FALSE(word.claim_led());  // running
  EXPECT_FALSE(word.wake());
  EXPECT_FALSE(word.end());
  EXPECT_FALSE(word.claim_led());  // queued
  word.begin();
  EXPECT_FALSE(word.claim_led());
  EXPECT_TRUE(word.end());
  EXPECT_TRUE(word.claim_led());
  word.end_led();
  EXPECT_TRUE(word.wake());
}

// What is brought to a word's runner, and a thread that runs what is queued. Each method of a word
// is one step: of the two instructions of a failing end() the second is in a state that only end()
// leaves.
template <typename Word>
class RunModel {
 public:
  std::string violation(bool is_over) const {
    if (running_ > 1) return "two threads run it at once";
    if (queued_ > 1) return "it is queued twice";
    if (is_over && done_ != brought_) return "a wake was lost";
    return "";
  }

 protected:
  ModelThread runner() {
    for (;;) {
      co_await step("take", [this] { return queued_ > 0; });
      --queued_;
      co_await step("begin");
      word_.begin();
      ++running_;
      co_await step("look");  // at all that was brought so far, as recv() until EAGAIN does
      done_ = brought_;
      co_await step("end");
      --running_;
      if (!word_.end()) {
        co_await step("queue again");
        ++queued_;
      }
    }
  }

  int brought_ = 0;
  int done_ = 0;
  int queued_ = 0;
  int running_ = 0;
  Word word_;
};

// A thread that brings work and wakes; one that does so with wake_pushed(), in its two steps; one
// that brings some and runs it itself if nobody else has it (a poll thread); and two that run what
// is queued.
template <typename Word>
class DispatchModel : public RunModel<Word> {
 public:
  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(waker());
    threads.push_back(pusher());
    threads.push_back(poll_thread());
    threads.push_back(this->runner());
    threads.push_back(this->runner());
    return threads;
  }

  std::vector<std::int64_t> state() const {
    return {brought_, done_, queued_, running_, word_.raw()};
  }

 private:
  using RunModel<Word>::brought_;
  using RunModel<Word>::done_;
  using RunModel<Word>::queued_;
  using RunModel<Word>::running_;
  using RunModel<Word>::word_;

  ModelThread waker() {
    co_await step("bring");
    ++brought_;
    co_await step("wake");
    if (word_.wake()) {
      co_await step("queue");
      ++queued_;
    }
    co_await step("bring another");
    ++brought_;
    co_await step("wake again");
    if (word_.wake()) {
      co_await step("queue the other");
      ++queued_;
    }
  }

  ModelThread pusher() {
    co_await step("push");
    ++brought_;
    co_await step("look whether a run is to come");
    if (word_.is_pending()) co_return;
    co_await step("wake for it");
    if (word_.wake()) {
      co_await step("queue what was pushed");
      ++queued_;
    }
  }

  ModelThread poll_thread() {
    static constexpr const char* kNames[2][6] = {
        {"bring 1", "claim 1", "queue 1", "look 1", "end 1", "queue again 1"},
        {"bring 2", "claim 2", "queue 2", "look 2", "end 2", "queue again 2"}};
    for (const auto& names : kNames) {
      co_await step(names[0]);
      ++brought_;
      co_await step(names[1]);
      const DispatchWord::Claim claim = word_.claim();
      if (claim == DispatchWord::Claim::queue) {
        co_await step(names[2]);
        ++queued_;
      } else if (claim == DispatchWord::Claim::run) {
        ++running_;
        co_await step(names[3]);
        done_ = brought_;
        co_await step(names[4]);
        --running_;
        if (!word_.end()) {
          co_await step(names[5]);
          ++queued_;
        }
      }
    }
  }
};

// The real word, and what it holds as far as a test can see.
class RealWord {
 public:
  bool claim_idle() {
    const bool is_claimed = word_.claim_idle();
    is_busy_ |= is_claimed;
    return is_claimed;
  }
  bool wake() {
    again_ = is_busy_;
    is_busy_ = true;
    return word_.wake();
  }
  DispatchWord::Claim claim() {
    again_ = is_busy_;
    is_busy_ = true;
    return word_.claim();
  }
  bool claim_led() {
    is_busy_ = true;
    return word_.claim_led();
  }
  void end_led() {
    is_busy_ = false;
    again_ = false;
    word_.end_led();
  }
  void begin() {
    again_ = false;
    word_.begin();
  }
  bool end() {
    const bool is_idle = word_.end();
    is_busy_ = !is_idle;
    again_ = false;
    return is_idle;
  }
  bool is_pending() const { return word_.is_pending(); }
  bool is_busy() const { return is_busy_; }
  std::int64_t raw() const { return (is_busy_ ? 1 : 0) + (again_ ? 2 : 0); }

 private:
  bool is_busy_ = false;
  bool again_ = false;
  DispatchWord word_;
};

class WhereRunningIsPending : public RealWord {  // "it is running, and looks when it looks"
 public:
  bool is_pending() const { return is_busy(); }
};

// Mutants: what reactors without the fourth state do.
template <typename Word>
DispatchWord::Claim wake_and_begin(Word& word, bool was_idle) {
  if (!word.wake()) return DispatchWord::Claim::none;
  if (!was_idle) return DispatchWord::Claim::queue;
  word.begin();
  return DispatchWord::Claim::run;
}

class WithoutRunningAgain {  // "it is running, so it will see"
 public:
  bool wake() { return std::exchange(is_busy_, true) == false; }
  DispatchWord::Claim claim() { return wake_and_begin(*this, !is_busy_); }
  void begin() {}
  bool end() {
    is_busy_ = false;
    return true;
  }
  bool is_pending() const { return false; }
  std::int64_t raw() const { return is_busy_; }

 private:
  bool is_busy_ = false;
};

class WithoutRunning {  // "it is not in the queue, so queue it"
 public:
  bool wake() { return std::exchange(is_queued_, true) == false; }
  DispatchWord::Claim claim() { return wake_and_begin(*this, !is_queued_); }
  void begin() { is_queued_ = false; }
  bool end() { return true; }
  bool is_pending() const { return false; }
  std::int64_t raw() const { return is_queued_; }

 private:
  bool is_queued_ = false;
};

class WithoutQueued {  // every wake of one that does not run queues it
 public:
  bool wake() {
    again_ = is_running_;
    return !is_running_;
  }
  DispatchWord::Claim claim() { return wake_and_begin(*this, !is_running_); }
  void begin() { is_running_ = true; }
  bool end() {
    is_running_ = false;
    return !std::exchange(again_, false);
  }
  bool is_pending() const { return false; }
  std::int64_t raw() const { return (is_running_ ? 1 : 0) + (again_ ? 2 : 0); }

 private:
  bool is_running_ = false;
  bool again_ = false;
};

// An order: a thread that pushes; a poll thread with two events, each of which it runs itself if
// the order is idle, and otherwise pushes; and two threads that run what is queued.
class OrderModel : public RunModel<RealWord> {
 public:
  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(pusher());
    threads.push_back(poll_thread());
    threads.push_back(runner());
    threads.push_back(runner());
    return threads;
  }

  std::vector<std::int64_t> state() const {
    return {brought_, done_, queued_, running_, word_.raw()};
  }

 private:
  static constexpr const char* kNames[2][7] = {
      {"claim 1", "look 1", "end 1", "queue again 1", "push 1", "is a run to come 1", "wake 1"},
      {"claim 2", "look 2", "end 2", "queue again 2", "push 2", "is a run to come 2", "wake 2"}};

  ModelThread pusher() {
    co_await step("push");
    ++brought_;
    co_await step("look whether a run is to come");
    if (word_.is_pending()) co_return;
    co_await step("wake for it");
    if (word_.wake()) ++queued_;
  }

  ModelThread poll_thread() {
    for (const auto& names : kNames) {
      co_await step(names[0]);
      if (word_.claim_idle()) {
        ++brought_;  // into the queue of the runner, which it is now
        ++running_;
        co_await step(names[1]);
        done_ = brought_;
        co_await step(names[2]);
        --running_;
        if (!word_.end()) {
          co_await step(names[3]);
          ++queued_;
        }
        continue;
      }
      co_await step(names[4]);
      ++brought_;
      co_await step(names[5]);
      if (word_.is_pending()) continue;
      co_await step(names[6]);
      if (word_.wake()) ++queued_;
    }
  }
};

// A timer that is due four times: twice with a leader, which runs it at once if nobody has it, and,
// if the leader is relieved in one of those runs, twice with its relief; and a worker for what they
// queue.
template <bool kKnowsThatItWasRelieved>
class LedModel : public RunModel<RealWord> {
 public:
  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(lead(/*is_relief=*/false));
    threads.push_back(lead(/*is_relief=*/true));
    threads.push_back(runner());
    return threads;
  }

  std::vector<std::int64_t> state() const {
    return {brought_, done_, queued_, running_, is_exposed_, is_relieved_, word_.raw()};
  }

 private:
  static constexpr const char* kNames[2][5] = {
      {"due 1", "queue 1", "run 1", "take the lead back 1", "end 1"},
      {"due 2", "queue 2", "run 2", "take the lead back 2", "end 2"}};

  // The relief exposes nothing: nobody is left who could take over from it.
  ModelThread lead(bool is_relief) {
    if (is_relief) {
      co_await step("take the lead", [this] { return is_exposed_; });
      is_exposed_ = false;
      is_relieved_ = true;
    }
    for (const auto& names : kNames) {
      co_await step(names[0]);
      ++brought_;
      if (!word_.claim_led()) {
        co_await step(names[1]);
        if (word_.wake()) ++queued_;
        continue;
      }
      ++running_;
      is_exposed_ = !is_relief;
      co_await step(names[2]);
      done_ = brought_;
      co_await step(names[3]);
      if (!is_relief) is_exposed_ = false;
      co_await step(names[4]);
      --running_;
      const bool was_relieved = !is_relief && is_relieved_;
      if (!was_relieved || !kKnowsThatItWasRelieved) {
        word_.end_led();
      } else if (!word_.end()) {
        co_await step("queue again");
        ++queued_;
      }
      if (was_relieved) co_return;
    }
  }

  bool is_exposed_ = false;
  bool is_relieved_ = false;
};

template <typename Word>
Exploration explore() {
  return explore_interleavings([] { return std::make_unique<DispatchModel<Word>>(); });
}

TEST(DispatchWordTest, NoInterleavingLosesAWakeOrRunsOrQueuesItTwice) {
  const Exploration found = explore<RealWord>();
  EXPECT_EQ(found.violation, "") << found.trace;
  EXPECT_GT(found.states, 200u);
}

TEST(DispatchWordTest, NoInterleavingOfAnOrderAndItsEventsLosesAPushOrRunsItTwice) {
  const Exploration found = explore_interleavings([] { return std::make_unique<OrderModel>(); });
  EXPECT_EQ(found.violation, "") << found.trace;
  EXPECT_GT(found.states, 100u);
}

TEST(DispatchWordTest, TheExplorerFindsTheWakeThatAPlainFlagLoses) {
  EXPECT_EQ(explore<WithoutRunningAgain>().violation, "a wake was lost");
}

TEST(DispatchWordTest, TheExplorerFindsThePushThatARunHasOverlooked) {
  EXPECT_EQ(explore<WhereRunningIsPending>().violation, "a wake was lost");
}

TEST(DispatchWordTest, TheExplorerFindsTheDoubleRunOfAWordThatForgetsWhoRuns) {
  EXPECT_EQ(explore<WithoutRunning>().violation, "two threads run it at once");
}

TEST(DispatchWordTest, TheExplorerFindsTheDoubleEntryOfAWordThatForgetsTheQueue) {
  EXPECT_EQ(explore<WithoutQueued>().violation, "it is queued twice");
}

template <bool kKnowsThatItWasRelieved>
Exploration explore_led() {
  return explore_interleavings(
      [] { return std::make_unique<LedModel<kKnowsThatItWasRelieved>>(); });
}

TEST(DispatchWordTest, NoInterleavingOfALeaderAndItsReliefLosesAWakeOrRunsItTwice) {
  const Exploration found = explore_led<true>();
  EXPECT_EQ(found.violation, "") << found.trace;
  EXPECT_GT(found.states, 50u);
}

TEST(DispatchWordTest, TheExplorerFindsTheWakeThatALeaderLosesThatDoesNotKnowItWasRelieved) {
  EXPECT_EQ(explore_led<false>().violation, "a wake was lost");
}

}  // namespace
}  // namespace epore::internal
