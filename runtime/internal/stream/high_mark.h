#ifndef EPORE_RUNTIME_INTERNAL_STREAM_HIGH_MARK_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_HIGH_MARK_H_

#include <atomic>

namespace epore::internal {

// A HighMark is set while a sender waits for on_writable, because its send() has returned `high`.
// Any thread sends and sets it. The runner clears it and calls on_writable.
//
// A sender counts its bytes and then sets the mark. The runner clears the mark, and then looks at
// the count again. If the queue is not low, the runner sets the mark again. The race that the order
// is for, with the look first and the clearing second:
//
//   runner                                   another thread
//   looks: the queue is low
//                                            send(): counts its bytes; the mark is set: `high`
//   clears the mark; on_writable
//                                            begins to wait; no further on_writable comes
//
// Orders: set() and clear() are acq_rel exchanges. If clear() comes second, the runner's second
// look sees the bytes. If set() comes second, the mark stays set.
class HighMark {
 public:
  bool is_set() const { return is_set_.load(std::memory_order_acquire); }

  // Returns false if the mark was set already.
  bool set() { return !is_set_.exchange(true, std::memory_order_acq_rel); }

  // The runner only.
  void clear() { is_set_.exchange(false, std::memory_order_acq_rel); }

 private:
  std::atomic<bool> is_set_{false};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_HIGH_MARK_H_
