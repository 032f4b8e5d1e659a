#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_CONNECTION_PERMITS_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_CONNECTION_PERMITS_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/reactor/registration.h"

namespace epore::internal {

// A registration that pauses until a descriptor or a permit is free: a listener.
class PermitWaiter : public Registration {
 public:
  using Registration::Registration;

  // Any thread: look again.
  virtual void resume() = 0;
};

// RuntimeOptions::max_connections, and the listeners that wait for a permit or a descriptor.
// Any thread.
class ConnectionPermits {
 public:
  // `limit` 0: there is none.
  explicit ConnectionPermits(std::uint64_t limit) : limit_(limit) {}

  // Takes a permit for one more connection, to be given back once; false at the limit. A permit
  // stands for a connection that is there or about to be: a listener takes one only for what it has
  // accepted.
  bool try_take();

  // Gives back a permit, of a connection that has closed its descriptor, and tells the waiters.
  void give_back();

  // Whether a permit is free. Sequentially consistent with give_back() and add_waiter(): of a
  // listener that pauses and a connection that ends at the same time, one sees the other.
  bool has_one() const { return limit_ == 0 || taken_.load(std::memory_order_seq_cst) < limit_; }

  void add_waiter(PermitWaiter& waiter);
  void remove_waiter(PermitWaiter& waiter);

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> taken_{0};
  std::atomic<std::uint32_t> waiter_count_{0};

  absl::Mutex mutex_;
  std::vector<Ref<PermitWaiter>> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_CONNECTION_PERMITS_H_
