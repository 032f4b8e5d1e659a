#ifndef EPORE_RUNTIME_INTERNAL_ORDER_TASK_ROOT_H_
#define EPORE_RUNTIME_INTERNAL_ORDER_TASK_ROOT_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/handoff.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/task_list.h"
#include "epore/runtime/internal/task/deadline_heap.h"
#include "epore/runtime/internal/task/task_node.h"
#include "epore/runtime/internal/timers/timer_node.h"
#include "epore/runtime/task.h"

namespace epore::internal {

// A TaskRoot is a task with an order, and with nothing that awaits it: a Job, or the handler of a
// connection. It is a member of its order: what completes a coroutine of the task elsewhere puts
// the coroutine into the inbox and wakes the root, whose run resumes it.
//
//   another thread                             the order's runner
//   post(node): pushes into the inbox
//   wakes the root's word: idle -> queued
//   OrderState::push(root)            ----->   run(): stops, deadlines, inbox; resumes coroutines
//
// All deadlines of the task are in one heap, for which the root arms one timer. It leaves the timer
// alone where a deadline goes away or comes later, so a within() around each read costs no call of
// the timer queue: the timer fires once too early, and is armed for the rest.
//
// It is in the TaskList of the runtime until the task has ended, which a shutdown waits for. So the
// threads are there for its last run.
class TaskRoot : public ListedTask, public TaskHome {
 public:
  // Any thread: starts the task in its order, soon. Errors, and then nothing is started:
  // FailedPrecondition if the runtime is shut down.
  absl::Status start();

  // In the order, in no coroutine: starts the task in this call. Requires that the runtime waits
  // for an activity of the caller. Errors as start().
  void start_here();

  // ListedTask.
  void request_stop() override { request(kStop); }
  void request_dump() override { request(kDump); }

  // Any thread: whether the task has ended. result() is valid then.
  bool has_ended() const { return has_ended_.load(std::memory_order_seq_cst); }
  const absl::Status& result() const { return chain_.status; }

  Core& core() const { return order_->core(); }
  const Ref<OrderState>& order() const { return order_; }

  // TaskHome.
  void post(TaskNode& node) override;
  bool is_current() const override { return order_->is_current(); }
  OrderState* order_state() const override { return order_.get(); }
  bool is_cut_off() const override { return core().is_cut_off(); }
  std::int64_t now() const override { return core().kernel().now(); }
  void root_ended() override { finish(); }
  void arm(Deadline& deadline, std::int64_t at) override;
  void disarm(Deadline& deadline) override { deadlines_.remove(deadline); }

  // Runnable.
  void run() override;
  std::string describe() const override { return "a task"; }

 protected:
  explicit TaskRoot(Ref<OrderState> order);
  ~TaskRoot() override;

  // Called once, in the order: makes the task. What it was made of must live until drop_callable().
  virtual Task<> call() = 0;

  // Called when the task has ended, in its order, and before on_end().
  virtual void drop_callable() = 0;

  // The task has ended, with result().
  virtual void on_end() {}

  // In the order, after request_stop(): what the task is stopped with.
  virtual absl::Status why_stopped();

 private:
  void list();
  void request(std::uint8_t what);
  void serve_requests();
  std::string dump() const;
  void begin_task();
  void run_deadlines();  // called at the begin of a run
  void arm_rest();
  void arm_timer(std::int64_t at);
  void finish();

  // TimerNode, Runnable.
  void expired() override;
  void entered() override { add_ref(); }
  void queue_in_order(Ref<Runnable> self) override { order_->push(std::move(self)); }

  // The small members are first: they have the rest of a word of TaskHome.

  // Requests of other threads: added with release before a wake, taken by the run with acquire. A
  // request during a run causes another run (DispatchWord).
  static constexpr std::uint8_t kStop = 1;
  static constexpr std::uint8_t kDump = 2;
  static constexpr std::uint8_t kFired = 4;  // the leader: the timer is armed no more
  std::atomic<std::uint8_t> requests_{0};

  // The runner stores after the result, any thread loads, both seq_cst: see TaskList::await().
  std::atomic<bool> has_ended_{false};

  // A limit that is due is judged in two steps, as the timeouts of a connection are (see
  // Stream::expired()): bytes that came in time may still wait in the kernel. The run that finds it
  // only marks it as a suspect (release). The leader, who sees the mark (acquire), notes the time
  // in judged_, waits until everything that was ready then has been reported, and clears the mark
  // (release). The next run, which sees no mark (acquire), ends the limits up to that time. So
  // judged_ is the leader's while there is a mark, and the run's while there is none.
  //
  // Between the two steps the leader arms the timer anew, for at once. A run may have armed it for
  // later meanwhile. So a timer that fires takes back what the run knows (kFired).
  std::atomic<bool> has_suspect_{false};
  bool has_begun_ = false;   // the runner only
  bool is_judging_ = false;  // the leader only: it has noted the time
  std::uint16_t sweep_ = 0;  // the leader only: when it has, modulo 2^16
  std::int64_t judged_ = std::numeric_limits<std::int64_t>::min();

  const Ref<OrderState> order_;
  Handoff<TaskNode> inbox_;

  // The runner only.
  TaskChain chain_;  // its status is the result
  DeadlineHeap deadlines_;

  // The timer fires then, or the leader has armed it for an earlier time.
  std::int64_t armed_ = kNever;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ORDER_TASK_ROOT_H_
