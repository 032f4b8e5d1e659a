#include "epore/runtime/internal/endpoints/accept_queue.h"

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/endpoints/acceptor.h"

namespace epore::internal {

// Declare it before the lock.
struct AcceptQueue::Leaving {
  Leaving() = default;
  Leaving(const Leaving&) = delete;
  Leaving& operator=(const Leaving&) = delete;
  ~Leaving() {
    while (dropped) dropped = std::exchange(dropped->next, nullptr);
  }

  absl::Status end;                             // what those in `ready` end with
  std::unique_ptr<AcceptedConnection> dropped;  // closes
  ReadyList ready;
};

AcceptPlace::AcceptPlace(AcceptPlace&&) noexcept = default;
AcceptPlace& AcceptPlace::operator=(AcceptPlace&& other) noexcept {
  std::swap(queue_, other.queue_);
  std::swap(order_, other.order_);
  std::swap(memory_, other.memory_);
  return *this;
}
AcceptPlace::~AcceptPlace() {
  if (queue_) queue_->end_place(nullptr);
}

void AcceptPlace::deliver(const Connection& connection) {
  const Ref<AcceptQueue> queue = std::exchange(queue_, Ref<AcceptQueue>());
  memory_->connection = connection;
  queue->end_place(std::move(memory_));
}

AcceptQueue::~AcceptQueue() {
  while (accepted_) accepted_ = std::exchange(accepted_->next, nullptr);
}

void AcceptQueue::acceptor_begins() {
  const absl::MutexLock lock(&mutex_);
  ++acceptors_;
}

void AcceptQueue::acceptor_ends(Acceptor& acceptor, absl::Status why) {
  Leaving leaving;
  Ref<Acceptor> idle;  // dropped without the lock
  const absl::MutexLock lock(&mutex_);
  Ref<Acceptor>* link = &first_idle_;
  while (*link && link->get() != &acceptor) link = &(*link)->next_idle_;
  if (*link) {
    idle = std::move(*link);
    *link = std::move(acceptor.next_idle_);
    acceptor.is_idle_ = false;
  }
  --acceptors_;
  end_ = std::move(why);
  settle(leaving);
}

AcceptPlace AcceptQueue::reserve(Acceptor& acceptor, bool may_idle) {
  auto memory = std::make_unique<AcceptedConnection>();
  AcceptPlace place;
  const absl::MutexLock lock(&mutex_);
  if (wants_more()) {
    const ListedOperation* operation = waiting_.first();
    for (std::size_t i = 0; i < places_; ++i) operation = WaitList::next(*operation);
    OrderState* const order = static_cast<const AcceptOperation*>(operation)->order_;
    if (order != nullptr) place.order_ = Ref<OrderState>::share(order);
    place.queue_ = Ref<AcceptQueue>::share(this);
    place.memory_ = std::move(memory);
    ++places_;
  } else if (may_idle && !acceptor.is_idle_) {
    acceptor.is_idle_ = true;
    acceptor.next_idle_ = std::move(first_idle_);
    first_idle_ = Ref<Acceptor>::share(&acceptor);
  }
  return place;
}

// Ends a place, with a connection or without.
void AcceptQueue::end_place(std::unique_ptr<AcceptedConnection> accepted) {
  {
    Leaving leaving;
    const absl::MutexLock lock(&mutex_);
    --places_;
    if (accepted) give(std::move(accepted), leaving);
    settle(leaving);
  }
  resume_idle();  // the backlog of this acceptor may be empty, and that of another one not
}

void AcceptQueue::put(std::unique_ptr<AcceptedConnection> accepted) {
  Leaving leaving;
  const absl::MutexLock lock(&mutex_);
  give(std::move(accepted), leaving);
  settle(leaving);
}

// To the first task that waits in the order of the connection, or to the first one.
void AcceptQueue::give(std::unique_ptr<AcceptedConnection> accepted, Leaving& leaving) {
  if (waiting_.empty()) {
    std::unique_ptr<AcceptedConnection>* link = &accepted_;
    while (*link) link = &(*link)->next;
    *link = std::move(accepted);
    return;
  }
  ListedOperation* found = waiting_.first();
  for (ListedOperation* one = found; one != nullptr; one = WaitList::next(*one)) {
    const OrderState* const order = static_cast<AcceptOperation*>(one)->order_;
    if (order == nullptr || !order->is_current()) continue;
    found = one;
    break;
  }
  static_cast<AcceptOperation*>(found)->accepted_ = std::move(accepted);
  leaving.ready.add(waiting_, *found);
}

// When nothing can come any more, those that wait end. A connection for which nobody waits closes.
void AcceptQueue::settle(Leaving& leaving) {
  if (!has_ended()) return;
  leaving.end = end_;
  while (!waiting_.empty()) leaving.ready.add(waiting_, *waiting_.first(), &leaving.end);
  leaving.dropped = std::move(accepted_);
}

Ref<Acceptor> AcceptQueue::take_idle() {
  const absl::MutexLock lock(&mutex_);
  if (!first_idle_ || !wants_more()) return {};
  Ref<Acceptor> acceptor = std::move(first_idle_);
  first_idle_ = std::move(acceptor->next_idle_);
  acceptor->is_idle_ = false;
  return acceptor;
}

// One after the other, as no lock is held while a thread is woken.
void AcceptQueue::resume_idle() {
  while (const Ref<Acceptor> acceptor = take_idle()) acceptor->resume();
}

bool AcceptQueue::begin(AcceptOperation& operation, TaskNode& node) {
  if (ends_with_stop(node)) return true;
  {
    const absl::MutexLock lock(&mutex_);
    const bool is_awaited = WaitList::has(operation) || operation.accepted_ != nullptr;
    if (fails_as_awaited("Listener::accept", is_awaited, node)) return true;
    if (accepted_) {
      operation.accepted_ = std::move(accepted_);
      accepted_ = std::move(operation.accepted_->next);
      return true;
    }
    if (has_ended()) {
      node.status = end_;
      return true;
    }
    operation.order_ = node.scope->chain->home().order_state();
    waiting_.push(operation, node);
  }
  resume_idle();
  return false;
}

void AcceptQueue::cancel(AcceptOperation& operation, const absl::Status& why) {
  Leaving leaving;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(operation)) leaving.ready.add(waiting_, operation, &why);
}

// -- AcceptOperation. --

AcceptOperation::AcceptOperation(Ref<AcceptQueue> queue, const char* misuse)
    : queue_(std::move(queue)), misuse_(misuse) {}
AcceptOperation::AcceptOperation(AcceptOperation&&) noexcept = default;
AcceptOperation::~AcceptOperation() {
  if (accepted_) queue_->put(std::move(accepted_));
}

bool AcceptOperation::begin(TaskNode& node) {
  if (queue_) return queue_->begin(*this, node);
  if (!ends_with_stop(node)) {
    node.status = make_error(absl::StatusCode::kFailedPrecondition, misuse_);
  }
  return true;
}

Connection AcceptOperation::take() {
  const std::unique_ptr<AcceptedConnection> taken = std::move(accepted_);
  return std::move(taken->connection);
}

void AcceptOperation::cancel(const absl::Status& why) { queue_->cancel(*this, why); }

}  // namespace epore::internal
