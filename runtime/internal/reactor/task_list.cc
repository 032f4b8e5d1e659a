#include "epore/runtime/internal/reactor/task_list.h"

#include <utility>

#include "epore/runtime/internal/reactor/shutdown.h"

namespace epore::internal {

void TaskList::insert(ListedTask& task, ListedTask*& first) {
  task.previous_in_list_ = nullptr;
  task.next_in_list_ = first;
  if (first != nullptr) first->previous_in_list_ = &task;
  first = &task;
}

void TaskList::take_out(ListedTask& task, ListedTask*& first) {
  (task.previous_in_list_ != nullptr ? task.previous_in_list_->next_in_list_ : first) =
      task.next_in_list_;
  if (task.next_in_list_ != nullptr) task.next_in_list_->previous_in_list_ = task.previous_in_list_;
}

bool TaskList::add(ListedTask& task) {
  const absl::MutexLock lock(&mutex_);
  task.is_told_ = is_stopped_;
  insert(task, is_stopped_ ? told_ : first_);
  count_.fetch_add(1, std::memory_order_seq_cst);
  return !is_stopped_;
}

void TaskList::remove(ListedTask& task) {
  {
    const absl::MutexLock lock(&mutex_);
    take_out(task, task.is_told_ ? told_ : first_);
    count_.fetch_sub(1, std::memory_order_seq_cst);
  }
  if (task.waiters_.load(std::memory_order_seq_cst) != 0) ends_.notify();
  if (shutdown_.phase() != Shutdown::Phase::running) shutdown_.gate().notify();
}

// One task after the other, as no lock is held while a thread is woken.
void TaskList::stop() {
  {
    const absl::MutexLock lock(&mutex_);
    is_stopped_ = true;
    while (told_ != nullptr) {
      ListedTask& task = *told_;
      take_out(task, told_);
      task.is_told_ = false;
      insert(task, first_);
    }
  }
  for (;;) {
    ListedTask* task = nullptr;
    Ref<Runnable> reference;
    {
      const absl::MutexLock lock(&mutex_);
      if (first_ == nullptr) return;
      task = first_;
      take_out(*task, first_);
      task->is_told_ = true;
      insert(*task, told_);
      reference = task->share();  // the list has one, so it is alive
    }
    task->request_stop();
  }
}

std::vector<Ref<Runnable>> TaskList::tasks() const {
  const absl::MutexLock lock(&mutex_);
  std::vector<Ref<Runnable>> tasks;
  for (const ListedTask* first : {first_, told_}) {
    for (; first != nullptr; first = first->next_in_list_) {
      tasks.push_back(const_cast<ListedTask*>(first)->share());
    }
  }
  return tasks;
}

}  // namespace epore::internal
