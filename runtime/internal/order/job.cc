#include "epore/runtime/job.h"

#include <optional>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/order/job_root.h"

namespace epore {

Job::Job() = default;
Job::Job(const Job&) = default;
Job::Job(Job&&) noexcept = default;
Job& Job::operator=(const Job&) = default;
Job& Job::operator=(Job&&) noexcept = default;
Job::~Job() = default;

Job::Job(internal::Ref<internal::JobRoot> root) : root_(std::move(root)) {}
Job::Job(absl::Status error) : error_(std::move(error)) {}

void Job::stop() const {
  if (root_) root_->request_stop();
}

absl::Status Job::wait() const {
  if (!root_) {
    return error_.ok() ? absl::FailedPreconditionError("Job::wait: this handle names no task")
                       : error_;
  }
  if (root_->core().is_forked()) return internal::Core::forked("Job::wait");
  if (root_->core().would_wait_for_itself()) {
    return absl::FailedPreconditionError(
        "Job::wait: called from a callback or a task, it would wait for itself");
  }
  root_->core().tasks().await(*root_);
  root_->was_seen();
  return root_->result();
}

std::optional<absl::Status> Job::status() const {
  if (!root_) return error_.ok() ? std::nullopt : std::optional<absl::Status>(error_);
  if (!root_->has_ended()) return std::nullopt;
  root_->was_seen();
  return root_->result();
}

internal::JobRoot::~JobRoot() {
  if (result().ok() || absl::IsCancelled(result())) return;
  if (is_seen_.load(std::memory_order_relaxed)) return;
  tell([this] { LOG_EVERY_N_SEC(ERROR, 1) << "epore: a task ended with " << result(); });
}

}  // namespace epore
