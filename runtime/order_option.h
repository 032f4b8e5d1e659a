#ifndef EPORE_RUNTIME_ORDER_OPTION_H_
#define EPORE_RUNTIME_ORDER_OPTION_H_

#include "epore/runtime/order.h"

namespace epore {

// An OrderOption is the Order in a struct of options, such as ListenOptions::order. Use it as an
// Order: each converts to the other.
//
// One that names none, as an Order member that nobody has set, is no error: it means an order of
// its own for each connection, socket or watch. (Runtime::spawn_in(), on() and Order::post() refuse
// such an Order.)
//
// It makes braces right in an expression with a co_await, where gcc 12 copies the bytes of such a
// member and destroys both:
//
//   epore::UdpSocket socket = co_await runtime.udp("127.0.0.1:0", {.order = order});
//
// So it remembers where it was made. A copy of its bytes is elsewhere. It names the same order,
// which the first one keeps until the end of the expression, and its destructor does nothing.
//
// Threads, ownership, lifetime: those of an Order.
class OrderOption : public Order {
 public:
  OrderOption() = default;                           // names none
  OrderOption(const Order& order) : Order(order) {}  // NOLINT(google-explicit-constructor)
  OrderOption(const OrderOption& other) : Order(other) {}
  OrderOption& operator=(const OrderOption& other) {
    Order::operator=(other);
    return *this;
  }
  ~OrderOption() {
    if (made_at_ != this) [[unlikely]]
      forget();
  }

 private:
  const void* const made_at_ = this;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_ORDER_OPTION_H_
