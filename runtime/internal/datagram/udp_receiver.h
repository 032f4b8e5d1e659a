#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_RECEIVER_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_RECEIVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/datagram/inbound_batch.h"
#include "epore/runtime/internal/datagram/open_udp.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/udp.h"

namespace epore::internal {

// A UdpReceiver is the half of a datagram socket that receives: the batch that came last, and the
// coroutine that waits for it. A callback gets its batches from the UdpState.
//
//   the order of the coroutine              the runner
//   begin(): into waiting_          ----->  receive(): recvmmsg(2) into inbound_
//   take(): may use inbound_,       <-----  give(): completes it
//   until the next begin()
class UdpReceiver {
 public:
  UdpReceiver(const OpenUdp& socket, const UdpOptions& options, bool has_callback);

  // A DatagramOperation, in the order of its task. begin(): true if it has completed; otherwise the
  // socket is to be woken.
  bool begin(DatagramOperation& operation, TaskNode& node);
  void cancel(DatagramOperation& operation, const absl::Status& why);
  std::span<const Datagram> take();

  // Any thread.
  void add_to(UdpCounters& counters) const;
  void set_paused(bool is_paused) { is_paused_.store(is_paused, std::memory_order_release); }

  // -- The runner. --

  // Whether somebody wants datagrams: the callback, unless it is paused, or a coroutine that waits.
  bool is_wanted() const;

  // Receives a batch, and counts it.
  SysResult receive(Kernel& kernel, int fd);
  std::size_t capacity() const { return inbound_.capacity(); }
  std::span<const Datagram> datagrams() const { return inbound_.datagrams(); }

  // Gives the batch to the coroutine that waits, or keeps it for the next one.
  void give();

  // Gives an error to the coroutine that waits, or keeps it for the next one.
  void give(const absl::Status& error);
  void count_icmp_error();
  void count_receive_error();

  // The socket is closed. Whoever waits gets `why`.
  void close(const absl::Status& why);

 private:
  const bool has_callback_;

  // Of the callback. Any thread stores it (release) before a wake, the runner loads it (acquire).
  std::atomic<bool> is_paused_{false};

  mutable absl::Mutex mutex_;
  WaitList waiting_ ABSL_GUARDED_BY(mutex_);        // at most one
  bool has_batch_ ABSL_GUARDED_BY(mutex_) = false;  // in inbound_, and nobody has taken it
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status pending_error_ ABSL_GUARDED_BY(mutex_);  // that nobody has waited for
  std::uint64_t received_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t truncated_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t icmp_errors_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t receive_errors_ ABSL_GUARDED_BY(mutex_) = 0;

  // Its reader has it from take() to the next begin(), the runner otherwise.
  InboundBatch inbound_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_RECEIVER_H_
