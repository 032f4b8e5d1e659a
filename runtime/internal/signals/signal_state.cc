#include "epore/runtime/internal/signals/signal_state.h"

#include <utility>

#include "epore/runtime/internal/base/no_memory.h"

namespace epore {

Signal::Signal() = default;
Signal::Signal(const Signal&) = default;
Signal::Signal(Signal&&) noexcept = default;
Signal& Signal::operator=(const Signal&) = default;
Signal& Signal::operator=(Signal&&) noexcept = default;
Signal::~Signal() = default;

Signal::Signal(internal::Ref<internal::SignalState> state) : state_(std::move(state)) {}

namespace internal {

void SignalState::came() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  ++count_;
  while (!waiting_.empty()) ready.add(waiting_, *waiting_.first());
}

std::uint64_t SignalState::count() const {
  const absl::MutexLock lock(&mutex_);
  return count_;
}

bool SignalState::begin(SignalWait& wait, TaskNode& node, std::uint64_t told) {
  const absl::MutexLock lock(&mutex_);
  if (fails_as_awaited("Signal::wait", WaitList::has(wait), node)) return true;
  if (count_ != told) return true;
  waiting_.push(wait, node);
  return false;
}

void SignalState::cancel(SignalWait& wait, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(wait)) ready.add(waiting_, wait, &why);
}

bool SignalWait::begin(TaskNode& node) {
  if (ends_with_stop(node)) return true;
  if (signal_->state_) return signal_->state_->begin(*this, node, signal_->told_);
  node.status =
      make_error(absl::StatusCode::kFailedPrecondition, "Signal::wait: this names no signal");
  return true;
}

// Not in finish(): what a lost any() did not take is told by the next wait.
void SignalWait::take() { signal_->told_ = signal_->state_->count(); }

void SignalWait::cancel(const absl::Status& why) { signal_->state_->cancel(*this, why); }

}  // namespace internal
}  // namespace epore
