#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_STATE_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_UDP_STATE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/datagram/multicast_group.h"
#include "epore/runtime/internal/datagram/open_udp.h"
#include "epore/runtime/internal/datagram/udp_receiver.h"
#include "epore/runtime/internal/datagram/udp_sender.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "epore/runtime/internal/watch/borrowed_fd.h"
#include "epore/runtime/udp.h"

namespace epore::internal {

// A UdpState is what a UdpSocket names. Its run sends what is queued (UdpSender), and receives
// while somebody wants datagrams (UdpReceiver): the callback, or a coroutine that waits. It knows
// when to call the system, what to wait for, and how the socket ends.
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
  absl::Status change(const MulticastGroup& group, Membership membership);
  void pause_receiving() { receiver_.set_paused(true); }
  void resume_receiving();
  void close();
  const SocketAddress& address() const { return address_; }
  UdpCounters counters() const;

  // A DatagramOperation, in the order of its task.
  bool begin(DatagramOperation& operation, TaskNode& node);
  void cancel(DatagramOperation& operation, const absl::Status& why) {
    receiver_.cancel(operation, why);
  }
  std::span<const Datagram> take() { return receiver_.take(); }

  // The same of a DatagramWriteOperation and a DatagramFlushOperation.
  bool begin(DatagramWriteOperation& operation, TaskNode& node);
  void cancel(DatagramWriteOperation& operation, const absl::Status& why) {
    sender_.cancel(operation, why);
  }
  bool begin(DatagramFlushOperation& operation, TaskNode& node);
  void cancel(DatagramFlushOperation& operation, const absl::Status& why) {
    sender_.cancel(operation, why);
  }

  // Runnable, Registration.
  void run() override;
  std::string describe() const override;
  void queue_in_order(Ref<Runnable> self) override { order_->push(std::move(self)); }
  void shut_down(ShutdownStep step) override;

 private:
  UdpState(Ref<Core> core, Ref<OrderState> order, OpenUdp socket, UdpSocket::Callback callback,
           const UdpOptions& options);

  absl::Status start(const UdpSocket& handle);
  void run_once();
  void flush();
  bool has_output();
  bool goes_on_without_room();
  void has_failed_to_send(int error);
  absl::Status error_of(int error, std::string_view call) const;
  void receive();
  bool may_go_on_after(int error);
  void receives_again();
  bool is_backing_off() const;
  void arm_retry();
  void note_trouble(const absl::Status& why);
  bool take_error_hint();
  bool tell_peer_error();
  void deliver();
  void tell(const absl::Status& error);
  void tell_kept_error();
  void call(absl::StatusOr<std::span<const Datagram>> received);
  void rearm();
  void end();
  void look_again_soon();
  bool wait_for_room();
  void hear_of_room(bool hears);
  void expired() override { core_->wake(*this); }  // TimerNode: time to look for room again

  // Constant after construction.
  const Ref<Core> core_;
  const Ref<OrderState> order_;  // null: an order of its own
  const SocketAddress address_;
  const SocketAddress peer_;  // empty: it is not connected
  const bool has_error_queue_;
  const bool has_callback_;

  // For the calls of other threads on the descriptor: no such call comes after the close.
  BorrowedFd calls_;

  // Stored by any thread (release) before a wake, loaded by the run (acquire).
  std::atomic<bool> is_closing_{false};

  UdpSender sender_;
  UdpReceiver receiver_;

  // The runner only.
  UdpSocket::Callback callback_;
  UdpSocket self_;  // a handle for the callback, which keeps the socket open
  OwnedFd fd_;
  std::unique_ptr<SocketFile> file_;  // null: it has none
  absl::Status kept_error_;           // the last one that a callback has missed while it is paused
  bool may_have_errors_ = false;      // in the error queue
  bool is_registered_ = false;
  bool hears_of_room_ = false;  // registered for "writable" as well
  bool is_over_ = true;         // it has ended, or not begun

  // After a receive that the system has failed. retry_at_ counts while backoff_ is not 0.
  int errors_in_row_ = 0;
  std::int64_t backoff_ = 0;
  std::int64_t retry_at_ = 0;
  std::int64_t last_log_ = 0;
  std::uint64_t troubles_ = 0;  // since the last line in the log
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
