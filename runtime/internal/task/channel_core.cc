#include "epore/runtime/internal/task/channel_core.h"

#include "absl/base/no_destructor.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/no_memory.h"

namespace epore::internal {
namespace {

const absl::Status& closed_error() {
  static const absl::NoDestructor<absl::Status> error(
      make_error(absl::StatusCode::kFailedPrecondition, "Channel::send: the channel is closed"));
  return *error;
}

const absl::Status& end_error() {
  static const absl::NoDestructor<absl::Status> error(make_error(
      absl::StatusCode::kOutOfRange, "Channel::receive: the channel is closed and empty"));
  return *error;
}

}  // namespace

bool ChannelCore::begin(SendWait& send, TaskNode& node) {
  const absl::MutexLock lock(&mutex_);
  const bool is_awaited = WaitList::has(send) || send.has_place_ || send.is_sent_;
  if (fails_as_awaited(send.name(), is_awaited, node)) return true;
  if (is_closed_) {
    node.status = closed_error();
    return true;
  }
  if (senders_.empty() && has_place()) {
    send.has_place_ = true;
    ++places_;
    return true;
  }
  senders_.push(send, node);
  return false;
}

bool ChannelCore::begin(ReceiveWait& receive, TaskNode& node) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  const bool is_awaited = WaitList::has(receive) || receive.has_promise_;
  if (fails_as_awaited(receive.name(), is_awaited, node)) return true;
  if (has_item()) {
    receive.has_promise_ = true;
    ++promised_;
    settle(ready);
    return true;
  }
  if (has_ended()) {
    if (receive.end_is_error_) node.status = end_error();
    return true;
  }
  receivers_.push(receive, node);
  settle(ready);
  return false;
}

bool SendWait::begin(TaskNode& node) {
  if (ends_with_stop(node) || fails_as_nothing(name(), core_.get(), "channel", node)) return true;
  return core_->begin(*this, node);
}

bool ReceiveWait::begin(TaskNode& node) {
  if (ends_with_stop(node) || fails_as_nothing(name(), core_.get(), "channel", node)) return true;
  return core_->begin(*this, node);
}

void ChannelCore::cancel(SendWait& send, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(send)) ready.add(senders_, send, &why);
}

void ChannelCore::cancel(ReceiveWait& receive, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(receive)) ready.add(receivers_, receive, &why);
}

ChannelCore::Try ChannelCore::try_reserve() {
  const absl::MutexLock lock(&mutex_);
  if (is_closed_) return Try::closed;
  if (!senders_.empty() || !has_place()) return Try::not_now;
  ++places_;
  return Try::done;
}

ChannelCore::Try ChannelCore::try_promise() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (!has_item()) return has_ended() ? Try::closed : Try::not_now;
  ++promised_;
  settle(ready);
  return Try::done;
}

void ChannelCore::put(ChannelItem* item) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  item->next = nullptr;
  (last_ != nullptr ? last_->next : first_) = item;
  last_ = item;
  ++size_;
  --places_;
  settle(ready);
}

void ChannelCore::give_place_back() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  --places_;
  settle(ready);
}

ChannelItem* ChannelCore::take() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  ChannelItem* const item = pop();
  --promised_;
  settle(ready);
  return item;
}

void ChannelCore::give_promise_back() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  --promised_;
  settle(ready);
}

void ChannelCore::close() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  is_closed_ = true;
  settle(ready);
}

bool ChannelCore::is_closed() const {
  const absl::MutexLock lock(&mutex_);
  return is_closed_;
}

std::size_t ChannelCore::size() const {
  const absl::MutexLock lock(&mutex_);
  return size_ - promised_;
}

ChannelItem* ChannelCore::drop_first() {
  const absl::MutexLock lock(&mutex_);
  return size_ == 0 ? nullptr : pop();
}

ChannelItem* ChannelCore::pop() {
  ChannelItem* const item = first_;
  first_ = item->next;
  if (first_ == nullptr) last_ = nullptr;
  --size_;
  return item;
}

// Gives what is free to those who wait.
void ChannelCore::settle(ReadyList& ready) {
  while (!receivers_.empty() && has_item()) {
    auto& receive = static_cast<ReceiveWait&>(*receivers_.first());
    receive.has_promise_ = true;
    ++promised_;
    ready.add(receivers_, receive);
  }
  while (!senders_.empty() && (is_closed_ || has_place())) {
    auto& send = static_cast<SendWait&>(*senders_.first());
    send.has_place_ = !is_closed_;
    if (!is_closed_) ++places_;
    ready.add(senders_, send, is_closed_ ? &closed_error() : nullptr);
  }
  while (!receivers_.empty() && has_ended()) {
    auto& receive = static_cast<ReceiveWait&>(*receivers_.first());
    ready.add(receivers_, receive, receive.end_is_error_ ? &end_error() : nullptr);
  }
}

}  // namespace epore::internal
