#ifndef EPORE_RUNTIME_INTERNAL_TASK_DEADLINE_HEAP_H_
#define EPORE_RUNTIME_INTERNAL_TASK_DEADLINE_HEAP_H_

#include <cstdint>

#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/task/task_node.h"

namespace epore::internal {

// A DeadlineHeap orders the deadlines of a task. It allocates nothing: deadlines are in the frames
// that wait for them. One thread at a time. It is a pairing heap: insertion is constant, removal
// logarithmic (amortised). (Fredman et al., "The pairing heap", Algorithmica 1986.)
class DeadlineHeap {
 public:
  // Inserts a deadline that is in no heap. Equal deadlines come out in any order.
  void insert(Deadline& deadline, std::int64_t at);

  // Removes it, if it is in this heap.
  void remove(Deadline& deadline);

  // Removes and returns the earliest one if it is not after `now`; otherwise returns null. A limit
  // also stays where it is after `judged`.
  Deadline* pop(std::int64_t now, std::int64_t judged);

  std::int64_t earliest() const { return top_ == nullptr ? kNever : top_->at_; }

 private:
  static Deadline* meld(Deadline* a, Deadline* b);
  static Deadline* meld_children(Deadline& parent);
  void set_top(Deadline* top);

  Deadline* top_ = nullptr;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_DEADLINE_HEAP_H_
