#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_STATE_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_STATE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/datagram/inbound_batch.h"
#include "epore/runtime/internal/datagram/open_udp.h"
#include "epore/runtime/internal/datagram/outbound_batch.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "epore/runtime/internal/task/wait_list.h"
#include "epore/runtime/internal/watch/borrowed_fd.h"
#include "epore/runtime/udp.h"

namespace epore::internal {

// A UdpState is what a UdpSocket names. Its run sends what is queued, and receives while somebody
// wants datagrams: the callback, or a coroutine that waits.
//
//   any thread                                the runner
//   send(): into filling_, under the lock
//   wake()                          ----->    flush(): takes filling_ as leaving_; sendmmsg(2)
//   receive(): into waiting_        ----->    receive(): recvmmsg(2) into inbound_; completes it
//   take(): may use inbound_, until the next receive()
//
// It is registered once, edge-triggered, for both directions. A batch that is not full means that
// the socket is drained. Engines without edges are rearmed at the end of a run.
//
// With UdpOptions::icmp_errors the system has a second queue, of errors. It comes first: an error
// in it also makes the next send and the next receive fail, whatever they are about.
class UdpState final : public Registration {
 public:
  // See Runtime::udp() and Runtime::unix_datagram(). A null `callback`: coroutines receive. Throws
  // std::bad_alloc.
  enum class Family : std::uint8_t { ip, unix_socket };
  static absl::StatusOr<UdpSocket> open(Ref<Core> core, Family family, std::string_view address,
                                        UdpSocket::Callback callback, const UdpOptions& options);

  // Any thread. See UdpSocket.
  absl::Status send(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
                    std::size_t segment);
  absl::Status change_group(const SocketAddress& group, unsigned interface, bool joins);
  void close();
  const SocketAddress& address() const { return address_; }
  UdpCounters counters() const;

  // A DatagramOperation, in the order of its task.
  bool begin(DatagramOperation& operation, TaskNode& node);
  void cancel(DatagramOperation& operation, const absl::Status& why);
  std::span<const Datagram> take();

  // Runnable, Registration.
  void run() override;
  std::string describe() const override;
  void queue_in_order(Ref<Runnable> self) override { order_->push(std::move(self)); }
  void shut_down(ShutdownStep step) override;

 private:
  UdpState(Ref<Core> core, Ref<OrderState> order, OpenUdp socket, UdpSocket::Callback callback,
           const UdpOptions& options);

  absl::Status start(const UdpSocket& handle);
  absl::Status queue(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
                     std::size_t segment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void run_once();
  void flush();
  bool take_queued();
  void has_failed_to_send(int error);
  absl::Status error_of(int error, std::string_view call) const;
  void receive();
  bool take_error_hint();
  bool tell_peer_error();
  bool is_wanted();
  void deliver();
  void tell(const absl::Status& error);
  void call(absl::StatusOr<std::span<const Datagram>> received);
  void rearm();
  void end();
  bool is_dropped_at_receiver();
  void look_again_soon();
  bool wait_for_room();
  void hear_of_room(bool hears);
  void drop_first();
  void expired() override { core_->wake(*this); }  // TimerNode: time to look for room again

  // Constant after construction.
  const Ref<Core> core_;
  const Ref<OrderState> order_;  // null: an order of its own
  const SocketAddress address_;
  const SocketAddress peer_;  // empty: it is not connected
  const bool has_error_queue_;
  const bool has_callback_;
  const std::size_t send_queue_;

  // For the calls of other threads on the descriptor: no such call comes after the close.
  BorrowedFd calls_;

  // Stored by any thread (release) before a wake, loaded by the run (acquire).
  std::atomic<bool> is_closing_{false};

  // Whether the system takes a large piece apart. The runner stores false once, any thread loads;
  // relaxed: a piece that is queued meanwhile is split when it is refused.
  std::atomic<bool> has_gso_;

  mutable absl::Mutex mutex_;
  OutboundBatch filling_ ABSL_GUARDED_BY(mutex_);
  std::size_t leaving_cost_ ABSL_GUARDED_BY(mutex_) = 0;  // of leaving_
  WaitList waiting_ ABSL_GUARDED_BY(mutex_);              // at most one
  bool has_batch_ ABSL_GUARDED_BY(mutex_) = false;        // in inbound_, and nobody has taken it
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status pending_error_ ABSL_GUARDED_BY(mutex_);  // that nobody has waited for
  UdpCounters counters_ ABSL_GUARDED_BY(mutex_);

  // Its reader has it from take() to the next begin(), the runner otherwise.
  InboundBatch inbound_;

  // The runner only.
  UdpSocket::Callback callback_;
  UdpSocket self_;  // a handle for the callback, which keeps the socket open
  OwnedFd fd_;
  std::unique_ptr<SocketFile> file_;  // null: it has none
  OutboundBatch leaving_;
  bool has_sendmmsg_ = true;
  int refusals_ = 0;                     // of the first of leaving_
  std::int64_t stalled_since_ = kNever;  // the first of leaving_ finds no room at its receiver
  int looks_ = 0;                        // since then
  SocketAddress given_up_;               // the receiver of the last one that was given up
  bool may_have_errors_ = false;         // in the error queue
  bool is_registered_ = false;
  bool hears_of_room_ = false;  // registered for "writable" as well
  bool is_over_ = true;         // it has ended, or not begun
};

// The copies of a UdpSocket share one. The last one closes the socket.
class UdpHandle final : public RefCounted {
 public:
  explicit UdpHandle(Ref<UdpState> state) : state_(std::move(state)) {}

  UdpState& state() const { return *state_; }

 private:
  ~UdpHandle() override { state_->close(); }

  const Ref<UdpState> state_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_STATE_H_
