#include "epore/runtime/internal/reactor/watchdog.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "epore/runtime/internal/dispatch/wake_flag.h"
#include "gtest/gtest.h"
#include "tests/support/interleavings.h"

namespace epore::internal {
namespace {

// What a mistake in the protocol would be.
enum class Variant {
  right,
  looks_before_it_says_that_it_sleeps,
  leader_pokes_before_it_is_awake,
  pusher_pokes_before_it_pushes,
  goes_back_to_awake_with_a_store
};

// Whom it is to hear of.
struct Others {
  bool leader = false;
  bool pusher = false;
  bool stopper = false;
};

// The watchdog, which goes to sleep whenever it may, and others: a leader with two turns, who gets
// stuck in the second one, if nobody else does; somebody who hands work to a pool, whose worker
// gets stuck in it; the end of the runtime. As in Watchdog, Reactor and WorkerPool, in steps of one
// atomic operation, or one locked section, each.
class WatchdogModel {
 public:
  WatchdogModel(Variant variant, Others others) : variant_(variant), others_(others) {}

  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(watchdog());
    threads.push_back(leader());
    if (others_.pusher) threads.push_back(pusher());
    if (others_.stopper) threads.push_back(stopper());
    return threads;
  }

  std::vector<std::int64_t> state() const {
    return {word_, flag_.is_asleep(), is_leader_stuck_, is_pool_busy_, is_idle_, has_ended_};
  }

  std::string violation(bool is_over) const {
    if (!is_over || has_ended_) return "";
    if (others_.stopper) return "it does not hear of the end";
    if (is_leader_stuck_ || is_pool_busy_) return "it sleeps while somebody is stuck";
    return "";
  }

 private:
  enum Word { awake, asleep, stopped };

  bool change(Word from, Word to) {  // a compare-exchange
    if (word_ != from) return false;
    word_ = to;
    return true;
  }

  ModelThread watchdog() {
    for (;;) {
      co_await step("is it to stop?");
      if (word_ == stopped) break;
      if (variant_ == Variant::looks_before_it_says_that_it_sleeps) {
        co_await step("look at the leader");
        is_idle_ = flag_.is_asleep();
        co_await step("look at the pool");
        is_idle_ = is_idle_ && !is_pool_busy_;
        co_await step("say that it sleeps");
        if (!is_idle_ || !change(awake, asleep)) continue;
      } else {
        co_await step("say that it sleeps");
        if (!change(awake, asleep)) continue;
        co_await step("look at the leader");
        is_idle_ = flag_.is_asleep();
        co_await step("look at the pool");
        is_idle_ = is_idle_ && !is_pool_busy_;
        if (!is_idle_) {
          co_await step("it does not");
          if (variant_ == Variant::goes_back_to_awake_with_a_store) {
            word_ = awake;
          } else {
            (void)change(asleep, awake);
          }
          continue;
        }
      }
      co_await step("park", [this] { return word_ != asleep; });
    }
    has_ended_ = true;
  }

  ModelThread leader() {
    static constexpr const char* kNames[2][5] = {
        {"allow 1", "awake 1", "does it sleep? 1", "wake it 1", "poll 1"},
        {"allow 2", "awake 2", "does it sleep? 2", "wake it 2", "poll 2"},
    };
    for (const auto& names : kNames) {
      co_await step(names[0]);
      flag_.allow();
      co_await step(names[4]);  // something is ready, at any time
      if (variant_ != Variant::leader_pokes_before_it_is_awake) {
        co_await step(names[1]);
        flag_.awake();
      }
      co_await step(names[2]);
      if (word_ == asleep) {
        co_await step(names[3]);
        (void)change(asleep, awake);
      }
      if (variant_ == Variant::leader_pokes_before_it_is_awake) {
        co_await step(names[1]);
        flag_.awake();
      }
    }
    if (others_.leader) {
      is_leader_stuck_ = true;
    } else {
      co_await step("allow");
      flag_.allow();
    }
  }

  ModelThread pusher() {
    if (variant_ != Variant::pusher_pokes_before_it_pushes) {
      co_await step("push");
      is_pool_busy_ = true;
    }
    co_await step("does it sleep?");
    if (word_ == asleep) {
      co_await step("wake it");
      (void)change(asleep, awake);
    }
    if (variant_ == Variant::pusher_pokes_before_it_pushes) {
      co_await step("push");
      is_pool_busy_ = true;
    }
  }

  ModelThread stopper() {
    co_await step("stop");
    word_ = stopped;
  }

  const Variant variant_;
  const Others others_;
  WakeFlag flag_;
  Word word_ = awake;
  bool is_idle_ = false;
  bool is_leader_stuck_ = false;
  bool is_pool_busy_ = false;
  bool has_ended_ = false;
};

Exploration explore(Variant variant, Others others) {
  return explore_interleavings([=] { return std::make_unique<WatchdogModel>(variant, others); });
}

TEST(WatchdogTest, UnderEveryInterleavingItIsAwakeWhenSomebodyIsStuck) {
  for (const Others& others :
       {Others{.leader = true}, Others{.pusher = true}, Others{.leader = true, .pusher = true}}) {
    const Exploration found = explore(Variant::right, others);
    EXPECT_EQ(found.violation, "") << found.trace;
    EXPECT_GT(found.states, 30u);
  }
}

TEST(WatchdogTest, UnderEveryInterleavingItHearsOfTheEnd) {
  const Exploration found = explore(Variant::right, {.stopper = true});
  EXPECT_EQ(found.violation, "") << found.trace;
  EXPECT_GT(found.states, 30u);
}

TEST(WatchdogTest, TheExplorerFindsTheLostPokeOfLookingBeforeSayingThatItSleeps) {
  for (const Others& others : {Others{.leader = true}, Others{.pusher = true}}) {
    EXPECT_EQ(explore(Variant::looks_before_it_says_that_it_sleeps, others).violation,
              "it sleeps while somebody is stuck");
  }
}

TEST(WatchdogTest, TheExplorerFindsTheLostPokeOfALeaderThatPokesBeforeItIsAwake) {
  EXPECT_EQ(explore(Variant::leader_pokes_before_it_is_awake, {.leader = true}).violation,
            "it sleeps while somebody is stuck");
}

TEST(WatchdogTest, TheExplorerFindsTheLostPokeOfOneWhoPokesBeforeHePushes) {
  EXPECT_EQ(explore(Variant::pusher_pokes_before_it_pushes, {.pusher = true}).violation,
            "it sleeps while somebody is stuck");
}

TEST(WatchdogTest, TheExplorerFindsTheEndThatIsForgottenByAStore) {
  EXPECT_EQ(explore(Variant::goes_back_to_awake_with_a_store, {.stopper = true}).violation,
            "it does not hear of the end");
}

}  // namespace
}  // namespace epore::internal
