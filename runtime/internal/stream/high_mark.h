#ifndef EPORE_RUNTIME_INTERNAL_STREAM_HIGH_MARK_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_HIGH_MARK_H_

#include <atomic>

namespace epore::internal {

// Whether a sender was told `high` and is owed an on_writable. Any thread may send; the runner
// pays.
//
// A sender counts its bytes, then sets this. The runner clears this, then looks at the count again,
// and sets it back if the queue is not low. In the other order a sender could be forgotten:
//
//   runner                                   another thread
//   the queue is low
//                                            send(): counts its bytes; it is set already: `high`
//   clears it
//
// Orders: both are read-modify-writes. Either the runner's comes second, and its second look sees
// the bytes, or the sender's comes second, and it stays set.
class HighMark {
 public:
  bool is_set() const { return is_set_.load(std::memory_order_acquire); }

  // False: it was set already.
  bool set() { return !is_set_.exchange(true, std::memory_order_acq_rel); }

  // The runner.
  void clear() { is_set_.exchange(false, std::memory_order_acq_rel); }

 private:
  std::atomic<bool> is_set_{false};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_HIGH_MARK_H_
