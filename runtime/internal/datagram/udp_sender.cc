#include "epore/runtime/internal/datagram/udp_sender.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "epore/runtime/internal/base/no_memory.h"

namespace epore::internal {
namespace {

constexpr std::size_t kLongest = 65507;  // the payload of a datagram of IPv4
constexpr std::size_t kSegments = 64;    // of UDP_SEGMENT

// So often a datagram is tried that is refused because of an error of another one.
constexpr int kTries = 4;

// How long a datagram waits for room at its receiver.
constexpr std::int64_t kLongestStall = 50'000'000;
constexpr int kLeastLooks = 5;  // a callback that blocks the thread leaves the receiver no time

// What says that the system, or the device, has no UDP_SEGMENT. Another error is about the piece.
bool is_without_gso(int error) {
  return error == EIO || error == EOPNOTSUPP || error == ENOPROTOOPT;
}

std::size_t cost_of(const DatagramWriteOperation& operation) {
  return operation.bytes().size() + OutboundBatch::kOverhead;
}

}  // namespace

bool is_of_peer(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
         error == EHOSTDOWN || error == ECONNRESET;
}

UdpSender::UdpSender(const OpenUdp& socket, const UdpOptions& options)
    : is_unix_(socket.address.is_unix()),
      is_ipv4_(socket.address.is_ipv4()),
      peer_(options.peer),
      has_error_queue_(options.icmp_errors),
      limit_(options.send_queue),
      has_gso_(socket.has_gso) {}

absl::Status UdpSender::check(std::string_view call, ByteView bytes,
                              const SocketAddress& to) const {
  if (to.is_empty() && peer_.is_empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(call, ": no address, and the socket has no peer"));
  }
  if (bytes.size() > kLongest) {
    return absl::InvalidArgumentError(
        absl::StrCat(call, ": ", bytes.size(), " bytes, and a datagram has at most ", kLongest));
  }
  return to.is_empty() ? absl::OkStatus() : check_receiver(call, to);
}

// The system would refuse such a datagram later, when nobody is left to be told.
absl::Status UdpSender::check_receiver(std::string_view call, const SocketAddress& to) const {
  if (is_unix_ != to.is_unix() || (is_ipv4_ && !to.is_ipv4())) {
    return absl::InvalidArgumentError(absl::StrCat(call, "(", to.to_string(),
                                                   "): the socket is of another family, ",
                                                   is_unix_   ? "Unix"
                                                   : is_ipv4_ ? "IPv4"
                                                              : "IPv6"));
  }
  if (is_unix_ || to.port() != 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(call, "(", to.to_string(), "): no port"));
}

absl::Status UdpSender::push(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
                             std::size_t segment) {
  const absl::MutexLock lock(&mutex_);
  try {
    return queue(bytes, to, from, segment);
  } catch (const std::bad_alloc&) {
    return no_memory("UdpSocket::send");
  }
}

absl::Status UdpSender::queue(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
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
  if (!has_room(cost)) {
    ++refused_;
    return absl::ResourceExhaustedError("UdpSocket::send: the queue is full");
  }
  has_work_.store(true, std::memory_order_relaxed);
  if (is_whole) {
    const bool joins = !is_split && has_gso_.load(std::memory_order_relaxed);
    filling_.push(bytes, to, from, is_split ? segment : 0, joins);
    queued_ += parts;
    return absl::OkStatus();
  }
  for (std::size_t at = 0; at < bytes.size(); at += segment) {
    const ByteView part(bytes.data() + at, std::min(segment, bytes.size() - at));
    filling_.push(part, to, from, 0, false);
    ++queued_;
  }
  return absl::OkStatus();
}

bool UdpSender::has_room(std::size_t cost) const {
  return filling_.cost() + leaving_cost_ + cost <= limit_;
}

// Does not throw.
absl::Status UdpSender::fill(const DatagramWriteOperation& operation) {
  has_work_.store(true, std::memory_order_relaxed);
  try {
    filling_.push(operation.bytes(), operation.to(), operation.from(), 0,
                  has_gso_.load(std::memory_order_relaxed));
  } catch (const std::bad_alloc&) {
    return no_memory("UdpSocket::write");
  }
  ++queued_;
  return absl::OkStatus();
}

bool UdpSender::begin(DatagramWriteOperation& operation, TaskNode& node) {
  const std::size_t cost = cost_of(operation);
  if (cost > limit_) {
    node.status = or_no_memory("UdpSocket::write", [&] {
      return absl::InvalidArgumentError(absl::StrCat(
          "UdpSocket::write: ", operation.bytes().size(), " bytes, and ", OutboundBatch::kOverhead,
          " more, are more than UdpOptions::send_queue, ", limit_));
    });
    return true;
  }
  const absl::MutexLock lock(&mutex_);
  if (is_closed_) {
    node.status =
        make_error(absl::StatusCode::kFailedPrecondition, "UdpSocket::write: the socket is closed");
    return true;
  }
  if (fails_as_awaited("UdpSocket::write", WaitList::has(operation), node)) return true;
  if (writers_.empty() && has_room(cost)) {
    node.status = fill(operation);
    return true;
  }
  writers_.push(operation, node);
  return false;
}

bool UdpSender::begin(DatagramFlushOperation& operation, TaskNode& node) {
  const absl::MutexLock lock(&mutex_);
  if (is_closed_) {
    node.status =
        make_error(absl::StatusCode::kFailedPrecondition, "UdpSocket::flush: the socket is closed");
    return true;
  }
  if (sent_ + errors_ == queued_) return true;
  if (fails_as_awaited("UdpSocket::flush", WaitList::has(operation), node)) return true;
  operation.target_ = queued_;
  flushers_.push(operation, node);
  return false;
}

void UdpSender::cancel(DatagramWriteOperation& operation, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(operation)) ready.add(writers_, operation, &why);
}

void UdpSender::cancel(DatagramFlushOperation& operation, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(operation)) ready.add(flushers_, operation, &why);
}

void UdpSender::close(const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  is_closed_ = true;
  while (!writers_.empty()) ready.add(writers_, *writers_.first(), &why);
  while (!flushers_.empty()) ready.add(flushers_, *flushers_.first(), &why);
}

// Lets those that wait fill the queue while it has room. What one finds no memory for ends with
// `failed`, which outlives `ready`.
void UdpSender::let_writers_fill(ReadyList& ready, absl::Status& failed) {
  while (!writers_.empty()) {
    auto& first = static_cast<DatagramWriteOperation&>(*writers_.first());
    if (!has_room(cost_of(first))) return;
    absl::Status filled = fill(first);
    const bool is_filled = filled.ok();
    if (!is_filled) failed = std::move(filled);
    ready.add(writers_, first, is_filled ? nullptr : &failed);
  }
}

void UdpSender::let_flushers_go(ReadyList& ready) {
  while (!flushers_.empty()) {
    auto& first = static_cast<DatagramFlushOperation&>(*flushers_.first());
    if (sent_ + errors_ < first.target_) return;
    ready.add(flushers_, first);
  }
}

void UdpSender::add_to(UdpCounters& counters) const {
  const absl::MutexLock lock(&mutex_);
  counters.sent += sent_;
  counters.refused += refused_;
  counters.send_errors += errors_;
}

bool UdpSender::take_queued() {
  if (!has_work_.load(std::memory_order_relaxed)) return false;
  leaving_.clear();
  absl::Status failed;
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  leaving_cost_ = 0;
  let_writers_fill(ready, failed);
  std::swap(leaving_, filling_);
  leaving_cost_ = leaving_.cost();
  has_work_.store(!leaving_.empty(), std::memory_order_relaxed);
  return !leaving_.empty();
}

SysResult UdpSender::send(Kernel& kernel, int fd) {
  const SysResult sent = leaving_.send(kernel, fd, has_sendmmsg_);
  if (!sent.ok()) return sent;
  if (leaving_.destination() == given_up_) given_up_ = SocketAddress();
  const std::size_t datagrams = leaving_.drop(static_cast<std::size_t>(sent.value()));
  refusals_ = 0;
  stalled_since_ = kNever;
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  sent_ += datagrams;
  let_flushers_go(ready);
  return sent;
}

bool UdpSender::is_dropped_at_receiver(std::int64_t now) {
  if (stalled_since_ == kNever) {
    stalled_since_ = now;
    looks_ = 0;
  }
  const bool has_waited = now - stalled_since_ >= kLongestStall && ++looks_ >= kLeastLooks;
  if (!has_waited && leaving_.destination() != given_up_) return false;
  given_up_ = leaving_.destination();
  drop_first();
  return true;
}

// Gives up the first piece of leaving_.
void UdpSender::drop_first() {
  stalled_since_ = kNever;
  const std::size_t datagrams = leaving_.drop(1);
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  errors_ += datagrams;
  let_flushers_go(ready);
}

UdpSender::Refused UdpSender::refused(Kernel& kernel, int fd, int& error) {
  // An error that waits in the socket may be of another datagram, whatever it is. Which peer it is
  // about is told by the next receive.
  if (has_error_queue_ && ++refusals_ < kTries) return Refused::read_errors;
  if (is_unix_ && !peer_.is_empty() && leaving_.destination().is_empty()) {
    // The system has disconnected the socket if the peer has gone. It may be back at its address.
    if (++refusals_ < 2 && kernel.connect(fd, peer_.data(), peer_.size()).ok()) {
      return Refused::again;
    }
    refusals_ = 0;
    drop_first();
    if (error == ENOTCONN) error = ECONNREFUSED;  // as the first one that found nobody there
    return Refused::tell;
  }
  if (!has_error_queue_ && !peer_.is_empty() && is_of_peer(error) && ++refusals_ < 2) {
    return Refused::tell;
  }
  refusals_ = 0;
  if (leaving_.is_segmented()) {  // whatever the reason: it goes in parts as well
    if (is_without_gso(error)) has_gso_.store(false, std::memory_order_relaxed);
    leaving_.split();
  } else {
    drop_first();
  }
  return Refused::again;
}

}  // namespace epore::internal
