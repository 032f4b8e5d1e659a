#include "epore/runtime/internal/reactor/blocking_pool.h"

#include <cerrno>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {

BlockingPool::BlockingPool(Core& core, LaneOptions options, std::string_view limit_name)
    : core_(core), options_(std::move(options)), limit_name_(limit_name), gate_(core.kernel()) {
  ids_.reserve(static_cast<std::size_t>(options_.threads));
}

void BlockingPool::push(BlockingWork& work) {
  bool is_short = false;
  bool is_full = false;
  {
    const absl::MutexLock lock(&mutex_);
    is_short = queued_ + 1 > idle_ && threads_ < options_.threads;
    is_full = !is_short && queued_ >= idle_ && queued_ - idle_ >= options_.queue;
    if (!is_full) append(work, is_short);
  }
  if (is_full) {
    work.fail(or_no_memory("blocking", [&] {
      return absl::ResourceExhaustedError(
          absl::StrCat("blocking: ", options_.queue, " calls wait for the threads of the lane ",
                       std::string_view(options_.name), " already (", limit_name_, ")"));
    }));
  } else if (is_short) {
    start_thread();
  } else {
    gate_.notify();
  }
}

void BlockingPool::append(BlockingWork& work, bool starts_thread) {
  work.previous_ = last_;
  work.next_ = nullptr;
  work.is_queued_ = true;
  (last_ != nullptr ? last_->next_ : first_) = &work;
  last_ = &work;
  ++queued_;
  if (!starts_thread) return;
  ++threads_;
  ++idle_;
}

void BlockingPool::start_thread() {
  std::uint64_t id = 0;
  SysResult result = SysResult::from_errno(ENOMEM);
  try {
    result = core_.start_thread(
        options_.name.c_str(), [this] { loop(); }, &id);
  } catch (const std::bad_alloc&) {
  }
  BlockingWork* failed = nullptr;  // linked by next_
  {
    const absl::MutexLock lock(&mutex_);
    if (result.ok()) {
      ids_.push_back(id);
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

std::size_t BlockingPool::size() {
  const absl::MutexLock lock(&mutex_);
  return queued_ + static_cast<std::size_t>(threads_) - idle_;
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
      if (ids_.empty()) return;
      id = ids_.back();
      ids_.pop_back();
    }
    (void)core_.kernel().join_thread(id);
  }
}

absl::StatusOr<Lane> Lanes::make(Core& core, LaneOptions options) {
  const Ref<BlockingPool> pool =
      Ref<BlockingPool>::adopt(new BlockingPool(core, std::move(options), "LaneOptions::queue"));
  const absl::MutexLock lock(&mutex_);
  if (is_stopped_) return absl::FailedPreconditionError("lane: the runtime is shut down");
  pools_.push_back(pool);
  return pool->handle();
}

std::size_t Lanes::size() {
  std::size_t size = 0;
  const absl::MutexLock lock(&mutex_);
  for (const Ref<BlockingPool>& pool : pools_) size += pool->size();
  return size;
}

void Lanes::stop() {
  std::vector<Ref<BlockingPool>> pools;
  {
    const absl::MutexLock lock(&mutex_);
    is_stopped_ = true;
    pools.swap(pools_);
  }
  for (const Ref<BlockingPool>& pool : pools) pool->stop();
}

}  // namespace epore::internal

namespace epore {

absl::Status LaneOptions::check() const {
  const std::string_view text = name;
  if (text.empty() || text.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError("LaneOptions::name must be a name");
  }
  if (threads < 1 || threads > 1000) {
    return absl::InvalidArgumentError(
        absl::StrCat("LaneOptions::threads (", threads, ") must be from 1 to 1000"));
  }
  return absl::OkStatus();
}

Lane::Lane() = default;
Lane::Lane(const Lane&) = default;
Lane::Lane(Lane&&) noexcept = default;
Lane& Lane::operator=(const Lane&) = default;
Lane& Lane::operator=(Lane&&) noexcept = default;
Lane::~Lane() = default;
Lane::Lane(internal::Ref<internal::BlockingPool> pool) : pool_(std::move(pool)) {}

}  // namespace epore
