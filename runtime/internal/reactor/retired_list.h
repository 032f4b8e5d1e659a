#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_RETIRED_LIST_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_RETIRED_LIST_H_

#include <atomic>
#include <cstdint>

#include "epore/runtime/internal/reactor/registration.h"

namespace epore::internal {

// Registrations that have ended and wait for the poll thread to reclaim their slots: pushed by any
// thread, taken all at once between two polls. Owns nothing: the slot's reference is still there.
class RetiredList {
 public:
  // Returns how many wait now, so that the poll thread can be woken when they pile up.
  std::uint32_t push(Registration& registration) {
    const std::uint32_t waiting = waiting_.fetch_add(1, std::memory_order_relaxed) + 1;
    Registration* head = head_.load(std::memory_order_relaxed);
    do {
      registration.next_retired_ = head;
    } while (!head_.compare_exchange_weak(head, &registration, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return waiting;
  }

  template <typename Reclaim>
  void take(Reclaim reclaim) {
    if (head_.load(std::memory_order_acquire) == nullptr) return;
    Registration* registration = head_.exchange(nullptr, std::memory_order_acq_rel);
    std::uint32_t taken = 0;
    while (registration != nullptr) {
      Registration* next = registration->next_retired_;
      reclaim(*registration);
      registration = next;
      ++taken;
    }
    waiting_.fetch_sub(taken, std::memory_order_relaxed);
  }

 private:
  std::atomic<Registration*> head_{nullptr};
  std::atomic<std::uint32_t> waiting_{0};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_RETIRED_LIST_H_
