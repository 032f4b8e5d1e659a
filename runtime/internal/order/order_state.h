#ifndef EPORE_RUNTIME_INTERNAL_ORDER_ORDER_STATE_H_
#define EPORE_RUNTIME_INTERNAL_ORDER_ORDER_STATE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/run_queue.h"
#include "epore/runtime/internal/dispatch/runnable.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/reactor.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/reactor/timer_entry.h"
#include "epore/runtime/order.h"

namespace epore::internal {

// An OrderState is what an Order names. It is a Runnable that runs other Runnables, its members,
// one after the other.
//
//   event, timer, post, mail                 the order's runner, on any thread of the runtime
//   wakes a member's word: idle -> queued
//   push(member) into the inbox
//   wakes the order's word: idle -> queued
//   Core::schedule(order)            ----->  run(): takes the inbox, and runs what it took
//                                            Core::execute(member): begin, run, end
//
// An event for a member of an idle order takes a shorter way: the leader claims the order's word,
// which makes it the runner, and the member's word, and runs the order, which begins with that
// member (Reactor::run_in_order()).
//
// Members run only in run(), so one thread at a time runs all of them. Each member has a
// DispatchWord of its own. It is therefore in the queue once at most, and a wake during its run
// queues it again, at the end. A posted closure is a member that runs once.
//
// No wake is lost. A push from another thread is a Handoff::push(), and a wake_pushed() of the
// order's word behind it. run() takes the inbox after begin() (DispatchWord); behind a claim it
// does not, as a push from then on leads to another run. The runner pushes into the queue itself,
// and run() looks at the queue before it ends.
//
// References. A member has a reference of its own in the inbox, in the queue and in its run; the
// leader that has claimed it keeps it. A slot that is reclaimed meanwhile therefore frees nothing.
// Members refer to their order, and the order refers to the core. Members in the queue and the
// order refer to each other until the members have run.
class OrderState final : public Runnable {
 public:
  OrderState(Ref<Core> core, Reactor& home);
  ~OrderState() override;

  // Never throws: the Order may be a missing one.
  static Order make(Ref<Core> core);

  // Returns null if `order` names none, or one of another core.
  static OrderState* find(const Order& order, const Core& core);
  static Ref<OrderState> share(const Order& order, const Core& core);

  // A handle of this order.
  Order handle() { return Order(Ref<OrderState>::share(this)); }

  // The order of any runtime. Errors, which name `call`: FailedPrecondition if `order` names none,
  // ResourceExhausted if it is missing.
  static absl::StatusOr<Ref<OrderState>> share(const Order& order, std::string_view call);

  // Errors, which name `call`: InvalidArgument if `order` is of another core, ResourceExhausted if
  // it is missing.
  static absl::Status check(const Order& order, const Core& core, std::string_view call);

  // A leader that would run the order at once: claims it for a member that has been woken by an
  // event. True: the caller must run the order now, which runs the member, and keep the member
  // until then. False: nothing was done.
  [[nodiscard]] bool claim_for(Runnable& member);

  // Any thread: queues a member after a wake() of its word, or a member that has no word.
  void push(Ref<Runnable> member);

  // Any thread. See Order.
  absl::Status post(absl::AnyInvocable<void()> closure);
  Ref<TimerEntry> timer(absl::AnyInvocable<void()> callback);  // null where post() fails
  bool is_current() const { return this_thread.order == this; }

  Core& core() const { return home().core(); }

  // Before any other thread knows this order: it is that of this connection alone.
  void belongs_to(std::uint64_t connection) { connection_ = connection; }

  void run() override;
  std::string describe() const override;

 private:
  Inbox inbox_;
  RunRing queue_;  // the runner only

  // See belongs_to(); constant from then on. malloc(3) takes no more for it.
  std::uint64_t connection_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ORDER_ORDER_STATE_H_
