#ifndef EPORE_RUNTIME_INTERNAL_RUN_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_RUN_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "runtime/internal/ref.h"
#include "runtime/internal/runnable.h"

namespace epore::internal {

// First in, first out, linked through the Runnables themselves: pushing allocates nothing. Owns a
// reference to each. One thread at a time.
class RunQueue {
 public:
  RunQueue() = default;
  RunQueue(const RunQueue&) = delete;
  RunQueue& operator=(const RunQueue&) = delete;
  ~RunQueue() {
    while (!empty()) pop();
  }

  void push(Ref<Runnable> runnable) {
    Runnable* added = runnable.release();
    added->next_ = nullptr;
    (tail_ != nullptr ? tail_->next_ : head_) = added;
    tail_ = added;
    ++size_;
  }

  // Moves all of `other` to the end.
  void append(RunQueue& other) {
    if (other.empty()) return;
    (tail_ != nullptr ? tail_->next_ : head_) = other.head_;
    tail_ = other.tail_;
    size_ += other.size_;
    other.head_ = other.tail_ = nullptr;
    other.size_ = 0;
  }

  Ref<Runnable> pop() {
    Runnable* first = head_;
    head_ = first->next_;
    if (head_ == nullptr) tail_ = nullptr;
    --size_;
    return Ref<Runnable>::adopt(first);
  }

  bool empty() const { return head_ == nullptr; }
  std::size_t size() const { return size_; }

 private:
  Runnable* head_ = nullptr;
  Runnable* tail_ = nullptr;
  std::size_t size_ = 0;
};

// What other threads hand to a poll thread: pushed by any, taken all at once by one, in the order
// of the pushes. A Treiber stack that the taker reverses; as nothing is popped singly there is no
// ABA. The taker closes it when it goes, so that nothing can lie there for ever.
class Inbox {
 public:
  ~Inbox() {
    RunQueue rest;
    take(rest);
  }

  // False, and not taken: it is closed.
  //
  // Every push is in one release sequence, so that take() sees all of their writes. Sequentially
  // consistent for the sake of WakeFlag::is_awake().
  [[nodiscard]] bool push(Ref<Runnable>&& runnable) {
    Runnable* added = runnable.get();
    Runnable* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == closed()) return false;
      added->next_ = head;
    } while (!head_.compare_exchange_weak(head, added, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    (void)runnable.release();
    return true;
  }

  // The taker. False: there is something to take first.
  bool close() {
    Runnable* head = nullptr;
    return head_.compare_exchange_strong(head, closed(), std::memory_order_acq_rel) ||
           head == closed();
  }

  bool empty() const {
    const Runnable* head = head_.load(std::memory_order_seq_cst);
    return head == nullptr || head == closed();
  }

  // Moves all to the end of `queue`.
  void take(RunQueue& queue) {
    if (empty()) return;
    Runnable* stack = head_.exchange(nullptr, std::memory_order_acq_rel);
    Runnable* first = nullptr;
    while (stack != nullptr) {
      Runnable* next = stack->next_;
      stack->next_ = first;
      first = stack;
      stack = next;
    }
    while (first != nullptr) {
      Runnable* next = first->next_;
      queue.push(Ref<Runnable>::adopt(first));
      first = next;
    }
  }

 private:
  static Runnable* closed() { return reinterpret_cast<Runnable*>(std::uintptr_t{1}); }

  std::atomic<Runnable*> head_{nullptr};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_RUN_QUEUE_H_
