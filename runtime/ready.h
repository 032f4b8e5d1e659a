#ifndef EPORE_RUNTIME_READY_H_
#define EPORE_RUNTIME_READY_H_

#include "absl/status/status.h"
#include "epore/poll/interest.h"
#include "epore/poll/readiness.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/awaitable.h"

namespace epore {
namespace internal {

class TaskWatch;

class [[nodiscard]] ReadyOperation final : public Operation, public WithResult<ReadyOperation> {
 public:
  using Value = Readiness;

  ReadyOperation(int fd, Interest interest);
  ReadyOperation(ReadyOperation&&) noexcept;
  ~ReadyOperation();

  bool begin(TaskNode& node);
  void finish(TaskNode&) {}
  Readiness take() { return readiness_; }

 private:
  friend class TaskWatch;

  void cancel(const absl::Status& why) override;
  const char* name() const override { return "readable or writable"; }
  void end(Readiness readiness, absl::Status status);

  int fd_;
  Interest interest_;
  Ref<TaskWatch> watch_;
  Readiness readiness_;
};

}  // namespace internal

// Waits in a task until the descriptor `fd`, which belongs to somebody else, is ready for one of
// the directions of `interest`, and returns which. It borrows the descriptor: it neither reads nor
// writes nor closes it, and does not touch it when it has completed.
//
//   while (true) {
//     co_await epore::readable(pipe);
//     char buffer[512];
//     const ssize_t count = ::read(pipe, buffer, sizeof buffer);
//     ...
//   }
//
// It completes never inside the call. A readiness is a hint, so the descriptor should be
// non-blocking. Nothing is consumed: what a lost any() or a within() did not take is still there.
// Errors: AlreadyExists while the descriptor is watched, by another coroutine or a Watch (await
// both directions in one call); PermissionDenied (EPERM) for a file or a directory, which is always
// ready; FailedPrecondition (EBADF); Cancelled when the task is stopped.
//
// Each await costs two system calls of epoll_ctl(2). A Watch costs one for each event.
inline internal::ReadyOperation ready(int fd, Interest interest) { return {fd, interest}; }

inline internal::ReadyOperation readable(int fd) { return {fd, Interest::readable()}; }
inline internal::ReadyOperation writable(int fd) { return {fd, Interest::writable()}; }

}  // namespace epore

#endif  // EPORE_RUNTIME_READY_H_
