#ifndef EPORE_RUNTIME_INTERNAL_TASK_CHANNEL_CORE_H_
#define EPORE_RUNTIME_INTERNAL_TASK_CHANNEL_CORE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/task/wait_list.h"

namespace epore::internal {

// A value in a channel. It has memory of its own, so that values are moved and destroyed outside
// the lock.
struct ChannelItem {
  ChannelItem* next = nullptr;
};

class SendWait;
class ReceiveWait;

// A ChannelCore is a Channel without the type of its values.
//
// A send() completes with a place for its value, and a receive() with the promise of an item. The
// value goes into the channel, and the item comes out of it, when the coroutine takes the result.
// So a send() or receive() that any() has no use for has had no effect: its destructor gives the
// place or the promise back, and somebody else gets it.
//
//   places_    sends that have completed, and have not put their value into the channel
//   promised_  receives that have completed, and have not taken their item; at most size_
//
//   an item is free:   size_ > promised_                               -> the first receiver
//   a place is free:   size_ - promised_ + places_ < capacity_ + the receivers that wait
//                      and the channel is open                         -> the first sender
//   nothing can come:  closed, size_ == 0 and places_ == 0             -> the end, all receivers
//
// A receiver that waits makes room for one value. So capacity 0 is a rendezvous: a sender goes on
// when a receiver waits for it.
class ChannelCore : public RefCounted {
 public:
  explicit ChannelCore(std::size_t capacity) : capacity_(std::min(capacity, kMost)) {}

  // A SendWait, in its order.
  bool begin(SendWait& send, TaskNode& node);
  void cancel(SendWait& send, const absl::Status& why);

  // A ReceiveWait, in its order.
  bool begin(ReceiveWait& receive, TaskNode& node);
  void cancel(ReceiveWait& receive, const absl::Status& why);

  // Any thread: takes a place or a promise without waiting.
  enum class Try : std::uint8_t { done, not_now, closed };
  Try try_reserve();
  Try try_promise();

  // With a place: puts the item in and ends the place, or only ends it.
  void put(ChannelItem* item);
  void give_place_back();

  // With a promise: takes the first item and ends the promise, or only ends it.
  ChannelItem* take();
  void give_promise_back();

  // Any thread. See Channel.
  void close();
  bool is_closed() const;
  std::size_t size() const;
  std::size_t capacity() const { return capacity_; }

 protected:
  ~ChannelCore() override = default;

  // In the destructor: the first item, which leaves the channel, or null.
  ChannelItem* drop_first();

 private:
  bool has_item() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return size_ > promised_; }
  bool has_place() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return size_ - promised_ + places_ < capacity_ + receivers_.size();
  }
  bool has_ended() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_closed_ && size_ == 0 && places_ == 0;
  }
  void settle(ReadyList& ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ChannelItem* pop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  static constexpr std::size_t kMost = static_cast<std::size_t>(-1) / 2;  // so that sums are right

  const std::size_t capacity_;

  mutable absl::Mutex mutex_;
  ChannelItem* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  ChannelItem* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::size_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t promised_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t places_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
  WaitList senders_ ABSL_GUARDED_BY(mutex_);
  WaitList receivers_ ABSL_GUARDED_BY(mutex_);
};

// Waits for a place. `core` may be null: that of a Channel that was moved from.
class SendWait : public ListedOperation {
 public:
  bool begin(TaskNode& node);
  void finish(TaskNode&) {}

 protected:
  explicit SendWait(Ref<ChannelCore> core) : core_(std::move(core)) {}
  SendWait(SendWait&&) = default;  // before it begins
  ~SendWait() {
    if (has_place_) core_->give_place_back();
  }

  void put(ChannelItem* item) {
    has_place_ = false;
    is_sent_ = true;
    core_->put(item);
  }

 private:
  friend class ChannelCore;

  void cancel(const absl::Status& why) override { core_->cancel(*this, why); }
  const char* name() const override { return "Channel::send"; }

  Ref<ChannelCore> core_;

  // Written under the lock, or by begin(). Its own order reads it when it has completed.
  bool has_place_ = false;
  bool is_sent_ = false;  // of its own order
};

// Waits for an item. `core` as of SendWait.
class ReceiveWait : public ListedOperation {
 public:
  bool begin(TaskNode& node);
  void finish(TaskNode&) {}

 protected:
  // `end_is_error`: at the end it completes with OutOfRange, and otherwise with ok and no item.
  ReceiveWait(Ref<ChannelCore> core, bool end_is_error)
      : core_(std::move(core)), end_is_error_(end_is_error) {}
  ReceiveWait(ReceiveWait&&) = default;  // before it begins
  ~ReceiveWait() {
    if (has_promise_) core_->give_promise_back();
  }

  bool has_promise() const { return has_promise_; }
  ChannelItem* take_item() {
    has_promise_ = false;
    return core_->take();
  }

 private:
  friend class ChannelCore;

  void cancel(const absl::Status& why) override { core_->cancel(*this, why); }
  const char* name() const override { return "Channel::receive"; }

  Ref<ChannelCore> core_;
  bool end_is_error_;
  bool has_promise_ = false;  // as SendWait::has_place_
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_CHANNEL_CORE_H_
