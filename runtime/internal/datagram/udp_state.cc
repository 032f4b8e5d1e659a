#include "epore/runtime/internal/datagram/udp_state.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/registry.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/internal/datagram/error_queue.h"
#include "epore/runtime/internal/datagram/open_unix.h"
#include "epore/runtime/internal/net/socket_options.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore::internal {
namespace {

// After so many system calls in each direction other work gets its turn.
constexpr int kRounds = 16;

constexpr std::size_t kLongest = 65507;  // the payload of a datagram of IPv4
constexpr std::size_t kSegments = 64;    // of UDP_SEGMENT

// So often a datagram is tried that is refused because of an error of another one.
constexpr int kTries = 4;

// How long a datagram waits for room at its receiver, and how long between two looks.
constexpr std::int64_t kLongestStall = 50'000'000;
constexpr std::int64_t kBetweenLooks = 1'000'000;
constexpr int kLeastLooks = 5;  // a callback that blocks the thread leaves the receiver no time

// What ICMP may have reported. It is not about the datagram that the call sends.
bool is_of_peer(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
         error == EHOSTDOWN || error == ECONNRESET;
}

// What says that the system, or the device, has no UDP_SEGMENT. Another error is about the piece.
bool is_without_gso(int error) {
  return error == EIO || error == EOPNOTSUPP || error == ENOPROTOOPT;
}

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
      send_queue_(options.send_queue),
      calls_(core_->kernel(), socket.fd.get()),
      has_gso_(socket.has_gso),
      inbound_(options.batch, socket.has_gro ? 65535 : options.max_datagram),
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
    bool has_slot = false;
    try {
      has_slot = home().slots().acquire(*this);
    } catch (const std::bad_alloc&) {
    }
    if (!has_slot) {
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
  if (to.is_empty() && peer_.is_empty()) {
    return absl::InvalidArgumentError("UdpSocket::send: no address, and the socket has no peer");
  }
  if (bytes.size() > kLongest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "UdpSocket::send: ", bytes.size(), " bytes, and a datagram has at most ", kLongest));
  }
  absl::Status queued;
  {
    const absl::MutexLock lock(&mutex_);
    if (is_closed_ || is_closing_.load(std::memory_order_relaxed)) return closed();
    try {
      queued = queue(bytes, to, from, segment);
    } catch (const std::bad_alloc&) {
      queued = no_memory("UdpSocket::send");
    }
  }
  if (queued.ok() && this_thread.current != this) core_->wake(*this);
  return queued;
}

absl::Status UdpState::queue(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
                             std::size_t segment) {
  const bool is_split = segment != 0 && bytes.size() > segment;
  const std::size_t parts = is_split ? (bytes.size() + segment - 1) / segment : 1;
  if (parts > kSegments) {
    return absl::InvalidArgumentError(absl::StrCat("UdpSocket::send_segments: ", parts,
                                                   " datagrams, and at most ", kSegments, " go"));
  }
  const bool is_whole = !is_split || has_gso_.load(std::memory_order_relaxed);
  const std::size_t cost =
      bytes.size() + (is_whole ? std::size_t{1} : parts) * OutboundBatch::kOverhead;
  if (filling_.cost() + leaving_cost_ + cost > send_queue_) {
    ++counters_.refused;
    return absl::ResourceExhaustedError("UdpSocket::send: the queue is full");
  }
  if (is_whole) {
    const bool joins = !is_split && has_gso_.load(std::memory_order_relaxed);
    filling_.push(bytes, to, from, is_split ? segment : 0, joins);
    return absl::OkStatus();
  }
  for (std::size_t at = 0; at < bytes.size(); at += segment) {
    const ByteView part(bytes.data() + at, std::min(segment, bytes.size() - at));
    filling_.push(part, to, from, 0, false);
  }
  return absl::OkStatus();
}

absl::Status UdpState::change_group(const SocketAddress& group, unsigned interface, bool joins) {
  const char* const name = joins ? "UdpSocket::join" : "UdpSocket::leave";
  if (!group.is_ipv4() && !group.is_ipv6()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": the group is no IP address"));
  }
  group_req request = {};
  request.gr_interface = interface;
  std::memcpy(&request.gr_group, group.data(), group.size());
  if (!calls_.begin_call()) return closed();
  const SysResult set = core_->kernel().setsockopt(
      calls_.get(), group.is_ipv6() ? IPPROTO_IPV6 : IPPROTO_IP,
      joins ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request, sizeof request);
  calls_.end_call();
  if (set.ok()) return absl::OkStatus();
  return errno_status(set.error(), absl::StrCat(name, "(", group.to_string(), ")"));
}

void UdpState::close() {
  is_closing_.store(true, std::memory_order_release);
  core_->wake(*this);
}

void UdpState::shut_down(ShutdownStep step) {
  if (step == ShutdownStep::abort) close();
}

UdpCounters UdpState::counters() const {
  const absl::MutexLock lock(&mutex_);
  return counters_;
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

void UdpState::look_again_soon() {
  try {
    home().arm(*this, core_->kernel().now() + kBetweenLooks);
  } catch (const std::bad_alloc&) {
    core_->wake(*this);
  }
}

void UdpState::run_once() {
  flush();
  if (is_closing_.load(std::memory_order_acquire)) return end();
  receive();
  flush();
  if (is_closing_.load(std::memory_order_acquire)) return end();
  if (!home().has_edges()) rearm();
}

void UdpState::flush() {
  for (int round = 0; take_queued(); ++round) {
    if (round == kRounds) return core_->wake(*this);
    const std::uint32_t mark = edges_.mark(Direction::write);
    const SysResult sent = leaving_.send(core_->kernel(), fd_.get(), has_sendmmsg_);
    if (sent.ok()) {
      if (leaving_.destination() == given_up_) given_up_ = SocketAddress();
      const std::size_t datagrams = leaving_.drop(static_cast<std::size_t>(sent.value()));
      refusals_ = 0;
      stalled_since_ = kNever;
      stop_waiting_for_write();
      const absl::MutexLock lock(&mutex_);
      counters_.sent += datagrams;
    } else if (sent.error() == EAGAIN) {
      edges_.use_up(Direction::write, mark);
      if (address_.is_unix() && !leaving_.destination().is_empty()) {
        if (!is_dropped_at_receiver()) return;
      } else if (wait_for_room()) {
        return;
      }
    } else if (sent.error() != EINTR) {
      has_failed_to_send(sent.error());
    }
  }
}

// A Unix socket: its own buffer is full, or that of a receiver that is not its peer. No event tells
// when such a receiver has room again, so this looks again, and gives the datagram up after a
// while, because others wait behind it. Those behind it for the same receiver do not wait once
// more. Returns whether it was given up.
bool UdpState::is_dropped_at_receiver() {
  const std::int64_t now = core_->kernel().now();
  if (stalled_since_ == kNever) {
    stalled_since_ = now;
    looks_ = 0;
  }
  const bool has_waited = now - stalled_since_ >= kLongestStall && ++looks_ >= kLeastLooks;
  if (has_waited || leaving_.destination() == given_up_) {
    given_up_ = leaving_.destination();
    drop_first();
    return true;
  }
  (void)wait_for_room();  // of its own buffer
  home().arm(*this, now + kBetweenLooks);
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

// Gives up the first piece of leaving_.
void UdpState::drop_first() {
  stalled_since_ = kNever;
  const std::size_t datagrams = leaving_.drop(1);
  const absl::MutexLock lock(&mutex_);
  counters_.send_errors += datagrams;
}

// Returns whether there is something to send.
bool UdpState::take_queued() {
  if (!leaving_.empty()) return true;
  leaving_.clear();
  hear_of_room(false);
  const absl::MutexLock lock(&mutex_);
  std::swap(leaving_, filling_);
  leaving_cost_ = leaving_.cost();
  return !leaving_.empty();
}

void UdpState::has_failed_to_send(int error) {
  // An error that waits in the socket may be of another datagram, whatever it is. Which peer it is
  // about is told by the next receive().
  if (has_error_queue_ && ++refusals_ < kTries) {
    may_have_errors_ = true;
    return;
  }
  if (address_.is_unix() && !peer_.is_empty() && leaving_.destination().is_empty()) {
    // The system has disconnected the socket if the peer has gone. It may be back at its address.
    if (++refusals_ < 2 && core_->kernel().connect(fd_.get(), peer_.data(), peer_.size()).ok()) {
      return;
    }
    refusals_ = 0;
    drop_first();
    return tell(error_of(error, "send"));
  }
  if (!has_error_queue_ && !peer_.is_empty() && is_of_peer(error) && ++refusals_ < 2) {
    return tell(error_of(error, "send"));
  }
  refusals_ = 0;
  if (leaving_.is_segmented()) {  // whatever the reason: it goes in parts as well
    if (is_without_gso(error)) has_gso_.store(false, std::memory_order_relaxed);
    return leaving_.split();
  }
  drop_first();
}

// Returns the status of a failed call, which is about the peer if there is one.
absl::Status UdpState::error_of(int error, std::string_view call) const {
  absl::Status status =
      errno_status(error, absl::StrCat("UdpSocket ", address_.to_string(), ": ", call));
  if (!peer_.is_empty() && (is_of_peer(error) || address_.is_unix())) {
    status.SetPayload(kPeerPayload, absl::Cord(peer_.to_string()));
  }
  return status;
}

bool UdpState::is_wanted() {
  if (has_callback_) return true;
  const absl::MutexLock lock(&mutex_);
  return !waiting_.empty() && !has_batch_;
}

void UdpState::receive() {
  for (int round = 0; (may_have_errors_ || edges_.is_ready(Direction::read)) && is_wanted();
       ++round) {
    if (round == kRounds) return core_->wake(*this);
    if (is_closing_.load(std::memory_order_acquire)) return;  // by the callback for an error
    const std::uint32_t mark = edges_.mark(Direction::read);
    if (has_error_queue_ && take_error_hint()) {
      may_have_errors_ = true;               // also if there is no memory to tell it
      may_have_errors_ = tell_peer_error();  // if there was one, another may be behind it
      if (may_have_errors_) continue;
    }
    const SysResult received = inbound_.receive(core_->kernel(), fd_.get());
    if (!received.ok()) {
      if (received.error() == EAGAIN) {
        edges_.use_up(Direction::read, mark);
      } else if (received.error() != EINTR) {
        may_have_errors_ = has_error_queue_ && tell_peer_error();
        if (!may_have_errors_) tell(error_of(received.error(), "receive"));
      }
      continue;
    }
    if (static_cast<std::size_t>(received.value()) < inbound_.capacity()) {
      edges_.use_up(Direction::read, mark);
    }
    deliver();
    if (is_closing_.load(std::memory_order_acquire)) return;
    if (has_callback_) flush();
  }
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
  const std::string peer = taken->peer.to_string();
  absl::Status error = errno_status(
      taken->error, absl::StrCat("UdpSocket ", address_.to_string(), ": the peer ", peer));
  error.SetPayload(kPeerPayload, absl::Cord(peer));
  {
    const absl::MutexLock lock(&mutex_);
    ++counters_.icmp_errors;
  }
  tell(error);
  return true;
}

void UdpState::deliver() {
  {
    ReadyList ready;
    const absl::MutexLock lock(&mutex_);
    counters_.received += inbound_.datagrams().size();
    counters_.truncated += inbound_.truncated();
    counters_.dropped = inbound_.dropped();
    if (!has_callback_) {
      has_batch_ = true;
      if (!waiting_.empty()) ready.add(waiting_, *waiting_.first());
      return;
    }
  }
  call(inbound_.datagrams());
}

void UdpState::tell(const absl::Status& error) {
  if (has_callback_) return call(error);
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (waiting_.empty()) {
    pending_error_ = error;
  } else {
    ready.add(waiting_, *waiting_.first(), &error);
  }
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
  if (is_wanted()) wanted = wanted | Interest::readable();
  const bool is_stalled = stalled_since_ != kNever;  // the timer looks again
  if (!leaving_.empty() && !is_stalled) wanted = wanted | Interest::writable();
  if (wanted.is_empty()) return;
  Registry& registry = *home().registry();
  const absl::Status armed = is_registered_
                                 ? registry.reregister_fd(fd_.get(), token(), wanted.one_shot())
                                 : registry.register_fd(fd_.get(), token(), wanted.one_shot());
  if (armed.ok()) {
    is_registered_ = true;
  } else {
    look_again_soon();
    tell(armed);
  }
}

void UdpState::end() {
  is_over_ = true;
  (void)calls_.give_back();
  home().timers().cancel(*this);
  retire();
  if (is_registered_) (void)home().registry()->deregister_fd(fd_.get());
  file_.reset();
  fd_.reset();
  calls_.done();
  {
    const absl::Status why = make_error(absl::StatusCode::kCancelled, "the socket is closed");
    ReadyList ready;
    const absl::MutexLock lock(&mutex_);
    is_closed_ = true;
    if (!waiting_.empty()) ready.add(waiting_, *waiting_.first(), &why);
  }
  callback_ = nullptr;
  self_ = UdpSocket();
  core_->end_lingering();
}

// -- A coroutine. --

bool UdpState::begin(DatagramOperation& operation, TaskNode& node) {
  if (ends_with_stop(node)) return true;
  {
    const absl::MutexLock lock(&mutex_);
    if (has_batch_) return true;
    const auto refuse = [&node](const char* why) {
      node.status = make_error(absl::StatusCode::kFailedPrecondition, why);
      return true;
    };
    if (!pending_error_.ok()) {
      node.status = std::exchange(pending_error_, absl::OkStatus());
      return true;
    }
    if (is_closed_) return refuse("UdpSocket::receive: the socket is closed");
    if (has_callback_) return refuse("UdpSocket::receive: the socket has a callback");
    if (!waiting_.empty()) return refuse("UdpSocket::receive: another coroutine receives");
    waiting_.push(operation, node);
  }
  core_->wake(*this);
  return false;
}

void UdpState::cancel(DatagramOperation& operation, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(operation)) ready.add(waiting_, operation, &why);
}

std::span<const Datagram> UdpState::take() {
  const absl::MutexLock lock(&mutex_);
  has_batch_ = false;
  return inbound_.datagrams();
}

}  // namespace epore::internal
