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

// A registration that can pause until a descriptor or a permit is free: an acceptor.
class PermitWaiter : public Registration {
 public:
  using Registration::Registration;

  // Makes the waiter look again. Any thread.
  virtual void resume() = 0;
};

// ConnectionPermits enforces RuntimeOptions::max_connections, and knows the listeners that wait for
// a permit or a descriptor. Any thread.
//
// The race: a connection ends while a listener pauses.
//
//   connection ends: give_back()            listener pauses
//   taken_ -= 1                             add_waiter(): waiter_count_ += 1
//   waiter_count_ != 0? resumes them        has_one()? goes on at once
//
// All four are sequentially consistent, so at least one side sees the other.
class ConnectionPermits {
 public:
  // A `limit` of 0 means that there is no limit.
  explicit ConnectionPermits(std::uint64_t limit) : limit_(limit) {}

  // Takes a permit for one more connection. Returns false at the limit. Each permit is given back
  // once. It stands for a connection that exists or is about to: a listener takes one only for what
  // it has accepted.
  bool try_take();

  // Gives a permit back, after the connection's descriptor was closed, and resumes the waiters.
  void give_back();

  // Whether a permit is free.
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
