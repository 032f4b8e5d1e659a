#include "runtime/internal/lead.h"

#include <cstdint>
#include <memory>
#include <string>
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
enum class Variant { right, flag_instead_of_tickets, wants_it_after_looking };

// The poll thread with two runs, and two reliefs that may be told at any time that whoever leads is
// stuck. Each relief makes one run of its own (in which the next one may relieve it), then sleeps
// in its poll until the poll thread wants the lead back. As in Reactor, in steps of one atomic
// operation each.
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
                                       stale_reliefs_};
    for (int i = 0; i < 2; ++i) state.push_back(static_cast<std::int64_t>(tickets_[i]));
    for (int i = 0; i < 2; ++i) state.push_back(static_cast<std::int64_t>(run_tickets_[i]));
    return state;
  }

  std::string violation(bool is_over) const {
    if (leaders_ > 1) return "two lead";
    if (stale_reliefs_ > 0) return "a leader was relieved in a run that it was not stuck in";
    if (is_over && !(is_home_leading_ && runs_left_ == 0)) return "the poll thread waits for ever";
    return "";
  }

 private:
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

  ModelThread poll_thread() {
    while (runs_left_ > 0) {
      co_await step("expose");
      --leaders_;
      is_home_leading_ = false;
      home_ticket_ = lead_.expose();
      co_await step("come back");
      is_home_leading_ = lead_.value() == home_ticket_ && lead_.take(home_ticket_);
      if (is_home_leading_) ++leaders_;
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
    }
  }

  ModelThread relief(int i) {
    co_await step("is told", [this] { return Lead::is_exposed(lead_.value()); });
    tickets_[i] = lead_.value();
    co_await step("relieve");
    if (!take(tickets_[i])) co_return;
    co_await step("expose");
    --leaders_;
    run_tickets_[i] = lead_.expose();
    co_await step("come back");
    if (!lead_.take(run_tickets_[i])) co_return;
    ++leaders_;
    for (;;) {
      co_await step("is wanted?");
      if (home_waits_) break;
      co_await step("poll", [this] { return is_notified_; });
      is_notified_ = false;
    }
    co_await step("give back");
    --leaders_;
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

}  // namespace
}  // namespace epore::internal
