#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_QUEUE_BUDGET_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_QUEUE_BUDGET_H_

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "epore/runtime/internal/base/counter.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {

// A QueueBudget is RuntimeOptions::max_queued_bytes: how much memory the write queues of all
// connections may have together. It only counts and tells; the Stream acts.
//
// Each thread counts for itself (ThreadCounters), so no send writes to a word that threads share.
// To add the counts up takes some hundred loads. So a thread looks only when it has charged a step
// since its last look, and at each change while the memory is tight. What the threads have not
// looked at is at most a step for each of them.
//
// It counts blocks of 4 KiB, the least memory of a queue that is not empty. Bytes that go to the
// system at once are not counted, and bytes in mail not before they are in the queue.
class QueueBudget {
 public:
  // The most of a high mark while memory is tight. The low mark is 0 then.
  static constexpr std::size_t kTightHighMark = 4 * 1024;

  QueueBudget(RuntimeCounters& counters, std::size_t most)
      : counters_(counters),
        most_(most),
        step_(std::clamp<std::size_t>(most / kBlock / 64, 1, kLargestStep)) {}

  // How many blocks so many bytes take.
  static std::size_t blocks(std::size_t bytes) { return (bytes + kBlock - 1) / kBlock; }

  // Any thread: a queue has grown by so many blocks. True: the caller must look().
  [[nodiscard]] bool charge(std::size_t blocks) {
    counters_.add(Counter::blocks_queued, blocks);
    if (most_ == 0) return false;
    this_thread.charged_blocks += blocks;
    if (this_thread.charged_blocks < step_ && !is_tight()) return false;
    this_thread.charged_blocks = 0;
    return true;
  }

  // Any thread: a queue has shrunk. While memory is tight it looks, as perhaps no queue grows soon.
  void discharge(std::size_t blocks) {
    counters_.add(Counter::blocks_dequeued, blocks);
    if (is_tight()) [[unlikely]]
      (void)look();
  }

  // Any thread: adds up the bytes that all queues have, and notes whether that is tight.
  std::size_t look() {
    const std::size_t gone = counters_.sum(Counter::blocks_dequeued);  // read first, see snapshot()
    const std::size_t all = counters_.sum(Counter::blocks_queued);
    const std::size_t used = (all > gone ? all - gone : 0) * kBlock;
    const bool is_tight = used > most_ / 2;
    if (is_tight != this->is_tight()) is_tight_.store(is_tight, std::memory_order_relaxed);
    return used;
  }

  // Whether all of them had more than half of the budget at the last look.
  bool is_tight() const { return is_tight_.load(std::memory_order_relaxed); }

  // Whether, if all have `used`, a queue of `size` bytes that has grown has to go: it is more than
  // its share. Some queue is, or all would fit; but one that was within the share of fewer
  // connections may not grow any more. So above twice the limit each one that grows has to go.
  bool is_too_much(std::size_t used, std::size_t size) const {
    if (used <= most_) return false;
    if (used / 2 > most_) return true;
    const std::size_t closed = counters_.sum(Counter::connections_closed);
    const std::size_t opened = counters_.sum(Counter::connections_opened);
    return size > most_ / std::max<std::size_t>(opened > closed ? opened - closed : 0, 1);
  }

  std::size_t most() const { return most_; }

 private:
  static constexpr std::size_t kBlock = 4 * 1024;
  static constexpr std::size_t kLargestStep = 16;  // blocks

  RuntimeCounters& counters_;
  const std::size_t most_;  // 0: no limit
  const std::size_t step_;  // blocks

  // Stored after a look, loaded at each change, by any thread, both relaxed: it is a hint. An older
  // look may overwrite a newer one. If it is false then, the next step of a thread sets it right,
  // and if it is true, the next change of a queue.
  std::atomic<bool> is_tight_{false};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_QUEUE_BUDGET_H_
