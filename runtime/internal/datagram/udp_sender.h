#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_SENDER_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_SENDER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/byte_view.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/datagram/open_udp.h"
#include "epore/runtime/internal/datagram/outbound_batch.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/udp.h"

namespace epore::internal {

// A UdpSender is the half of a datagram socket that sends: the queue, and what becomes of its first
// datagrams when the system refuses them. It makes one system call at a time and waits for nothing;
// that is up to the UdpState.
//
//   any thread                              the runner
//   push(): into filling_, under the lock   take_queued(): filling_ becomes leaving_
//                                           send(): sendmmsg(2) of leaving_
//
// A task that finds no room waits in writers_. The queue is not empty then, so the runner comes to
// take_queued() once more, which copies what there is room for. It lets a task wait only until the
// last of leaving_ has gone, as room comes then for many at once.
class UdpSender {
 public:
  UdpSender(const OpenUdp& socket, const UdpOptions& options);

  // Any thread, see UdpSocket::send(). A `segment` that is not 0 cuts the bytes. push() copies what
  // check() has found right; `call` is the name in errors.
  absl::Status check(std::string_view call, ByteView bytes, const SocketAddress& to) const;
  absl::Status check_receiver(std::string_view call, const SocketAddress& to) const;
  absl::Status push(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
                    std::size_t segment);
  void add_to(UdpCounters& counters) const;

  // In the order of a task. True: it has completed. Of a write that completes with ok the datagram
  // is queued, as by push().
  bool begin(DatagramWriteOperation& operation, TaskNode& node);
  bool begin(DatagramFlushOperation& operation, TaskNode& node);
  void cancel(DatagramWriteOperation& operation, const absl::Status& why);
  void cancel(DatagramFlushOperation& operation, const absl::Status& why);

  // -- The runner. --

  bool is_sending() const { return !leaving_.empty(); }

  // When nothing is left: goes on with what was queued meanwhile, and what tasks wait to queue.
  // Returns whether there is something.
  bool take_queued();

  // Makes one call. EAGAIN leaves everything as it is.
  SysResult send(Kernel& kernel, int fd);

  // Whether the first datagram found no room at its receiver, as may be for an unconnected Unix
  // socket, and not only in the socket's own buffer. No event tells when the receiver has room.
  bool waits_for_receiver() const { return is_unix_ && !leaving_.destination().is_empty(); }

  // Of such a datagram, at each look: gives it up after a while, because others wait behind it.
  // Those behind it for the same receiver do not wait once more. Returns whether it was given up.
  bool is_dropped_at_receiver(std::int64_t now);

  // Whether the first datagram waits for its receiver.
  bool is_stalled() const { return stalled_since_ != kNever; }

  // What to do after an error of send(), other than EAGAIN and EINTR: in any case send again. The
  // first datagram may have been dropped, or cut.
  enum class Refused : std::uint8_t {
    again,
    read_errors,  // look into the error queue as well
    tell,         // tell `error` as well: it is about the peer
  };
  Refused refused(Kernel& kernel, int fd, int& error);

  // The socket is closed. Whoever waits gets `why`.
  void close(const absl::Status& why);

 private:
  absl::Status queue(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
                     std::size_t segment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool has_room(std::size_t cost) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status fill(const DatagramWriteOperation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void let_writers_fill(ReadyList& ready, absl::Status& failed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void let_flushers_go(ReadyList& ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void drop_first();

  // Constant after construction.
  const bool is_unix_;
  const bool is_ipv4_;
  const SocketAddress peer_;  // empty: it is not connected
  const bool has_error_queue_;
  const std::size_t limit_;

  // Whether the system takes a large piece apart. The runner stores false once, any thread loads;
  // relaxed: a piece that is queued meanwhile is split when it is refused.
  std::atomic<bool> has_gso_;

  // False only where filling_, writers_ and leaving_cost_ are empty, so that the runner need not
  // lock mutex_ to see it. Stored under mutex_; the runner loads it without. Relaxed: who stores
  // true wakes the runner behind it, and a wake is an acquire.
  std::atomic<bool> has_work_{false};

  mutable absl::Mutex mutex_;
  OutboundBatch filling_ ABSL_GUARDED_BY(mutex_);
  std::size_t leaving_cost_ ABSL_GUARDED_BY(mutex_) = 0;  // of leaving_
  WaitList writers_ ABSL_GUARDED_BY(mutex_);   // DatagramWriteOperations: they wait for room
  WaitList flushers_ ABSL_GUARDED_BY(mutex_);  // DatagramFlushOperations, the nearest target first
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;

  // In datagrams. Those that were queued and have left the queue are sent, or errors.
  std::uint64_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t sent_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t errors_ ABSL_GUARDED_BY(mutex_) = 0;

  // The runner only.
  OutboundBatch leaving_;
  bool has_sendmmsg_ = true;
  int refusals_ = 0;                     // of the first of leaving_
  std::int64_t stalled_since_ = kNever;  // the first of leaving_ finds no room at its receiver
  int looks_ = 0;                        // since then
  SocketAddress given_up_;               // the receiver of the last one that was given up
};

// Whether ICMP may have reported the error: it is not about the datagram that the call sends.
bool is_of_peer(int error);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_SENDER_H_
