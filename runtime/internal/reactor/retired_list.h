#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_RETIRED_LIST_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_RETIRED_LIST_H_

#include <atomic>
#include <cstdint>

#include "epore/runtime/internal/reactor/registration.h"

namespace epore::internal {

// A RetiredList holds registrations that have ended, until the poll thread reclaims their slots.
// Any thread pushes. The poll thread takes all of them between two polls. The list owns nothing:
// the reference of the slot is still there.
class RetiredList {
 public:
  // Returns the length of the list, so that the caller can wake the poll thread when it is long.
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
  // A stack. Pushes are acq_rel compare-exchanges, take() is an acq_rel exchange of the whole
  // stack. Nothing is popped alone, so there is no ABA.
  std::atomic<Registration*> head_{nullptr};

  std::atomic<std::uint32_t> waiting_{0};  // the length, relaxed: a hint
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_RETIRED_LIST_H_
