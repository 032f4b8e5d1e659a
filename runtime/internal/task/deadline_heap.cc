#include "epore/runtime/internal/task/deadline_heap.h"

#include <utility>

namespace epore::internal {

// Both are tops. Makes the later one the first child of the earlier one, and returns that.
Deadline* DeadlineHeap::meld(Deadline* a, Deadline* b) {
  if (b->at_ < a->at_) std::swap(a, b);
  b->next_ = a->child_;
  if (a->child_ != nullptr) a->child_->previous_ = b;
  b->previous_ = a;
  a->child_ = b;
  return a;
}

// Takes the children off and makes one heap of them: pairs from left to right, and then the pairs
// from right to left. Returns its top, or null.
Deadline* DeadlineHeap::meld_children(Deadline& parent) {
  Deadline* pairs = nullptr;  // linked by next_, the last one first
  Deadline* child = std::exchange(parent.child_, nullptr);
  while (child != nullptr) {
    Deadline* const second = child->next_;
    Deadline* const rest = second == nullptr ? nullptr : second->next_;
    Deadline* const pair = second == nullptr ? child : meld(child, second);
    pair->next_ = pairs;
    pairs = pair;
    child = rest;
  }
  Deadline* top = nullptr;
  while (pairs != nullptr) {
    Deadline* const pair = std::exchange(pairs, pairs->next_);
    pair->next_ = nullptr;
    top = top == nullptr ? pair : meld(top, pair);
  }
  return top;
}

void DeadlineHeap::set_top(Deadline* top) {
  top_ = top;
  if (top == nullptr) return;
  top->previous_ = top;
  top->next_ = nullptr;
}

void DeadlineHeap::insert(Deadline& deadline, std::int64_t at) {
  deadline.at_ = at;
  deadline.child_ = deadline.next_ = nullptr;
  set_top(top_ == nullptr ? &deadline : meld(top_, &deadline));
}

void DeadlineHeap::remove(Deadline& deadline) {
  if (deadline.previous_ == nullptr) return;
  Deadline* const rest = meld_children(deadline);
  if (&deadline == top_) {
    set_top(rest);
  } else {
    Deadline* const before = deadline.previous_;
    (before->child_ == &deadline ? before->child_ : before->next_) = deadline.next_;
    if (deadline.next_ != nullptr) deadline.next_->previous_ = before;
    if (rest != nullptr) set_top(meld(top_, rest));
  }
  deadline.previous_ = deadline.next_ = nullptr;
}

Deadline* DeadlineHeap::pop(std::int64_t now, std::int64_t judged) {
  Deadline* const top = top_;
  if (top == nullptr || top->at_ > now) return nullptr;
  if (top->at_ > judged && top->is_limit()) return nullptr;
  remove(*top);
  return top;
}

}  // namespace epore::internal
