#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_TASK_LIST_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_TASK_LIST_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/gate.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/runnable.h"
#include "epore/runtime/internal/timers/timer_node.h"

namespace epore::internal {

class CallerLoop;
class ListedTask;
class Shutdown;
class TaskList;

// What a dump of tasks gets from one of them.
struct TaskAnswer {
  Ref<Runnable> task;
  ListedTask* listed;
  std::string text;
  bool has_answered = false;
};

// A root task in the list of its runtime. See TaskRoot.
class ListedTask : public TimerNode {
 public:
  // Any thread with a reference: stops the task, soon.
  virtual void request_stop() = 0;

  // Any thread with a reference: calls TaskList::answer() in the order of the task, soon.
  virtual void request_dump() = 0;

 protected:
  ListedTask(Reactor& home, Kind kind) : TimerNode(home, kind) {}

 private:
  friend class TaskList;

  // Under the mutex of the list.
  ListedTask* previous_in_list_ = nullptr;
  ListedTask* next_in_list_ = nullptr;
  std::uint32_t answer_ = 0;  // that a dump has asked for, counted from 1; 0: none has
  bool is_told_ = false;

  std::atomic<bool> is_awaited_{false};  // see TaskList::await()
};

// A TaskList has all root tasks of a runtime that have not ended. The shutdown stops them and waits
// for them. Each task in the list has a reference of its own. Any thread may call any method.
class TaskList {
 public:
  TaskList(Shutdown& shutdown, CallerLoop& loop, Kernel& kernel)
      : shutdown_(shutdown), loop_(loop), ends_(kernel) {}
  TaskList(const TaskList&) = delete;
  TaskList& operator=(const TaskList&) = delete;

  // Adds a task that is about to begin. Returns false if it must be stopped at once.
  [[nodiscard]] bool add(ListedTask& task);

  // The task has ended, and says so to everybody who asks.
  void remove(ListedTask& task);

  // Stops all tasks, and those that begin later. A second call tells them again.
  void stop();

  // Counts the connections that tasks have made. They end with their tasks, so the shutdown does
  // not wait for them before it stops the tasks.
  void begin_connection() { connections_.fetch_add(1, std::memory_order_seq_cst); }
  void end_connection() { connections_.fetch_sub(1, std::memory_order_seq_cst); }
  std::uint64_t connections() const { return connections_.load(std::memory_order_seq_cst); }

  bool empty() const { return count_.load(std::memory_order_seq_cst) == 0; }

  // Blocks until `task` has ended.
  template <typename Task>
  void await(Task& task) {
    ListedTask& listed = task;
    listed.is_awaited_.store(true, std::memory_order_seq_cst);
    wait([&task] { return task.has_ended(); });
  }

  // Returns what all tasks wait for, a paragraph each, and blocks until they have told it, but not
  // after `deadline`. Tasks that run until then are only named. One dump at a time: another one
  // waits for the first. Throws std::bad_alloc.
  std::string dump(std::int64_t deadline);

  // In the order of the task, after request_dump().
  void answer(ListedTask& task, std::string text);

  // Any thread: asks one of the tasks what it waits for, the same until that one has ended.
  void ask_one();

  // What the task of ask_one() is, and what it has answered to the last question. Empty: there is
  // no task. Throws std::bad_alloc.
  std::string one();

  std::size_t size() const { return count_.load(std::memory_order_seq_cst); }

 private:
  void wait(absl::FunctionRef<bool()> condition);

  Shutdown& shutdown_;
  CallerLoop& loop_;

  // The number of tasks. Written under mutex_, read by the shutdown without it. Each removal then
  // notifies the gate of the shutdown.
  std::atomic<std::size_t> count_{0};

  std::atomic<std::uint64_t> connections_{0};  // any thread counts, the shutdown reads

  // The race: a task ends while await() begins. await() marks the task and then looks at it,
  // remove() comes after the task's has_ended() and then looks at the mark. All are seq_cst. The
  // mark stays.
  Gate ends_;

  std::vector<TaskAnswer> ask();
  void withdraw(std::vector<TaskAnswer>& answers);
  bool begin_dump();
  bool has_all_answers();
  void end_dump();

  bool take_answer(ListedTask& task, std::string text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  static void insert(ListedTask& task, ListedTask*& first);
  static void take_out(ListedTask& task, ListedTask*& first);

  mutable absl::Mutex mutex_;
  ListedTask* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  ListedTask* told_ ABSL_GUARDED_BY(mutex_) = nullptr;  // the tasks that stop() has told
  bool is_stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_dumping_ ABSL_GUARDED_BY(mutex_) = false;
  TaskAnswer* answers_ ABSL_GUARDED_BY(mutex_) = nullptr;  // of the dump
  std::size_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
  ListedTask* one_ ABSL_GUARDED_BY(mutex_) = nullptr;  // of ask_one()
  std::string one_says_ ABSL_GUARDED_BY(mutex_);       // empty: it has not answered
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_TASK_LIST_H_
