#ifndef EPORE_RUNTIME_ORDER_H_
#define EPORE_RUNTIME_ORDER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/timer.h"

namespace epore {

namespace internal {
class OrderState;
}

// An Order is a line of callbacks that run one at a time, whatever they belong to. (Asio calls it a
// strand.) State that only callbacks of one Order touch needs no mutex. An Order is not a thread:
// its callbacks run on the threads of the runtime.
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
// These run in an Order: its own post() and timer(); all callbacks of a connection that was made
// with ListenOptions::order or ConnectOptions::order, the accept or connect callback included.
// Runtime::post(), Runtime::timer() and on_signal() callbacks do not; they can post() to an Order.
//
// Threads: any thread may call any method.
//
// Ownership, lifetime: an Order is a handle. Copies name the same order, may go to any thread, and
// may outlive the runtime. Everything that uses an order keeps it, so handles may be dropped at any
// time. Handles of the same order are equal.
//
// Edges, guaranteed:
//
// 1. Callbacks of one order never overlap, and each sees what the ones before it did.
// 2. They run in the sequence in which they became ready. Posts of one thread keep their sequence.
// 3. The guarantees of each connection hold as well.
// 4. An order with much work lets other work run in between.
//
// A callback that blocks holds up its order. With Dispatch::adaptive and Dispatch::workers it holds
// up nothing else. The connections of an order may belong to several reactors.
//
// See docs/threading.md.
class Order {
 public:
  Order();  // names none: see OrderOption for what it is as an option
  Order(const Order&);
  Order(Order&&) noexcept;
  Order& operator=(const Order&);
  Order& operator=(Order&&) noexcept;
  ~Order();

  // Runs `closure` in this order, never inside this call, and destroys it there. Errors:
  // FailedPrecondition if the runtime is shut down or this names no order; InvalidArgument if the
  // closure is null; ResourceExhausted if there is no memory. After an error the closure is
  // destroyed in this call.
  absl::Status post(internal::Callable<absl::AnyInvocable<void()>> closure) const;

  // Runs `closure` in this order after `delay`. The returned timer can cancel it. Where post()
  // returns an error, the closure is destroyed in this call, and the timer names none.
  Timer post_after(absl::Duration delay,
                   internal::Callable<absl::AnyInvocable<void()>> closure) const;

  // Makes a timer, which is not armed. Its callback runs in this order, which the timer keeps. The
  // captures of the callback are destroyed in the order, or with the last handle if the timer is
  // not armed. Where post() returns an error, the timer names none; a null callback is logged as
  // well.
  Timer timer(internal::Callable<absl::AnyInvocable<void()>> callback) const;

  // Whether the caller is in a callback of this order.
  bool is_current() const;

  friend bool operator==(const Order& a, const Order& b) {
    return a.state_.get() == b.state_.get() && a.is_missing_ == b.is_missing_;
  }
  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const Order& order) {
    return Hash::combine(std::move(hash), order.state_.get());
  }

 private:
  friend class OrderOption;
  friend class internal::OrderState;
  explicit Order(internal::Ref<internal::OrderState> state);

  void forget() { (void)state_.release(); }  // names none, and somebody else has its reference

  internal::Ref<internal::OrderState> state_;
  bool is_missing_ = false;  // there was no memory for it: see Runtime::order()
};

}  // namespace epore

#endif  // EPORE_RUNTIME_ORDER_H_
