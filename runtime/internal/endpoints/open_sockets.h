#ifndef EPORE_RUNTIME_INTERNAL_ENDPOINTS_OPEN_SOCKETS_H_
#define EPORE_RUNTIME_INTERNAL_ENDPOINTS_OPEN_SOCKETS_H_

#include <atomic>
#include <cstddef>

#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/base/gate.h"
#include "epore/runtime/internal/reactor/caller_loop.h"

namespace epore::internal {

// OpenSockets counts the open sockets of a listener, for threads that wait until its port is free.
// Any thread.
class OpenSockets {
 public:
  OpenSockets(Kernel& kernel, std::size_t count) : count_(count), gate_(kernel) {}

  void one_closed() {
    count_.fetch_sub(1, std::memory_order_acq_rel);
    gate_.notify();
  }

  void await_none(CallerLoop& loop) {
    loop.wait(gate_, [this] { return count_.load(std::memory_order_acquire) == 0; });
  }

 private:
  std::atomic<std::size_t> count_;  // subtracted (acq_rel) before a notify; waiters acquire
  Gate gate_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_ENDPOINTS_OPEN_SOCKETS_H_
