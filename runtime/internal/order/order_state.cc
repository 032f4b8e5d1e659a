#include "epore/runtime/internal/order/order_state.h"

#include <cstdint>
#include <new>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/order/order_timer.h"
#include "epore/runtime/internal/reactor/posted_closure.h"

namespace epore::internal {
namespace {

// After so many runs, or so many nanoseconds, other work on this thread gets its turn. The clock is
// read only now and then: it costs half as much as a closure. In a test it may stand still.
constexpr int kRunsAtOnce = 64;
constexpr int kRunsBetweenClocks = 8;
constexpr std::int64_t kTimeAtOnce = 100'000;

}  // namespace

// It has a reference to the core. The reactor knows where that is, which saves a word.
OrderState::OrderState(Ref<Core> core, Reactor& home) : Runnable(home, Kind::order) {
  (void)core.release();
}

OrderState::~OrderState() {
  const Ref<Core> last = Ref<Core>::adopt(&core());
  inbox_.take(queue_);
  while (!queue_.empty()) (void)queue_.pop();
}

Order OrderState::make(Ref<Core> core) {
  Reactor& home = core->any_reactor();
  try {
    return Order(Ref<OrderState>::adopt(new OrderState(std::move(core), home)));
  } catch (const std::bad_alloc&) {
    Order missing;
    missing.is_missing_ = true;
    return missing;
  }
}

OrderState* OrderState::find(const Order& order, const Core& core) {
  OrderState* const state = order.state_.get();
  return state != nullptr && &state->core() == &core ? state : nullptr;
}

Ref<OrderState> OrderState::share(const Order& order, const Core& core) {
  OrderState* const state = find(order, core);
  return state == nullptr ? Ref<OrderState>() : Ref<OrderState>::share(state);
}

absl::StatusOr<Ref<OrderState>> OrderState::share(const Order& order, std::string_view call) {
  if (order.state_) return Ref<OrderState>(order.state_);
  if (order.is_missing_) {
    return absl::ResourceExhaustedError(absl::StrCat(call, ": there was no memory for its order"));
  }
  return absl::FailedPreconditionError(absl::StrCat(call, ": this handle names no order"));
}

absl::Status OrderState::check(const Order& order, const Core& core, std::string_view call) {
  if (order.is_missing_) {
    return absl::ResourceExhaustedError(absl::StrCat(call, ": there was no memory for its order"));
  }
  if (!order.state_ || find(order, core) != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(call, ": the order is another runtime's"));
}

void OrderState::push(Ref<Runnable> member) {
  if (is_current()) {
    inbox_.take(queue_);  // what other threads have pushed comes first
    queue_.push(std::move(member));
    return;
  }
  (void)inbox_.push(std::move(member));  // cannot fail: no thread closes inbox_
  core().wake_pushed(*this);
}

bool OrderState::claim_for(Runnable& member) {
  if (slowness().is_slow() || !word().claim_idle()) return false;
  if (inbox_.empty() && member.word().claim_idle()) [[likely]] {
    this_thread.claimed_member = &member;
    return true;
  }
  inbox_.take(queue_);  // what other threads have pushed comes first
  if (member.word().wake()) queue_.push(Ref<Runnable>::share(&member));
  return true;
}

// Counts as an activity during the push, so that the shutdown does not end the threads meanwhile.
absl::Status OrderState::post(absl::AnyInvocable<void()> closure) {
  auto queued = Ref<QueuedClosure>::adopt(new QueuedClosure(home(), std::move(closure)));
  if (!core().begin_activity()) {
    return absl::FailedPreconditionError("Order::post: the runtime is shut down");
  }
  core().count_post(queued->closure());
  push(std::move(queued));
  core().end_activity();
  return absl::OkStatus();
}

Ref<TimerEntry> OrderState::timer(absl::AnyInvocable<void()> callback) {
  if (core().phase() >= Core::Phase::refusing) return {};
  auto timer =
      Ref<OrderTimer>::adopt(new OrderTimer(Ref<OrderState>::share(this), std::move(callback)));
  if (!timer->list()) return {};
  return timer;
}

std::string OrderState::describe() const {
  return connection_ == 0 ? "an order" : absl::StrCat("the order of connection ", connection_);
}

void OrderState::run() {
  OrderState* const before = std::exchange(this_thread.order, this);
  std::int64_t end = kNever;
  int runs = 0;
  if (Runnable* const member = std::exchange(this_thread.claimed_member, nullptr)) {
    core().execute_claimed(*member);
    runs = 1;
  } else {
    inbox_.take(queue_);
  }
  while (!queue_.empty()) {
    core().execute(*queue_.pop());
    if (++runs % kRunsBetweenClocks != 0) continue;
    this_thread.now = core().kernel().now();
    if (end == kNever) end = this_thread.now + kTimeAtOnce;
    // During the last steps of a shutdown no other thread may be left to run the rest later.
    if (core().phase() >= Core::Phase::refusing) continue;
    if (runs >= kRunsAtOnce || this_thread.now >= end) break;
  }
  // What coroutines have left in the buffers of the thread belongs to connections of this order.
  if (IoBuffers* const buffers = this_thread.buffers; buffers != nullptr) {
    if (!buffers->output.empty()) buffers->output.owner->flush_output();
    ReadBuffer& read = buffers->read;
    if (read.lent_to != nullptr) std::exchange(read.lent_to, nullptr)->keep_view();
  }
  if (!queue_.empty()) (void)word().wake();
  this_thread.order = before;
  this_thread.member_runs = runs;
}

}  // namespace epore::internal
