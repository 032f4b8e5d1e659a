#include "epore/poll/engine/completion_queue.h"

#include <linux/io_uring.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "absl/log/check.h"
#include "epore/poll/engine/io_uring_ring.h"
#include "epore/poll/engine/io_uring_selector.h"

namespace epore::internal {
namespace {

// Newer than the kernel headers of some distributions.
constexpr std::uint16_t kMultishot = 1u << 1;   // IORING_RECV_MULTISHOT, Linux 6.0
constexpr std::uint8_t kSkipSuccess = 1u << 6;  // IOSQE_CQE_SKIP_SUCCESS, 5.17

std::uint64_t key_of(Token token) {
  DCHECK_LT(token.value >> 32, CompletionQueue::kIsReceive);
  return token.value << 32 | CompletionQueue::kIsReceive | token.value >> 32;
}

std::size_t index_of(std::uint64_t key) { return key & (CompletionQueue::kIsReceive - 1); }

Token token_of(std::uint64_t key) { return Token{std::uint64_t{index_of(key)} << 32 | key >> 32}; }

// Room for `count` more, which grows as a vector does.
template <typename Vector>
void make_room(Vector& vector, std::size_t count) {
  vector.reserve(std::bit_ceil(vector.size() + count));
}

}  // namespace

CompletionQueue::CompletionQueue(IoUringSelector& selector) : selector_(selector) {}
CompletionQueue::~CompletionQueue() = default;

absl::Status CompletionQueue::start(const BufferPool::Limits& limits) {
  absl::Status started = selector_.start(pool_, limits);
  was_started_ = is_started_ = started.ok();
  return started;
}

CompletionQueue::Slot* CompletionQueue::find(std::uint64_t key) {
  const std::size_t index = index_of(key);
  if (index >= slots_.size() || slots_[index].generation != key >> 32) return nullptr;
  return &slots_[index];
}

CompletionQueue::Slot& CompletionQueue::slot(Token token) {
  Slot* const found = find(key_of(token));
  DCHECK(found != nullptr);
  return *found;
}

const CompletionQueue::Slot& CompletionQueue::slot(Token token) const {
  return const_cast<CompletionQueue*>(this)->slot(token);
}

void CompletionQueue::add(Token token, int fd) {
  const std::uint64_t key = key_of(token);
  if (index_of(key) >= slots_.size()) slots_.resize(std::bit_ceil(index_of(key) + 1));
  for (auto* keys : {&queued_, &starved_, &cancelled_, &untold_}) make_room(*keys, slots_.size());
  make_room(closed_, slots_.size());
  Slot& added = slots_[index_of(key)];
  DCHECK_EQ(added.generation, 0u);
  added.generation = static_cast<std::uint32_t>(key >> 32);
  added.fd = fd;
  if (is_started_) return queue(added, key);
  end(added, ENOMEM);  // change_ring() was refused
  untold_.push_back(key);
}

void CompletionQueue::queue(Slot& slot, std::uint64_t key) {
  slot.state = State::queued;
  queued_.push_back(key);
}

Arrival CompletionQueue::next(Token token) {
  Slot& slot = this->slot(token);
  release(slot);
  slot.is_held = false;
  Arrival arrival;
  if (slot.aside != nullptr) {
    arrival.bytes = {slot.aside->memory.bytes.get(), slot.aside->memory.size};
    slot.lent = kAside;
  } else if (slot.first != kNone) {
    slot.lent = slot.first;
    const Arrived& taken = arrived_[slot.first];
    arrival.bytes = pool_.bytes(slot.first).first(taken.size);
    slot.first = taken.next;
  } else if (slot.has_ended) {
    arrival.error = slot.error;
  } else {
    arrival.error = EAGAIN;
  }
  if (slot.has_bytes() || slot.has_ended) return arrival;
  arrival.is_last = true;
  if (slot.state == State::idle) queue(slot, key_of(token));
  return arrival;
}

void CompletionQueue::release(Token token) { release(slot(token)); }

void CompletionQueue::release(Slot& slot) {
  const std::uint16_t lent = std::exchange(slot.lent, kNone);
  if (lent == kAside) {
    slot.aside = std::move(slot.aside->next);
  } else if (lent != kNone) {
    pool_.give_back(lent);
  }
}

BufferPool::Memory CompletionQueue::keep(Token token) {
  Slot& slot = this->slot(token);
  const std::uint16_t lent = std::exchange(slot.lent, kNone);
  if (lent == kNone) return {};
  if (lent != kAside) return pool_.detach(lent);
  BufferPool::Memory memory = std::move(slot.aside->memory);
  slot.aside = std::move(slot.aside->next);
  return memory;
}

bool CompletionQueue::has_bytes(Token token) const { return slot(token).has_bytes(); }

bool CompletionQueue::has_news(Token token) const {
  const Slot& found = slot(token);
  return found.has_bytes() || found.has_ended;
}

int CompletionQueue::error(Token token) const { return slot(token).error; }

void CompletionQueue::hold(Token token) {
  Slot& slot = this->slot(token);
  slot.is_held = true;
  set_aside(slot);
  if (slot.state != State::armed) return;
  slot.state = State::cancelled;
  cancelled_.push_back(key_of(token));
}

// Copies what has arrived, as far as there is memory, and gives its buffers back.
void CompletionQueue::set_aside(Slot& slot) {
  std::unique_ptr<Piece>* last = &slot.aside;
  while (*last != nullptr) last = &(*last)->next;
  for (; slot.first != kNone; last = &(*last)->next) {
    std::size_t size = 0;
    for (std::uint16_t id = slot.first; id != kNone && size + arrived_[id].size <= kPiece;
         id = arrived_[id].next) {
      size += arrived_[id].size;
    }
    std::unique_ptr<Piece> piece(new (std::nothrow) Piece);
    if (piece == nullptr) return;
    piece->memory.bytes.reset(new (std::nothrow) std::byte[size]);
    if (piece->memory.bytes == nullptr) return;
    piece->memory.size = size;
    for (std::byte* at = piece->memory.bytes.get(); size != 0;) {
      const std::uint16_t id = slot.first;
      std::memcpy(at, pool_.bytes(id).data(), arrived_[id].size);
      at += arrived_[id].size;
      size -= arrived_[id].size;
      slot.first = arrived_[id].next;
      pool_.give_back(id);
    }
    *last = std::move(piece);
  }
}

void CompletionQueue::remove(Token token, OwnedFd fd) {
  const std::uint64_t key = key_of(token);
  Slot* const found = find(key);
  if (found == nullptr) return;  // add() has failed
  release(*found);
  for (std::uint16_t id = found->first; id != kNone;) {
    const std::uint16_t next = arrived_[id].next;
    pool_.give_back(id);
    id = next;
  }
  const State state = found->state;
  *found = Slot();
  if (state == State::armed) cancelled_.push_back(key);
  if (state != State::armed && state != State::cancelled) return;
  // An operation that waits in the ring must not find another file by this number. The kernel keeps
  // the file open until the receive has ended, so it is cancelled at once.
  if (!selector_.submit_now()) closed_.push_back(std::move(fd));
}

bool CompletionQueue::submit(IoUringRing& ring) {
  // change_ring() was refused. Later connections may receive.
  if (was_started_ && !is_started_) is_started_ = pool_.start(ring, pool_.limits()).ok();
  for (; !cancelled_.empty(); cancelled_.pop_back()) {
    if (ring.room() == 0) return false;
    io_uring_sqe& cancel = ring.add();
    cancel.opcode = IORING_OP_ASYNC_CANCEL;
    cancel.flags = kSkipSuccess;
    cancel.addr = cancelled_.back();
  }
  if (!starved_.empty()) feed();
  for (; !queued_.empty(); queued_.pop_back()) {
    Slot* const slot = find(queued_.back());
    if (slot == nullptr || slot->state != State::queued) continue;
    if (slot->is_held) {
      slot->state = State::idle;
      continue;
    }
    if (ring.room() == 0) return false;
    io_uring_sqe& receive = ring.add();
    receive.opcode = IORING_OP_RECV;
    receive.flags = IOSQE_BUFFER_SELECT;
    receive.ioprio = kMultishot;
    receive.fd = slot->fd;
    receive.buf_group = BufferPool::kGroup;
    receive.user_data = queued_.back();
    slot->state = State::armed;
  }
  return true;
}

// Queues the starved receives if there is a buffer: all of them, as an idle one takes none.
void CompletionQueue::feed() {
  if (is_dry_) pool_.grow();
  if (pool_.is_dry()) return;
  is_dry_ = false;
  // One that takes all there is would be first each time.
  if (std::exchange(is_turned_, !is_turned_)) std::reverse(starved_.begin(), starved_.end());
  for (; !starved_.empty(); starved_.pop_back()) {
    Slot* const slot = find(starved_.back());
    if (slot != nullptr && slot->state == State::starved) queue(*slot, starved_.back());
  }
}

void CompletionQueue::submitted(const IoUringRing& ring) {
  if (!closed_.empty() && cancelled_.empty() && ring.is_all_submitted()) closed_.clear();
}

void CompletionQueue::tell(Events& events) {
  for (; !untold_.empty() && events.size() < events.capacity(); untold_.pop_back()) {
    events.push_back(Event{token_of(untold_.back()), Readiness::readable()});
  }
}

void CompletionQueue::take(const io_uring_cqe& done, Events& events) {
  const auto buffer = static_cast<std::uint16_t>(done.flags >> IORING_CQE_BUFFER_SHIFT);
  const bool has_buffer = (done.flags & IORING_CQE_F_BUFFER) != 0;
  if (has_buffer) pool_.take(buffer);
  Slot* const found = find(done.user_data);
  const bool is_news = found != nullptr && has_buffer && done.res > 0;
  if (has_buffer && !is_news) pool_.give_back(buffer);
  if (found == nullptr) return;
  Slot& slot = *found;
  const bool had_bytes = slot.has_bytes();
  if (is_news) {
    arrived_[buffer] = {static_cast<std::uint32_t>(done.res), kNone};
    (slot.first == kNone ? slot.first : arrived_[slot.last].next) = buffer;
    slot.last = buffer;
    if (slot.is_held) set_aside(slot);
  }
  if ((done.flags & IORING_CQE_F_MORE) == 0) over(slot, done.user_data, done.res);
  // A reset is told to who leaves bytes as well.
  if (had_bytes ? slot.error != 0 : slot.has_bytes() || slot.has_ended) {
    events.push_back(Event{token_of(done.user_data), Readiness::readable()});
  }
}

// The receive is over, with the result of its last completion.
void CompletionQueue::over(Slot& slot, std::uint64_t key, int result) {
  slot.state = State::idle;
  if (result == 0) return end(slot, 0);
  const bool goes_on = result > 0 || result == -ENOBUFS || result == -ECANCELED || result == -EINTR;
  if (!goes_on) return end(slot, -result);
  if (result == -ENOBUFS) {
    is_dry_ = true;
    ++dry_;
  }
  if (slot.is_held) return;  // next() queues it
  if (result != -ENOBUFS) return queue(slot, key);
  slot.state = State::starved;
  starved_.push_back(key);
}

void CompletionQueue::end(Slot& slot, int error) {
  slot.state = State::idle;
  slot.has_ended = true;
  slot.error = static_cast<std::uint16_t>(error);
}

void CompletionQueue::change_ring(IoUringRing& ring) {
  ring_gone();
  if (is_started_) is_started_ = pool_.start(ring, pool_.limits()).ok();
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    if (slot.generation == 0 || slot.has_ended) continue;
    if (is_started_ && slot.state != State::armed && slot.state != State::cancelled) continue;
    end(slot, ENOMEM);
    untold_.push_back(key_of(Token{std::uint64_t{index} << 32 | slot.generation}));
  }
}

}  // namespace epore::internal
