#ifndef EPORE_RUNTIME_JOB_H_
#define EPORE_RUNTIME_JOB_H_

#include <optional>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {

namespace internal {
class JobRoot;
}

// A Job names a task that Runtime::spawn() has started.
//
//   epore::Job job = runtime.spawn(refresh, std::ref(cache));
//   ...
//   job.stop();
//   absl::Status status = job.wait();
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: a Job is a handle. Copies name the same task, and may outlive the runtime.
// Dropping handles stops nothing: the task ends by itself, or with the runtime.
class Job {
 public:
  Job();  // names no task
  Job(const Job&);
  Job(Job&&) noexcept;
  Job& operator=(const Job&);
  Job& operator=(Job&&) noexcept;
  ~Job();

  // Stops the task: what it waits for ends with Cancelled, soon, and so does all it awaits later,
  // except under a shield(). The task then runs to its end. A second call does nothing.
  void stop() const;

  // Waits until the task has ended, and returns its status. Errors of its own: FailedPrecondition
  // from a callback or a task of the runtime, where it would wait for itself, and if this names no
  // task.
  absl::Status wait() const;

  // The status of the task, or no value while it has not ended.
  std::optional<absl::Status> status() const;

  // Whether both name the same task, or none.
  friend bool operator==(const Job& a, const Job& b) { return a.root_.get() == b.root_.get(); }

 private:
  friend class Runtime;
  explicit Job(internal::Ref<internal::JobRoot> root);
  explicit Job(absl::Status error);  // it could not be started

  internal::Ref<internal::JobRoot> root_;
  absl::Status error_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_JOB_H_
