#include "epore/poll/engine/buffer_pool.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::internal {
namespace {

// A short message is in one line of the cache. Room for that also keeps the buffers from beginning
// in the same set of a cache, as they would a power of two apart.
constexpr std::size_t kLine = 64;
constexpr std::size_t kAllocated = BufferPool::kSize + kLine;

}  // namespace

absl::Status BufferPool::start(IoUringRing& ring, const Limits& limits) {
  CHECK(limits.first > 0 && limits.first <= limits.most && limits.most <= kMost);
  if (!ring.is_deferred()) {
    return absl::UnimplementedError("completions need IORING_SETUP_DEFER_TASKRUN (Linux 6.1)");
  }
  limits_ = limits;
  table_ = std::make_unique<Table>();
  tail_ = 0;
  free_ = 0;
  buffers_.reserve(limits.most);
  const SysResult done = ring.register_buffers(table_.get(), kMost, kGroup);
  if (!done.ok()) return errno_status(done.error(), "io_uring_register of a ring of buffers");
  for (std::size_t id = 0; id < buffers_.size(); ++id) {
    if (buffers_[id].memory != nullptr && !buffers_[id].is_taken) provide(static_cast<Id>(id));
  }
  if (buffers_.empty()) grow();
  return buffers_.empty() ? absl::ResourceExhaustedError("no memory") : absl::OkStatus();
}

std::unique_ptr<std::byte[]> BufferPool::allocate() {
  return std::unique_ptr<std::byte[]>(new (std::nothrow) std::byte[kAllocated]);
}

std::span<std::byte> BufferPool::bytes(Id id) const {
  void* begin = buffers_[id].memory.get();
  std::size_t size = kAllocated;
  return {static_cast<std::byte*>(std::align(kLine, kSize, begin, size)), kSize};
}

// The kernel loads the tail with acquire.
void BufferPool::provide(Id id) {
  Entry& entry = table_->entries[tail_ % kMost];
  entry.address = reinterpret_cast<std::uintptr_t>(bytes(id).data());
  entry.size = kSize;
  entry.id = id;
  ++free_;
  std::atomic_ref(table_->entries[0].tail).store(++tail_, std::memory_order_release);
}

void BufferPool::give_back(Id id) {
  buffers_[id].is_taken = false;
  provide(id);
}

BufferPool::Memory BufferPool::detach(Id id) {
  Buffer& buffer = buffers_[id];
  Memory memory{std::exchange(buffer.memory, allocate()), kAllocated};
  if (buffer.memory != nullptr) give_back(id);
  return memory;
}

void BufferPool::grow() {
  for (std::size_t id = 0; id < buffers_.size(); ++id) {
    if (buffers_[id].memory != nullptr) continue;
    buffers_[id].memory = allocate();
    if (buffers_[id].memory == nullptr) return;
    give_back(static_cast<Id>(id));
  }
  const std::size_t wanted = std::min<std::size_t>(
      limits_.most, std::max<std::size_t>(limits_.first, 2 * buffers_.size()));
  while (buffers_.size() < wanted) {
    std::unique_ptr<std::byte[]> memory = allocate();
    if (memory == nullptr) return;
    buffers_.push_back(Buffer{std::move(memory)});  // there is room, see start()
    provide(static_cast<Id>(buffers_.size() - 1));
  }
}

}  // namespace epore::internal
