#include "epore/runtime/internal/reactor/blocking_pool.h"

#include <cerrno>
#include <cstdint>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {

BlockingPool::BlockingPool(Core& core) : core_(core), gate_(core.kernel()) {}

void BlockingPool::push(BlockingWork& work) {
  bool is_short = false;
  {
    const absl::MutexLock lock(&mutex_);
    work.previous_ = last_;
    work.next_ = nullptr;
    work.is_queued_ = true;
    (last_ != nullptr ? last_->next_ : first_) = &work;
    last_ = &work;
    ++queued_;
    is_short = queued_ > idle_ && threads_ < kThreads;
    if (is_short) {
      ++threads_;
      ++idle_;
    }
  }
  if (is_short) {
    start_thread();
  } else {
    gate_.notify();
  }
}

void BlockingPool::start_thread() {
  std::uint64_t id = 0;
  SysResult result = SysResult::from_errno(ENOMEM);
  try {
    result = core_.kernel().start_thread(
        "epore-blocking", [this] { loop(); }, &id);
  } catch (const std::bad_alloc&) {
  }
  BlockingWork* failed = nullptr;  // linked by next_
  {
    const absl::MutexLock lock(&mutex_);
    if (result.ok()) {
      ids_[static_cast<std::size_t>(started_++)] = id;
      return;
    }
    --threads_;
    --idle_;
    if (threads_ == 0) {  // the work of other callers has no thread either
      failed = std::exchange(first_, nullptr);
      last_ = nullptr;
      queued_ = 0;
      for (BlockingWork* work = failed; work != nullptr; work = work->next_) {
        work->is_queued_ = false;
      }
    }
  }
  if (failed == nullptr) return;
  const absl::Status error = or_no_memory(
      "blocking", [&] { return errno_status(result.error(), "starting a thread for blocking()"); });
  while (failed != nullptr) std::exchange(failed, failed->next_)->fail(error);
}

void BlockingPool::take_out(BlockingWork& work) {
  (work.previous_ != nullptr ? work.previous_->next_ : first_) = work.next_;
  (work.next_ != nullptr ? work.next_->previous_ : last_) = work.previous_;
  work.is_queued_ = false;
  --queued_;
}

bool BlockingPool::remove(BlockingWork& work) {
  const absl::MutexLock lock(&mutex_);
  if (!work.is_queued_) return false;
  take_out(work);
  return true;
}

void BlockingPool::loop() {
  this_thread.core = &core_;  // so that calls that would wait for this thread are refused
  while (BlockingWork* const work = wait_for_work()) {
    work->run();
    const absl::MutexLock lock(&mutex_);
    ++idle_;
  }
}

// Returns null if the thread must end.
BlockingWork* BlockingPool::wait_for_work() {
  BlockingWork* work = nullptr;
  gate_.wait([this, &work] {
    const absl::MutexLock lock(&mutex_);
    if (first_ == nullptr) return is_stopping_;
    work = first_;
    take_out(*work);
    --idle_;
    return true;
  });
  return work;
}

void BlockingPool::stop() {
  {
    const absl::MutexLock lock(&mutex_);
    is_stopping_ = true;
  }
  gate_.notify();
  for (;;) {
    std::uint64_t id = 0;
    {
      const absl::MutexLock lock(&mutex_);
      if (started_ == 0) return;
      id = ids_[static_cast<std::size_t>(--started_)];
    }
    (void)core_.kernel().join_thread(id);
  }
}

}  // namespace epore::internal
