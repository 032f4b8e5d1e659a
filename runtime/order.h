#ifndef EPORE_RUNTIME_ORDER_H_
#define EPORE_RUNTIME_ORDER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/timer.h"

namespace epore {

namespace internal {
class OrderState;
}

// Callbacks that run one at a time, whatever they belong to: a strand, in Asio's words. State that
// only callbacks of one order touch needs no mutex. It is not a thread: callbacks run where others
// of the runtime do.
//
//   std::set<std::string> names;  // before the runtime, so that it outlives the callbacks
//   epore::Runtime runtime;
//   const epore::Order order = runtime.order();
//   auto listener = runtime.listen(":7000", [&](epore::Connection& peer) {
//     names.insert(peer.peer_address().to_string());
//   }, {.order = order});
//   epore::Timer hourly = order.timer([&] { names.clear(); });
//   hourly.arm_every(absl::Hours(1));
//
// In an order run: its post() and timer(); every callback of the connections that a listener with
// ListenOptions::order accepts or connect() with ConnectOptions::order makes, with their accept and
// connect callbacks, posts and timers. Not in it: Runtime::post(), Runtime::timer() and on_signal()
// callbacks; these can post() to it.
//
// Guarantees: callbacks of an order never overlap. They run in the sequence in which they became
// ready, and each sees what the ones before it did. What a thread posts runs in the order of its
// calls. The guarantees of each connection hold as without it.
//
// A callback that blocks holds up its order; with Dispatch::adaptive and Dispatch::workers nothing
// else. An order with much to run lets others run in between. Its connections may be those of
// several reactors.
//
// A handle: copies name the same order, may go to any thread and may outlive the runtime. What uses
// an order keeps it, so handles may be dropped at any time. Handles of the same order are equal.
//
// Threads: every method from any.
class Order {
 public:
  Order();  // names none; as an option: each connection has an order of its own
  Order(const Order&);
  Order(Order&&) noexcept;
  Order& operator=(const Order&);
  Order& operator=(Order&&) noexcept;
  ~Order();

  // Runs `closure` in this order, never inside this call, and destroys it there.
  // FailedPrecondition: the runtime is shut down, or this names no order. InvalidArgument: the
  // closure is null. Then it is destroyed in this call.
  absl::Status post(absl::AnyInvocable<void()> closure) const;

  // The same after a delay; cancel it with the returned timer. Where post() would refuse, the
  // closure is destroyed in this call, and the timer names none.
  Timer post_after(absl::Duration delay, absl::AnyInvocable<void()> closure) const;

  // A timer whose callback runs in this order; not armed yet. It keeps the order. What the callback
  // captured is destroyed in the order, or with the last handle of a timer that is not armed.
  // Where post() would refuse, it names none; for a null callback an error is logged as well.
  Timer timer(absl::AnyInvocable<void()> callback) const;

  // Whether the caller is in a callback of this order.
  bool is_current() const;

  friend bool operator==(const Order& a, const Order& b) {
    return a.state_.get() == b.state_.get();
  }
  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const Order& order) {
    return Hash::combine(std::move(hash), order.state_.get());
  }

 private:
  friend class internal::OrderState;
  explicit Order(internal::Ref<internal::OrderState> state);

  internal::Ref<internal::OrderState> state_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_ORDER_H_
