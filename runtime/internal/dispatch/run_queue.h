#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_RUN_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_RUN_QUEUE_H_

#include <cstddef>

#include "epore/runtime/internal/base/handoff.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/runnable.h"

namespace epore::internal {

// A queue of Runnables, first in, first out. It is linked through the Runnables, so that a push
// allocates nothing, and it owns a reference to each. One thread at a time.
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

  // Moves all entries of `other` to the end.
  void append(RunQueue& other) {
    append({.first = other.head_, .last = other.tail_, .size = other.size_});
    other.head_ = other.tail_ = nullptr;
    other.size_ = 0;
  }

  // Adds what Handoff::take() returned to the end.
  void append(Handoff<Runnable>::Chain chain) {
    if (chain.size == 0) return;
    (tail_ != nullptr ? tail_->next_ : head_) = chain.first;
    tail_ = chain.last;
    size_ += chain.size;
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
  const Runnable* last() const { return tail_; }

 private:
  Runnable* head_ = nullptr;
  Runnable* tail_ = nullptr;
  std::size_t size_ = 0;
};

// As a RunQueue, but one word: each order has one.
class RunRing {
 public:
  RunRing() = default;
  RunRing(const RunRing&) = delete;
  RunRing& operator=(const RunRing&) = delete;
  ~RunRing() {
    while (!empty()) pop();
  }

  void push(Ref<Runnable> runnable) { ring_.push(runnable.release()); }

  // Adds what Handoff::take() returned to the end.
  void append(Handoff<Runnable>::Chain chain) { ring_.append(chain); }

  Ref<Runnable> pop() { return Ref<Runnable>::adopt(ring_.pop()); }
  bool empty() const { return ring_.empty(); }

 private:
  HandoffRing<Runnable> ring_;
};

// The Runnables that other threads hand to a poll thread. Any thread pushes, one thread takes.
class Inbox {
 public:
  ~Inbox() {
    RunRing rest;
    take(rest);
  }

  // Returns false, and leaves `runnable` alone, if the Inbox is closed.
  [[nodiscard]] bool push(Ref<Runnable>&& runnable) {
    if (!pushed_.push(runnable.get())) return false;
    (void)runnable.release();
    return true;
  }

  bool empty() const { return pushed_.empty(); }

  // The taker only: moves all entries to the end of `queue`.
  void take(RunQueue& queue) { queue.append(pushed_.take()); }
  void take(RunRing& queue) { queue.append(pushed_.take()); }

  // The taker only: closes the Inbox. Returns false if there are entries to take first.
  bool close() { return pushed_.close(); }

 private:
  Handoff<Runnable> pushed_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_RUN_QUEUE_H_
