#ifndef EPORE_TESTS_RUNTIME_TASK_MANUAL_HOME_H_
#define EPORE_TESTS_RUNTIME_TASK_MANUAL_HOME_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/task/deadline_heap.h"
#include "epore/runtime/internal/task/task_node.h"
#include "epore/runtime/internal/task/trampoline.h"
#include "epore/runtime/task.h"

namespace epore {

// The order of one task on the calling thread, without a runtime. The test says when it runs, and
// time goes on only when nothing else is left to do.
//
//   ManualHome home;
//   home.start(scenario());
//   while (!home.has_ended()) home.turn();
class ManualHome final : public internal::TaskHome {
 public:
  ManualHome() { root_.attach(*this, nullptr); }
  ~ManualHome() { CHECK(root_.has_ended) << "the task has not ended"; }

  void start(Task<> task) {
    const internal::Trampoline::Run run;
    root_.has_ended = internal::TaskCall<void>(std::move(task)).begin(root_);
  }

  // One run of the order. Requires that the task has not ended.
  void turn() {
    ++turns_;
    const internal::Trampoline::Run run;
    if (std::exchange(is_stop_asked_, false)) {
      stop_now();
    } else if (first_ == nullptr) {
      CHECK_NE(deadlines_.earliest(), internal::kNever) << "the task waits for ever";
      if (now_ < deadlines_.earliest()) now_ = deadlines_.earliest();
    }
    resume_posted();
    while (internal::Deadline* const due = deadlines_.pop(now_, now_)) due->due();
  }

  // As turn(), without a wait for deadlines.
  void turn_now() {
    const internal::Trampoline::Run run(now_);
    resume_posted();
  }

  void run() {
    while (!has_ended()) turn();
  }

  void advance(absl::Duration by) { now_ += absl::ToInt64Nanoseconds(by); }

  // Stops the task at the begin of the next turn: what is complete by then is not resumed yet.
  void ask_stop() { is_stop_asked_ = true; }

  // Stops the task now, as a coroutine of it can do.
  void stop_now() { internal::stop(root_.base(), absl::Status(absl::StatusCode::kCancelled, "")); }

  void cut_off() { is_cut_off_ = true; }

  const internal::TaskChain& root() const { return root_; }
  bool has_ended() const { return root_.has_ended; }
  const absl::Status& status() const { return root_.status; }
  int turns() const { return turns_; }
  int posts() const { return posts_; }

  // Called in each post().
  std::function<void()> when_posted;

  // TaskHome.
  void post(internal::TaskNode& node) override {
    node.next_in_list() = nullptr;
    (last_ != nullptr ? last_->next_in_list() : first_) = &node;
    last_ = &node;
    ++posts_;
    if (when_posted) when_posted();
  }
  bool is_current() const override { return completes_here; }
  bool is_caller() const override { return true; }
  void root_ended() override { root_.has_ended = true; }
  bool is_cut_off() const override { return is_cut_off_; }
  std::int64_t now() const override { return now_; }
  void arm(internal::Deadline& deadline, std::int64_t at) override {
    deadlines_.insert(deadline, at);
  }
  void disarm(internal::Deadline& deadline) override { deadlines_.remove(deadline); }

  // False: each completion is posted, as from another thread.
  bool completes_here = true;

 private:
  struct Root final : internal::TaskChain {
    bool has_ended = false;
  };

  void resume_posted() {
    internal::TaskNode* node = std::exchange(first_, nullptr);
    last_ = nullptr;
    while (node != nullptr) {
      internal::TaskNode& ready = *node;
      node = ready.next_in_list();
      internal::Trampoline::here().push(ready);
    }
  }

  Root root_;
  internal::DeadlineHeap deadlines_;
  internal::TaskNode* first_ = nullptr;
  internal::TaskNode* last_ = nullptr;
  std::int64_t now_ = 1;
  int turns_ = 0;
  int posts_ = 0;
  bool is_stop_asked_ = false;
  bool is_cut_off_ = false;
};

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_TASK_MANUAL_HOME_H_
