#include "epore/runtime/internal/dispatch/lead.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/interleavings.h"

namespace epore::internal {
namespace {

TEST(LeadTest, WhoTakesItFirstLeads) {
  Lead lead;
  EXPECT_FALSE(Lead::is_exposed(lead.value()));
  const Lead::Ticket ticket = lead.expose();
  EXPECT_TRUE(Lead::is_exposed(lead.value()));
  EXPECT_EQ(lead.value(), ticket);
  EXPECT_TRUE(lead.take(ticket));   // the relief
  EXPECT_FALSE(lead.take(ticket));  // the leader that comes back
  EXPECT_FALSE(Lead::is_exposed(lead.value()));
}

TEST(LeadTest, ATicketOfAnEarlierRunIsWorthNothing) {
  Lead lead;
  const Lead::Ticket earlier = lead.expose();
  EXPECT_TRUE(lead.take(earlier));
  const Lead::Ticket later = lead.expose();
  EXPECT_FALSE(lead.take(earlier));
  EXPECT_TRUE(lead.take(later));
}

// What a mistake in the protocol would be.
enum class Variant {
  right,
  flag_instead_of_tickets,
  wants_it_after_looking,
  drops_without_waiting,
  reclaims_before_keeping
};

// The poll thread with two runs, and two reliefs that may be told at any time that whoever leads is
// stuck. Each relief makes one run of its own (in which the next one may relieve it), then sleeps
// in its poll until the poll thread wants the lead back. As in Reactor, in steps of one atomic
// operation each.
//
// What runs has one reference, its slot's, until a leader reclaims it; who takes the lead over adds
// one for the runner, who drops it when he comes back. The first run of the poll thread ends what
// it runs, so that the next leader reclaims it.
class LeadModel {
 public:
  explicit LeadModel(Variant variant) : variant_(variant) {}

  std::vector<ModelThread> threads() {
    std::vector<ModelThread> threads;
    threads.push_back(poll_thread());
    threads.push_back(relief(0));
    threads.push_back(relief(1));
    return threads;
  }

  std::vector<std::int64_t> state() const {
    std::vector<std::int64_t> state = {static_cast<std::int64_t>(lead_.value()),
                                       leaders_,
                                       home_waits_,
                                       is_notified_,
                                       is_home_leading_,
                                       static_cast<std::int64_t>(home_seen_),
                                       static_cast<std::int64_t>(home_ticket_),
                                       runs_left_,
                                       stale_reliefs_,
                                       exposed_,
                                       static_cast<std::int64_t>(kept_),
                                       is_retired_,
                                       early_drops_};
    for (int i = 0; i < 2; ++i) state.push_back(static_cast<std::int64_t>(tickets_[i]));
    for (int i = 0; i < 2; ++i) state.push_back(static_cast<std::int64_t>(run_tickets_[i]));
    for (const Run& run : runs_) {
      state.push_back(run.references);
      state.push_back(run.is_kept);
      state.push_back(run.is_running);
    }
    return state;
  }

  std::string violation(bool is_over) const {
    if (leaders_ > 1) return "two lead";
    if (stale_reliefs_ > 0) return "a leader was relieved in a run that it was not stuck in";
    if (early_drops_ > 0) return "a reference was dropped before it was added";
    for (const Run& run : runs_) {
      if (run.is_running && run.references == 0) return "what runs was freed";
    }
    if (is_over && !(is_home_leading_ && runs_left_ == 0)) return "the poll thread waits for ever";
    if (is_over && runs_[0].references != 0) return "what ended was never freed";
    for (int i = 1; is_over && i < kRuns; ++i) {
      if (runs_[i].references != 1) return "a reference is left";
    }
    return "";
  }

 private:
  // The poll thread's two, and one of each relief.
  static constexpr int kRuns = 4;
  static constexpr int kNone = -1;
  struct Run {
    int references = 1;
    bool is_kept = false;
    bool is_running = false;
  };

  void expose(int run) {
    --leaders_;
    exposed_ = run;
    runs_[run].is_running = true;
    if (run == 0) is_retired_ = true;
  }

  bool take(Lead::Ticket ticket) {
    if (variant_ == Variant::flag_instead_of_tickets) {
      if (!Lead::is_exposed(lead_.value())) return false;
      if (lead_.value() != ticket) ++stale_reliefs_;
      ticket = lead_.value();
    }
    if (!lead_.take(ticket)) return false;
    ++leaders_;
    return true;
  }

  // The leader. The second half of take_over().
  bool has_stuck() const { return exposed_ != kNone; }
  void add_reference() {
    ++runs_[exposed_].references;
    runs_[exposed_].is_kept = true;
    exposed_ = kNone;
  }
  void reclaim() {
    if (!std::exchange(is_retired_, false)) return;
    --runs_[0].references;
  }

  // A runner that was relieved.
  bool may_drop(Lead::Ticket ticket) const {
    return variant_ == Variant::drops_without_waiting || kept_ >= ticket;
  }
  void drop(int run) {
    if (!runs_[run].is_kept) ++early_drops_;
    --runs_[run].references;
    runs_[run].is_running = false;
  }

  ModelThread poll_thread() {
    while (runs_left_ > 0) {
      co_await step("expose");
      expose(2 - runs_left_);
      is_home_leading_ = false;
      home_ticket_ = lead_.expose();
      co_await step("come back");
      is_home_leading_ = lead_.value() == home_ticket_ && lead_.take(home_ticket_);
      if (is_home_leading_) {
        ++leaders_;
        runs_[2 - runs_left_].is_running = false;
        reclaim();
      } else {
        co_await step("drop", [this] { return may_drop(home_ticket_); });
        drop(2 - runs_left_);
      }
      --runs_left_;
      while (!is_home_leading_) {
        if (variant_ != Variant::wants_it_after_looking) {
          co_await step("want");
          home_waits_ = true;
        }
        co_await step("look");
        home_seen_ = lead_.value();
        if (Lead::is_exposed(home_seen_)) {
          co_await step("take back");
          if (lead_.take(home_seen_)) {
            ++leaders_;
            is_home_leading_ = true;
            if (has_stuck()) {
              co_await step("add a reference");
              add_reference();
              co_await step("say that it is kept");
              kept_ = home_seen_;
            }
            break;
          }
        }
        co_await step("notify");
        is_notified_ = true;
        if (variant_ == Variant::wants_it_after_looking) {
          co_await step("want late");
          home_waits_ = true;
        }
        co_await step("park", [this] { return !home_waits_; });
      }
      co_await step("want no more");
      home_waits_ = false;
      reclaim();
    }
  }

  ModelThread relief(int i) {
    co_await step("is told", [this] { return Lead::is_exposed(lead_.value()); });
    tickets_[i] = lead_.value();
    co_await step("relieve");
    if (!take(tickets_[i])) co_return;
    if (variant_ == Variant::reclaims_before_keeping) {
      co_await step("reclaim early");
      reclaim();
    }
    if (has_stuck()) {
      co_await step("add a reference");
      add_reference();
      co_await step("say that it is kept");
      kept_ = tickets_[i];
    }
    co_await step("expose");
    expose(2 + i);
    run_tickets_[i] = lead_.expose();
    co_await step("come back");
    if (!lead_.take(run_tickets_[i])) {
      co_await step("drop", [this, i] { return may_drop(run_tickets_[i]); });
      drop(2 + i);
      co_return;
    }
    ++leaders_;
    runs_[2 + i].is_running = false;
    for (;;) {
      co_await step("reclaim");
      reclaim();
      co_await step("is wanted?");
      if (home_waits_) break;
      co_await step("poll", [this] { return is_notified_; });
      is_notified_ = false;
    }
    co_await step("give back");
    --leaders_;
    exposed_ = kNone;
    (void)lead_.expose();
    co_await step("say so");
    home_waits_ = false;
  }

  const Variant variant_;
  Lead lead_;
  int leaders_ = 1;
  bool home_waits_ = false;
  bool is_notified_ = false;  // the wake flag and the eventfd, see WakeFlag
  bool is_home_leading_ = true;
  Lead::Ticket home_ticket_ = 0;
  Lead::Ticket home_seen_ = 0;
  int runs_left_ = 2;
  int stale_reliefs_ = 0;
  Lead::Ticket tickets_[2] = {};
  Lead::Ticket run_tickets_[2] = {};

  Run runs_[kRuns];
  int exposed_ = kNone;  // the leader's
  Lead::Ticket kept_ = 0;
  bool is_retired_ = false;  // runs_[0], and not reclaimed yet
  int early_drops_ = 0;
};

Exploration explore(Variant variant) {
  return explore_interleavings([=] { return std::make_unique<LeadModel>(variant); });
}

TEST(LeadTest, UnderEveryInterleavingOneLeadsAndThePollThreadGetsItBack) {
  const Exploration all = explore(Variant::right);
  EXPECT_EQ(all.violation, "") << all.trace;
  EXPECT_GT(all.states, 500u);
}

TEST(LeadTest, WithAFlagInsteadOfTicketsALateReliefMeetsAnotherRun) {
  EXPECT_NE(explore(Variant::flag_instead_of_tickets).violation, "");
}

TEST(LeadTest, APollThreadThatLooksBeforeItSaysThatItWaitsIsForgotten) {
  EXPECT_EQ(explore(Variant::wants_it_after_looking).violation, "the poll thread waits for ever");
}

TEST(LeadTest, ARunnerThatDoesNotWaitUntilItIsKeptDropsWhatIsNotThereYet) {
  EXPECT_EQ(explore(Variant::drops_without_waiting).violation,
            "a reference was dropped before it was added");
}

TEST(LeadTest, AReliefThatReclaimsBeforeItKeepsFreesWhatRuns) {
  EXPECT_EQ(explore(Variant::reclaims_before_keeping).violation, "what runs was freed");
}

}  // namespace
}  // namespace epore::internal
