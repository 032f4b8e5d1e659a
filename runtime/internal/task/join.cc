#include "epore/runtime/internal/task/join.h"

#include <string_view>
#include <utility>

#include "epore/runtime/internal/base/no_memory.h"

namespace epore::internal {

void Join::add(JoinChild& child) {
  child.attach(*home_, scope_);
  child.join_ = this;
  child.previous_ = nullptr;
  child.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &child;
  first_ = &child;
  ++running_;
  if (!stop_.ok()) stop(child.base(), stop_);
}

void Join::remove(JoinChild& child) {
  (child.previous_ != nullptr ? child.previous_->next_ : first_) = child.next_;
  if (child.next_ != nullptr) child.next_->previous_ = child.previous_;
  --running_;
}

void Join::stop_children(const absl::Status& why) {
  if (stop_.ok()) stop_ = why;
  for (JoinChild* child = first_; child != nullptr; child = child->next_) {
    stop(child->base(), stop_);
  }
}

void Join::cancel_children(std::string_view why) {
  stop_children(make_error(absl::StatusCode::kCancelled, why));
}

void Join::has_no_child() {
  result_ = make_error(absl::StatusCode::kInvalidArgument, "any(): the vector has no task");
}

TaskNode* Join::finish_wait() {
  home_ = nullptr;
  TaskNode& node = end_wait();
  node.status = std::move(result_);
  return &node;
}

}  // namespace epore::internal
