#include "epore/runtime/internal/datagram/udp_state.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/registry.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/datagram/error_queue.h"
#include "epore/runtime/internal/datagram/open_unix.h"
#include "epore/runtime/internal/datagram/peer_payload.h"
#include "epore/runtime/internal/net/socket_options.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {
namespace {

// After so many system calls in each direction other work gets its turn.
constexpr int kRounds = 16;

// How long between two looks for room.
constexpr std::int64_t kBetweenLooks = 1'000'000;

// After a receive that the system has failed, as a listener does.
constexpr std::int64_t kFirstBackoff = 10'000'000;
constexpr std::int64_t kLongestBackoff = 500'000'000;
constexpr std::int64_t kLogInterval = 1'000'000'000;

// So many errors in a row may be of peers. Then the system refuses.
constexpr int kErrorsBeforeBackoff = 64;

// The descriptor or the arguments are wrong, so no later call can succeed. See recvmmsg(2).
bool is_of_socket(int error) {
  return error == EBADF || error == EINVAL || error == ENOTSOCK || error == EFAULT;
}

bool is_of_resources(int error) { return error == ENOBUFS || error == ENOMEM; }

absl::Status closed() { return absl::FailedPreconditionError("UdpSocket: the socket is closed"); }

}  // namespace

absl::StatusOr<UdpSocket> UdpState::open(Ref<Core> core, Family family, std::string_view address,
                                         UdpSocket::Callback callback, const UdpOptions& options) {
  const bool is_unix = family == Family::unix_socket;
  absl::Status bad = OrderState::check(
      options.order, *core,
      absl::StrCat(is_unix ? "unix_datagram" : "udp", "(\"", printable(address), "\")"));
  if (!bad.ok()) return bad;
  absl::StatusOr<OpenUdp> socket = is_unix ? open_unix(core->kernel(), address, options)
                                           : open_udp(core->kernel(), address, options);
  if (!socket.ok()) return socket.status();
  Ref<OrderState> order = OrderState::share(options.order, *core);
  auto state = Ref<UdpState>::adopt(new UdpState(std::move(core), std::move(order),
                                                 *std::move(socket), std::move(callback), options));
  UdpSocket handle(Ref<UdpHandle>::adopt(new UdpHandle(state)));
  if (absl::Status started = state->start(handle); !started.ok()) return started;
  return handle;
}

UdpState::UdpState(Ref<Core> core, Ref<OrderState> order, OpenUdp socket,
                   UdpSocket::Callback callback, const UdpOptions& options)
    : Registration(core->any_reactor(), order ? Kind::member : Kind::lasting),
      core_(std::move(core)),
      order_(std::move(order)),
      address_(socket.address),
      peer_(options.peer),
      has_error_queue_(options.icmp_errors),
      has_callback_(callback != nullptr),
      calls_(core_->kernel(), socket.fd.get()),
      sender_(socket, options),
      receiver_(socket, options, callback != nullptr),
      callback_(std::move(callback)),
      fd_(std::move(socket.fd)),
      file_(std::move(socket.file)) {}

absl::Status UdpState::start(const UdpSocket& handle) {
  const auto text = [this] { return absl::StrCat("udp(", address_.to_string(), ")"); };
  if (!core_->begin_lingering()) {
    return absl::FailedPreconditionError(absl::StrCat(text(), ": the runtime is shut down"));
  }
  absl::Status begun;
  core_->first_run(*this, [&] {
    bool has_room = false;
    bool has_slot = false;
    try {
      home().timers().keep_room();
      has_room = true;
      has_slot = home().slots().acquire(*this);
    } catch (const std::bad_alloc&) {
    }
    if (!has_slot) {
      if (has_room) home().timers().give_room_back();
      core_->end_lingering();
      begun = absl::ResourceExhaustedError(absl::StrCat(text(), ": no slot is left"));
      return;
    }
    is_over_ = false;
    if (has_callback_) self_ = handle;
    // Either the shutdown finds the slot, or this sees its phase: it sets the phase first.
    if (core_->phase() >= Core::Phase::refusing) close();
    begun = or_no_memory("udp", [&]() -> absl::Status {
      if (!home().has_edges()) {
        rearm();
        return absl::OkStatus();
      }
      return home().registry()->register_fd(fd_.get(), token(), Interest::readable());
    });
    if (!begun.ok()) return end();
    if (home().has_edges()) is_registered_ = true;
  });
  return begun;
}

// -- Any thread. --

absl::Status UdpState::send(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
                            std::size_t segment) {
  if (absl::Status bad = sender_.check("UdpSocket::send", bytes, to); !bad.ok()) return bad;
  if (is_closing_.load(std::memory_order_acquire)) return closed();
  absl::Status queued = sender_.push(bytes, to, from, segment);
  if (queued.ok() && this_thread.current != this) core_->wake(*this);
  return queued;
}

absl::Status UdpState::change(const MulticastGroup& group, Membership membership) {
  if (absl::Status bad = group.check(address_); !bad.ok()) return bad;
  if (!calls_.begin_call()) return closed();
  const absl::Cleanup done = [this] { calls_.end_call(); };
  return group.change(core_->kernel(), calls_.get(), membership);
}

void UdpState::resume_receiving() {
  receiver_.set_paused(false);
  core_->wake(*this);
}

void UdpState::close() {
  is_closing_.store(true, std::memory_order_release);
  core_->wake(*this);
}

void UdpState::shut_down(ShutdownStep step) {
  if (step == ShutdownStep::abort) close();
}

UdpCounters UdpState::counters() const {
  UdpCounters counters;
  sender_.add_to(counters);
  receiver_.add_to(counters);
  return counters;
}

std::string UdpState::describe() const {
  return absl::StrCat(address_.is_unix() ? "the datagram socket " : "the UDP socket ",
                      address_.to_string());
}

// -- The run. --

// Without memory a run ends early, and another one goes on a little later. What it was about to
// receive stays.
void UdpState::run() {
  if (is_over_) return;
  try {
    run_once();
  } catch (const std::bad_alloc&) {
    if (!is_over_) look_again_soon();
  }
}

// Needs no memory, as there may be none.
void UdpState::look_again_soon() {
  home().arm_in_room(*this, core_->kernel().now() + kBetweenLooks);
}

void UdpState::run_once() {
  flush();
  if (is_closing_.load(std::memory_order_acquire)) return end();
  tell_kept_error();
  receive();
  flush();
  if (is_closing_.load(std::memory_order_acquire)) return end();
  if (!home().has_edges()) rearm();
}

void UdpState::flush() {
  for (int round = 0; has_output(); ++round) {
    if (round == kRounds) return core_->wake(*this);
    const std::uint32_t mark = edges_.mark(Direction::write);
    const SysResult sent = sender_.send(core_->kernel(), fd_.get());
    if (sent.ok()) {
      stop_waiting_for_write();
    } else if (sent.error() == EAGAIN) {
      edges_.use_up(Direction::write, mark);
      if (!goes_on_without_room()) return;
    } else if (sent.error() != EINTR) {
      has_failed_to_send(sent.error());
    }
  }
}

bool UdpState::has_output() {
  if (sender_.is_sending()) return true;
  hear_of_room(false);
  return sender_.take_queued();
}

// Waits for room, unless there is some by now, or the datagram was given up. Returns whether to
// send again at once.
bool UdpState::goes_on_without_room() {
  if (!sender_.waits_for_receiver()) return !wait_for_room();
  const std::int64_t now = core_->kernel().now();
  if (sender_.is_dropped_at_receiver(now)) return true;
  (void)wait_for_room();  // of its own buffer
  home().arm_in_room(*this, now + kBetweenLooks);
  return false;
}

// As wait_for_write(). The system says "writable" whenever a datagram has left a socket's buffer,
// which would wake the poll thread for each one, so the descriptor is registered for it only while
// the runner waits. Registering tells of room that has come before it.
bool UdpState::wait_for_room() {
  if (!wait_for_write()) return false;
  if (home().has_edges()) hear_of_room(true);
  return true;
}

void UdpState::hear_of_room(bool hears) {
  if (hears_of_room_ == hears) return;
  const Interest interest =
      hears ? Interest::readable() | Interest::writable() : Interest::readable();
  const absl::Status changed = home().registry()->reregister_fd(fd_.get(), token(), interest);
  if (changed.ok()) {
    hears_of_room_ = hears;
  } else if (hears) {
    look_again_soon();  // there is no memory
  }
}

void UdpState::has_failed_to_send(int error) {
  switch (sender_.refused(core_->kernel(), fd_.get(), error)) {
    case UdpSender::Refused::again:
      return;
    case UdpSender::Refused::read_errors:
      may_have_errors_ = true;
      return;
    case UdpSender::Refused::tell:
      return tell(error_of(error, "send"));
  }
}

// Returns the status of a failed call, which is about the peer if there is one.
absl::Status UdpState::error_of(int error, std::string_view call) const {
  absl::Status status =
      errno_status(error, absl::StrCat("UdpSocket ", address_.to_string(), ": ", call));
  if (!peer_.is_empty() && (is_of_peer(error) || address_.is_unix())) {
    set_peer(status, peer_);
  }
  return status;
}

void UdpState::receive() {
  if (is_backing_off()) return arm_retry();
  for (int round = 0;
       (may_have_errors_ || edges_.is_ready(Direction::read)) && receiver_.is_wanted(); ++round) {
    if (round == kRounds) return core_->wake(*this);
    if (is_closing_.load(std::memory_order_acquire)) return;  // by the callback for an error
    const std::uint32_t mark = edges_.mark(Direction::read);
    if (has_error_queue_ && take_error_hint()) {
      may_have_errors_ = true;               // also if there is no memory to tell it
      may_have_errors_ = tell_peer_error();  // if there was one, another may be behind it
      if (may_have_errors_) continue;
    }
    const SysResult received = receiver_.receive(core_->kernel(), fd_.get());
    if (!received.ok()) {
      if (received.error() == EAGAIN) {
        receives_again();
        edges_.use_up(Direction::read, mark);
      } else if (received.error() != EINTR) {
        may_have_errors_ = has_error_queue_ && tell_peer_error();
        if (!may_have_errors_ && !may_go_on_after(received.error())) return;
      }
      continue;
    }
    receives_again();
    if (static_cast<std::size_t>(received.value()) < receiver_.capacity()) {
      edges_.use_up(Direction::read, mark);
    }
    deliver();
    if (is_closing_.load(std::memory_order_acquire)) return;
    if (has_callback_) flush();
  }
}

// Handles an error of recvmmsg(2). One that lasts ends the socket. One of a peer is told, and a
// socket that is told of no peer has none. Any other is the system's, and passes: who receives
// cannot mend it, and a server must not end with it. Returns whether to receive again at once.
bool UdpState::may_go_on_after(int error) {
  if (is_of_socket(error)) {
    tell(error_of(error, "receive"));
    is_closing_.store(true, std::memory_order_release);
    return false;
  }
  const bool hears_of_peers = has_error_queue_ || !peer_.is_empty();
  if (hears_of_peers && !is_of_resources(error) && ++errors_in_row_ < kErrorsBeforeBackoff) {
    tell(error_of(error, "receive"));
    return true;
  }
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff);
  retry_at_ = core_->kernel().now() + backoff_;
  note_trouble(or_no_memory("receive", [&] { return error_of(error, "receive"); }));
  arm_retry();
  return false;
}

void UdpState::receives_again() {
  errors_in_row_ = 0;
  backoff_ = 0;
}

bool UdpState::is_backing_off() const { return backoff_ != 0 && core_->kernel().now() < retry_at_; }

void UdpState::arm_retry() { home().arm_in_room(*this, retry_at_); }

// Counts what nobody is told of. The log has a line a second at most.
void UdpState::note_trouble(const absl::Status& why) {
  receiver_.count_receive_error();
  ++troubles_;
  const std::int64_t now = core_->kernel().now();
  if (last_log_ != 0 && now - last_log_ < kLogInterval) return;
  internal::tell([&] {
    LOG(WARNING) << "epore: " << describe() << " tries again to receive (" << troubles_
                 << " failures since the last message): " << why.message();
  });
  last_log_ = now;
  troubles_ = 0;
}

// Returns whether the error queue may have something.
bool UdpState::take_error_hint() {
  if ((hints_.load(std::memory_order_relaxed) & kError) == 0) return may_have_errors_;
  return (hints_.fetch_and(~kError, std::memory_order_relaxed) & kError) != 0 || may_have_errors_;
}

// Takes an error out of the queue and tells it. Returns whether there was one.
bool UdpState::tell_peer_error() {
  const std::optional<PeerError> taken = take_error(core_->kernel(), fd_.get());
  if (!taken) return false;
  absl::Status error = errno_status(
      taken->error,
      absl::StrCat("UdpSocket ", address_.to_string(), ": the peer ", taken->peer.to_string()));
  set_peer(error, taken->peer);
  receiver_.count_icmp_error();
  tell(error);
  return true;
}

void UdpState::deliver() {
  if (has_callback_) return call(receiver_.datagrams());
  receiver_.give();
}

void UdpState::tell(const absl::Status& error) {
  if (!has_callback_) return receiver_.give(error);
  if (receiver_.is_wanted()) return call(error);
  kept_error_ = error;
}

void UdpState::tell_kept_error() {
  if (kept_error_.ok() || !receiver_.is_wanted()) return;
  call(std::exchange(kept_error_, absl::OkStatus()));
}

void UdpState::call(absl::StatusOr<std::span<const Datagram>> received) {
  if (core_->is_cut_off() || !callback_) return;
  bool has_thrown = true;
  const auto call = [&] {
    callback_(self_, std::move(received));
    has_thrown = false;
  };
  core_->call(call);
  if (has_thrown) is_closing_.store(true, std::memory_order_release);
}

// For an engine without edges: hears of what the next run can use.
void UdpState::rearm() {
  Interest wanted = Interest::readable() - Interest::readable();
  if (receiver_.is_wanted() && !is_backing_off()) wanted = wanted | Interest::readable();
  if (sender_.is_sending() && !sender_.is_stalled()) {  // else the timer looks again
    // poll(2) tells of an error in the queue until somebody receives it, whatever it is asked for.
    const bool has_errors =
        may_have_errors_ || (hints_.load(std::memory_order_relaxed) & kError) != 0;
    if (has_error_queue_ && has_errors) {
      look_again_soon();
    } else {
      wanted = wanted | Interest::writable();
    }
  }
  if (wanted.is_empty()) return;
  Registry& registry = *home().registry();
  const absl::Status armed = is_registered_
                                 ? registry.reregister_fd(fd_.get(), token(), wanted.one_shot())
                                 : registry.register_fd(fd_.get(), token(), wanted.one_shot());
  if (armed.ok()) {
    is_registered_ = true;
  } else {
    look_again_soon();
    note_trouble(armed);
  }
}

void UdpState::end() {
  is_over_ = true;
  (void)calls_.give_back();
  home().timers().cancel(*this);
  home().timers().give_room_back();
  retire();
  if (is_registered_) (void)home().registry()->deregister_fd(fd_.get());
  file_.reset();
  fd_.reset();
  calls_.done();
  const absl::Status why = make_error(absl::StatusCode::kCancelled, "the socket is closed");
  sender_.close(why);
  receiver_.close(why);
  callback_ = nullptr;
  self_ = UdpSocket();
  core_->end_lingering();
}

// -- A coroutine. --

bool UdpState::begin(DatagramOperation& operation, TaskNode& node) {
  if (ends_with_stop(node) || receiver_.begin(operation, node)) return true;
  core_->wake(*this);
  return false;
}

bool UdpState::begin(DatagramWriteOperation& operation, TaskNode& node) {
  if (ends_with_stop(node)) return true;
  node.status = or_no_memory("UdpSocket::write", [&] {
    absl::Status bad = sender_.check("UdpSocket::write", operation.bytes(), operation.to());
    if (bad.ok() && is_closing_.load(std::memory_order_acquire)) bad = closed();
    return bad;
  });
  if (!node.status.ok()) return true;
  if (!sender_.begin(operation, node)) return false;
  if (node.status.ok() && this_thread.current != this) core_->wake(*this);
  return true;
}

bool UdpState::begin(DatagramFlushOperation& operation, TaskNode& node) {
  return ends_with_stop(node) || sender_.begin(operation, node);
}

}  // namespace epore::internal
