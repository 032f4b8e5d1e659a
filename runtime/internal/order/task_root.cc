#include "epore/runtime/internal/order/task_root.h"

#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/caught_exception.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/task/dump.h"
#include "epore/runtime/internal/task/trampoline.h"

namespace epore::internal {

TaskRoot::TaskRoot(Ref<OrderState> order)
    : ListedTask(order->home(), Kind::member), order_(std::move(order)) {
  chain_.attach(*this, nullptr);
}

TaskRoot::~TaskRoot() = default;

absl::Status TaskRoot::start() {
  if (!core().begin_activity()) {
    return absl::FailedPreconditionError("spawn: the runtime is shut down");
  }
  list();
  core().wake(*this);
  core().end_activity();
  return absl::OkStatus();
}

// No word is needed: the order runs one thing at a time, and this is it.
void TaskRoot::start_here() {
  list();
  {
    const Trampoline::Run run(this_thread.now);
    begin_task();
  }
  arm_rest();
}

// The list has a reference until finish().
void TaskRoot::list() {
  add_ref();
  if (!core().tasks().add(*this)) request_stop();
}

void TaskRoot::request(std::uint8_t what) {
  requests_.fetch_or(what, std::memory_order_release);
  core().wake(*this);
}

// Before anything is resumed, so that a dump has all that waits.
void TaskRoot::serve_requests() {
  const std::uint8_t requests = requests_.exchange(0, std::memory_order_acquire);
  if ((requests & kFired) != 0) armed_ = kNever;
  if ((requests & kDump) != 0) core().tasks().answer(*this, dump());
  if ((requests & kStop) != 0) stop(chain_.base(), why_stopped());
}

std::string TaskRoot::dump() const {
  try {
    std::string text = describe();
    if (has_begun_) {
      dump_chain(chain_, now(), text);
    } else {
      text += " that has not begun";
    }
    return text;
  } catch (const std::bad_alloc&) {
    return "no memory";
  }
}

// On another thread than the order's, the task may end and drop the last reference as soon as the
// node is in the inbox.
void TaskRoot::post(TaskNode& node) {
  const Ref<TaskRoot> self = is_current() ? Ref<TaskRoot>() : Ref<TaskRoot>::share(this);
  (void)inbox_.push(&node);  // cannot fail: nobody closes it
  core().wake_pushed(*this);
}

void TaskRoot::run() {
  if (has_ended_.load(std::memory_order_relaxed)) return;
  {
    const Trampoline::Run run(this_thread.now);
    if (requests_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      serve_requests();
    if (!has_begun_) {
      begin_task();
    } else {
      run_deadlines();
      Handoff<TaskNode>::Chain posted = inbox_.take();
      for (TaskNode* node = posted.first; node != nullptr;) {
        TaskNode& ready = *node;
        node = node->next_in_list();
        Trampoline::here().push(ready);
      }
    }
  }
  arm_rest();
}

absl::Status TaskRoot::why_stopped() {
  return make_error(absl::StatusCode::kCancelled, "the task was stopped");
}

// A task that was stopped before does not begin, nor is its callable called.
void TaskRoot::begin_task() {
  has_begun_ = true;
  bool has_ended = true;
  if (const absl::Status* const stop = find_stop(&chain_.base()); stop != nullptr) {
    chain_.status = *stop;
    finish();
    return;
  }
  try {
    has_ended = TaskCall<void>(call()).begin(chain_);
  } catch (...) {  // by a callable that is no coroutine, or the copy of an argument
    chain_.status = caught_exception();
  }
  if (has_ended) finish();
}

void TaskRoot::finish() {
  drop_callable();
  on_end();
  if (home().timers().disable(*this) == TimerQueue::State::armed) drop_ref();  // the queue's
  has_ended_.store(true, std::memory_order_seq_cst);
  core().tasks().remove(*this);
  drop_ref();  // the list's; the last one perhaps
}

void TaskRoot::run_deadlines() {
  if (deadlines_.earliest() == kNever && armed_ == kNever) return;
  const std::int64_t now = this->now();
  if (now >= armed_) armed_ = kNever;
  const bool has_suspect = has_suspect_.load(std::memory_order_acquire);
  const std::int64_t judged = has_suspect ? std::numeric_limits<std::int64_t>::min() : judged_;
  while (Deadline* const deadline = deadlines_.pop(now, judged)) deadline->due();
  // What is left is a limit. arm_rest() arms the timer for it at once. A mark that was there is not
  // set again: the leader may have cleared it meanwhile, and has woken the next run, which judges.
  if (!has_suspect && deadlines_.earliest() <= now) {
    has_suspect_.store(true, std::memory_order_release);
  }
}

void TaskRoot::arm(Deadline& deadline, std::int64_t at) {
  deadlines_.insert(deadline, at);
  if (at < armed_) arm_timer(at);
}

// Arms the timer for what is left when it has fired.
void TaskRoot::arm_rest() {
  if (has_ended_.load(std::memory_order_relaxed)) return;
  if (const std::int64_t next = deadlines_.earliest(); next < armed_) arm_timer(next);
}

void TaskRoot::arm_timer(std::int64_t at) {
  try {
    home().arm(*this, at);
    armed_ = at;
  } catch (const std::bad_alloc&) {
    core().wake(*this);  // and looks at the deadlines again
  }
}

// The first time after a run has found a suspect, this notes the sweep. It judges when everything
// that was ready then has been reported.
void TaskRoot::expired() {
  Ref<TaskRoot> self = Ref<TaskRoot>::adopt(this);
  if (has_suspect_.load(std::memory_order_acquire)) {
    if (!std::exchange(is_judging_, true)) {
      judged_ = this_thread.now;
      sweep_ = static_cast<std::uint16_t>(home().sweeps());
    }
    if (static_cast<std::uint16_t>(home().sweeps() - sweep_) < 2) {
      try {
        if (home().arm(*this, this_thread.now).is_armed) return;
      } catch (const std::bad_alloc&) {  // without a timer, judge it now
      }
    }
    is_judging_ = false;
    has_suspect_.store(false, std::memory_order_release);
  }
  // Another thread may end the task as soon as it is in the inbox of its order. The order must
  // outlive the wake behind that.
  requests_.fetch_or(kFired, std::memory_order_release);
  const Ref<OrderState> order = order_;
  core().wake(Ref<Runnable>(std::move(self)));
}

}  // namespace epore::internal
