#include "epore/runtime/internal/reactor/task_list.h"

#include <cstdint>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/reactor/caller_loop.h"
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

// Answers and leaves the list in one step. A dump that asked in between would get no answer.
void TaskList::remove(ListedTask& task) {
  bool is_last_answer = false;
  {
    const absl::MutexLock lock(&mutex_);
    is_last_answer = take_answer(task, "");  // an empty text means that it has ended
    if (one_ == &task) one_ = nullptr;
    take_out(task, task.is_told_ ? told_ : first_);
    count_.fetch_sub(1, std::memory_order_seq_cst);
  }
  if (is_last_answer) ends_.notify();
  if (task.is_awaited_.load(std::memory_order_seq_cst)) ends_.notify();
  if (shutdown_.phase() != Shutdown::Phase::running) shutdown_.notify();
}

// Takes the lock anew for each task, because request_stop() wakes threads and needs no lock held.
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
      reference = Ref<Runnable>::share(task);  // the list's own reference keeps it alive until here
    }
    task->request_stop();
  }
}

void TaskList::wait(absl::FunctionRef<bool()> condition) { loop_.wait(ends_, condition); }

bool TaskList::begin_dump() {
  const absl::MutexLock lock(&mutex_);
  return !std::exchange(is_dumping_, true);
}

void TaskList::end_dump() {
  {
    const absl::MutexLock lock(&mutex_);
    is_dumping_ = false;
  }
  ends_.notify();  // another dump may wait for the end of this one
  loop_.wake();
}

std::vector<TaskAnswer> TaskList::ask() {
  std::vector<TaskAnswer> answers;
  const absl::MutexLock lock(&mutex_);
  answers.reserve(count_.load(std::memory_order_relaxed));
  for (ListedTask* first : {first_, told_}) {
    for (; first != nullptr; first = first->next_in_list_) {
      answers.push_back({.task = Ref<Runnable>::share(first), .listed = first, .text = {}});
      first->answer_ = static_cast<std::uint32_t>(answers.size());
    }
  }
  answers_ = answers.data();
  unanswered_ = answers.size();
  return answers;
}

bool TaskList::has_all_answers() {
  const absl::MutexLock lock(&mutex_);
  return unanswered_ == 0;
}

// From here on `answers` belongs to the caller alone.
void TaskList::withdraw(std::vector<TaskAnswer>& answers) {
  const absl::MutexLock lock(&mutex_);
  for (TaskAnswer& answer : answers) answer.listed->answer_ = 0;
  answers_ = nullptr;
}

// Returns whether this was the last answer that the dump waits for.
bool TaskList::take_answer(ListedTask& task, std::string text) {
  if (task.answer_ == 0) return false;  // no dump waits for it
  TaskAnswer& answer = answers_[std::exchange(task.answer_, 0) - 1];
  answer.text = std::move(text);
  answer.has_answered = true;
  return --unanswered_ == 0;
}

void TaskList::answer(ListedTask& task, std::string text) {
  bool is_last = false;
  {
    const absl::MutexLock lock(&mutex_);
    if (one_ == &task && task.answer_ == 0) one_says_.swap(text);
    is_last = take_answer(task, std::move(text));
  }
  if (is_last) ends_.notify();
}

void TaskList::ask_one() {
  ListedTask* task = nullptr;
  Ref<Runnable> reference;
  {
    const absl::MutexLock lock(&mutex_);
    if (one_ == nullptr) one_ = told_ != nullptr ? told_ : first_;
    if (one_ == nullptr) return;
    one_says_.clear();
    task = one_;
    reference = Ref<Runnable>::share(task);  // as in stop()
  }
  task->request_dump();
}

std::string TaskList::one() {
  Ref<Runnable> task;
  bool was_asked = false;
  {
    const absl::MutexLock lock(&mutex_);
    was_asked = one_ != nullptr;
    if (was_asked && !one_says_.empty()) return one_says_;
    ListedTask* const some = was_asked ? one_ : told_ != nullptr ? told_ : first_;
    if (some == nullptr) return "";
    task = Ref<Runnable>::share(some);
  }
  return was_asked ? task->describe() + " that is running" : task->describe();
}

std::string TaskList::dump(std::int64_t deadline) {
  if (!loop_.wait(
          ends_, [this] { return begin_dump(); }, deadline)) {
    return "another dump of tasks is under way\n";
  }
  const absl::Cleanup end = [this] { end_dump(); };
  std::vector<TaskAnswer> answers = ask();
  for (TaskAnswer& answer : answers) answer.listed->request_dump();
  (void)loop_.wait(
      ends_, [this] { return has_all_answers(); }, deadline);
  withdraw(answers);
  std::string text;
  std::size_t count = 0;
  for (const TaskAnswer& answer : answers) {
    if (answer.has_answered && answer.text.empty()) continue;  // it has ended
    ++count;
    absl::StrAppend(
        &text, answer.has_answered ? answer.text : answer.task->describe() + " that is running",
        "\n");
  }
  return absl::StrCat("tasks: ", count, "\n", text);
}

}  // namespace epore::internal
