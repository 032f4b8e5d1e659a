// What the operations of coroutines on a Stream have in common: its handles, their cancellation and
// their end. stream_await_read.cc and stream_await_write.cc serve them, stream_operation.cc has
// what coroutines await.

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/connection_operations.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {

StreamTasks& Stream::make_tasks() {
  StreamExtra& extra = make_extra();
  if (!extra.tasks) extra.tasks = std::make_unique<StreamTasks>();
  has_tasks_ = true;
  return *extra.tasks;
}

void Stream::count_handles(bool is_of_task) {
  counts_handles_ = true;
  is_of_task_ = is_of_task;
  if (is_of_task) core_->tasks().begin_connection();
}

void Stream::drop_handle() {
  if (handles_.fetch_sub(1, std::memory_order_acq_rel) != 2) return;
  if (!core_->is_cut_off()) return close(absl::OkStatus());
  abort(make_error(absl::StatusCode::kCancelled,
                   "the runtime shut down before the connection ended"));
}

// Why an operation fails now.
absl::Status Stream::ended_status() const {
  if (!end_.ok()) return end_;
  return absl::CancelledError("the connection is closed");
}

bool Stream::begin_closed(ClosedOperation& waiter, absl::Status& status) {
  if (phase_ == Phase::closed) return true;
  if (is_draining_) {
    status = absl::CancelledError(absl::StrCat(waiter.name(), ": the runtime shuts down"));
    return true;
  }
  const bool is_first = !has_tasks_;
  StreamTasks& tasks = make_tasks();
  if (is_first) is_of_closed_ = true;
  waiter.next_ = std::exchange(tasks.first_closed, &waiter);
  return false;
}

void Stream::end_closed(const absl::Status& status) {
  ClosedOperation* waiter = std::exchange(tasks()->first_closed, nullptr);
  while (waiter != nullptr) std::exchange(waiter, waiter->next_)->end(status);
}

bool Stream::is_waiting(const StreamOperation& operation) const {
  if (reader() == &operation) return true;
  if (tasks() == nullptr) return false;
  const ClosedOperation* waiter = tasks()->first_closed;
  while (waiter != nullptr && waiter != &operation) waiter = waiter->next_;
  if (waiter != nullptr) return true;
  const WriteOperationBase* writer = first_writer();
  while (writer != nullptr && writer != &operation) writer = writer->next_;
  return writer != nullptr;
}

// Cancels an operation that waits.
void Stream::cancel(StreamOperation& operation, const absl::Status& why) {
  if (reader() == &operation) {
    set_reader(nullptr);
    return operation.end(why);
  }
  StreamTasks& tasks = *this->tasks();
  ClosedOperation** closed = &tasks.first_closed;
  while (*closed != nullptr && *closed != &operation) closed = &(*closed)->next_;
  if (*closed != nullptr) {
    *closed = (*closed)->next_;
  } else {
    WriteOperationBase* before = nullptr;
    WriteOperationBase* writer = tasks.first_writer;
    while (writer != &operation) before = std::exchange(writer, writer->next_);
    (before != nullptr ? before->next_ : tasks.first_writer) = writer->next_;
    if (tasks.last_writer == writer) tasks.last_writer = before;
    if (before == nullptr) release_sent();
  }
  operation.end(why);
}

// The connection closes or has failed: what waits for it ends. A flush() goes on until the queue is
// written.
void Stream::end_operations() {
  if (ReadOperationBase* const reader = this->reader(); reader != nullptr) {
    set_reader(nullptr);
    reader->end(ended_status());
  }
  if (tasks() == nullptr) return;
  StreamTasks& tasks = *this->tasks();
  WriteOperationBase* writer = std::exchange(tasks.first_writer, nullptr);
  tasks.last_writer = nullptr;
  while (writer != nullptr) {
    WriteOperationBase& ended = *std::exchange(writer, writer->next_);
    if (ended.kind_ == WriteOperationBase::Kind::flush && !is_ending()) {
      append(ended);
    } else {
      ended.end(ended_status());
    }
  }
  release_sent();
}

}  // namespace epore::internal
