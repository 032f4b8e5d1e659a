#ifndef EPORE_POLL_ENGINE_COMPLETION_QUEUE_H_
#define EPORE_POLL_ENGINE_COMPLETION_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "epore/poll/engine/buffer_pool.h"
#include "epore/poll/events.h"
#include "epore/poll/owned_fd.h"
#include "epore/poll/token.h"

struct io_uring_cqe;

namespace epore::internal {

class IoUringRing;
class IoUringSelector;

// What a receive has brought: bytes; or none and why: an errno, EAGAIN if nothing has arrived, 0 at
// the peer's end.
struct Arrival {
  std::span<std::byte> bytes;
  int error = 0;
  bool is_last = false;  // nothing else has arrived so far
};

// The receives of io_uring(7): a multishot receive for each socket, into the buffers of a pool. It
// shares the ring of an IoUringSelector, whose wait() tells an arrival as the event "readable".
//
// A socket is known by its Token, which must be {slot: 32, generation: 32}, with few slots, and no
// generation of 0. Both are in the user data of the receive, beside the bit kIsReceive, which polls
// do not have. So a completion that comes late, after remove(), is dropped by arithmetic.
//
//   idle --add(), next()--> queued --submit()--> armed --error, end of file--> idle
//                              ^                  | |
//                              +--- starved <-----+ +--hold()--> cancelled --last completion-->
//                              idle
//
// starved: the pool was dry (ENOBUFS). The receive is armed again when a buffer comes back.
//
// Threads: start() before the first wait(). The owner of the ring, outside of wait(): the others.
//
// Errors: the kernel completes nothing outside of a call of the owner (see IoUringRing). So where
// has_all() is true, recv(2) goes on behind the last arrival.
class CompletionQueue {
 public:
  explicit CompletionQueue(IoUringSelector& selector);
  ~CompletionQueue();

  // Begins to serve add(). Errors: those of BufferPool::start(); then there are no receives.
  absl::Status start(const BufferPool::Limits& limits = {});

  // -- For who receives. --

  // Receives from `fd`, which stays the caller's until remove(). Throws std::bad_alloc.
  void add(Token token, int fd);

  // Takes the next arrival. Its bytes stay until the next call of next(), release() or keep() for
  // this token.
  Arrival next(Token token);

  // The bytes are not needed any more.
  void release(Token token);

  // The bytes stay where they are, and become the caller's. Empty if there are none.
  BufferPool::Memory keep(Token token);

  // Whether there are bytes to take; or anything at all, as the peer's end.
  bool has_bytes(Token token) const;
  bool has_news(Token token) const;

  // The errno that has ended the receive, behind what has arrived; 0: none.
  int error(Token token) const;

  // Nobody takes what has arrived, for now. It is copied, so that it needs no buffer of the pool,
  // and the peer is held up until next(). The copy comes in pieces of kPiece at most, so that a
  // reader that stops after each has no more at once than by recv(2).
  static constexpr std::size_t kPiece = 32 * 1024;
  void hold(Token token);

  // Ends it, and closes `fd` as soon as no operation names it.
  void remove(Token token, OwnedFd fd);

  // Whether all that the kernel has completed was told.
  bool has_all() const { return has_all_; }

  // Whether the last wait() told everything that was ready, if the batch was not full.
  bool is_whole() const { return is_whole_ && starved_.empty(); }

  // How often the pool was dry since the last call.
  std::uint64_t take_dry() { return std::exchange(dry_, 0); }

  // -- For the selector, in wait(). Nothing throws but change_ring(), which may be called again,
  // and submit() while change_ring() was refused. --

  static constexpr std::uint64_t kIsReceive = std::uint64_t{1} << 31;

  // Adds what is queued to the ring. False: there is no room for all of it.
  bool submit(IoUringRing& ring);
  void submitted(const IoUringRing& ring);  // the kernel has taken what was added, or a part of it
  bool has_untold() const { return !untold_.empty(); }
  void tell(Events& events);  // what no completion tells
  void take(const io_uring_cqe& done, Events& events);
  void note(bool has_all, bool is_whole) {
    has_all_ = has_all;
    is_whole_ = is_whole;
  }

  // Whether what has arrived is better taken before more is told. With few buffers between the
  // kernel and the callbacks, a message is still in the caches when it is read.
  bool has_enough() const { return pool_.taken() >= kEnough; }

  // The ring is gone, so no operation names a descriptor.
  void ring_gone() {
    cancelled_.clear();
    closed_.clear();
  }
  // The same, and this is the next one. What the other one has received is gone with it: those
  // connections get ENOMEM.
  void change_ring(IoUringRing& ring);

 private:
  static constexpr std::uint16_t kNone = 0xffff;
  static constexpr std::uint16_t kAside = 0xfffe;  // as `lent`
  static constexpr std::size_t kEnough = 32;       // half of the first buffers

  enum class State : std::uint8_t { idle, queued, armed, cancelled, starved };

  // What hold() has copied.
  struct Piece {
    BufferPool::Memory memory;
    std::unique_ptr<Piece> next;
  };
  // What is known of one socket. An idle connection has this, and nothing else here.
  struct Slot {
    std::uint32_t generation = 0;  // 0: nobody's
    int fd = -1;
    std::uint16_t first = kNone;  // of the buffers that have arrived
    std::uint16_t last = kNone;
    std::uint16_t lent = kNone;  // what next() has given
    std::uint16_t error = 0;
    State state = State::idle;
    bool is_held = false;
    bool has_ended = false;
    std::unique_ptr<Piece> aside;  // before `first`; the first piece may be lent

    bool has_aside() const { return lent == kAside ? aside->next != nullptr : aside != nullptr; }
    bool has_bytes() const { return has_aside() || first != kNone; }
  };
  // Of a buffer that has arrived.
  struct Arrived {
    std::uint32_t size = 0;
    std::uint16_t next = kNone;
  };

  Slot* find(std::uint64_t key);
  Slot& slot(Token token);
  const Slot& slot(Token token) const;
  void release(Slot& slot);
  void queue(Slot& slot, std::uint64_t key);
  void set_aside(Slot& slot);
  void end(Slot& slot, int error);
  void over(Slot& slot, std::uint64_t key, int result);
  void feed();

  IoUringSelector& selector_;
  BufferPool pool_;
  std::vector<Slot> slots_;
  std::array<Arrived, BufferPool::kMost> arrived_;

  // Keys, as in the user data. add() makes room, so that completions need no memory.
  std::vector<std::uint64_t> queued_;
  std::vector<std::uint64_t> starved_;
  std::vector<std::uint64_t> cancelled_;  // to be cancelled
  std::vector<std::uint64_t> untold_;
  std::vector<OwnedFd> closed_;  // descriptors that an operation may still name

  bool was_started_ = false;  // start() has succeeded
  bool is_started_ = false;   // with this ring
  bool is_dry_ = false;       // the pool is to grow
  bool is_turned_ = false;    // the next time the last of starved_ comes first
  std::uint64_t dry_ = 0;
  bool has_all_ = true;
  bool is_whole_ = true;
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_COMPLETION_QUEUE_H_
