#include "epore/runtime/internal/datagram/udp_receiver.h"

#include <utility>

#include "epore/runtime/internal/base/no_memory.h"

namespace epore::internal {

UdpReceiver::UdpReceiver(const OpenUdp& socket, const UdpOptions& options, bool has_callback)
    : has_callback_(has_callback),
      inbound_(options.batch, socket.has_gro ? 65535 : options.max_datagram,
               !socket.address.is_unix()) {}

bool UdpReceiver::begin(DatagramOperation& operation, TaskNode& node) {
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
  return false;
}

void UdpReceiver::cancel(DatagramOperation& operation, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(operation)) ready.add(waiting_, operation, &why);
}

std::span<const Datagram> UdpReceiver::take() {
  const absl::MutexLock lock(&mutex_);
  has_batch_ = false;
  return inbound_.datagrams();
}

void UdpReceiver::add_to(UdpCounters& counters) const {
  const absl::MutexLock lock(&mutex_);
  counters.received += received_;
  counters.truncated += truncated_;
  counters.dropped += dropped_;
  counters.icmp_errors += icmp_errors_;
  counters.receive_errors += receive_errors_;
}

bool UdpReceiver::is_wanted() const {
  if (has_callback_) return !is_paused_.load(std::memory_order_acquire);
  const absl::MutexLock lock(&mutex_);
  return !waiting_.empty() && !has_batch_;
}

SysResult UdpReceiver::receive(Kernel& kernel, int fd) {
  const SysResult received = inbound_.receive(kernel, fd);
  if (!received.ok()) return received;
  const absl::MutexLock lock(&mutex_);
  received_ += inbound_.datagrams().size();
  truncated_ += inbound_.truncated();
  dropped_ = inbound_.dropped();
  return received;
}

void UdpReceiver::give() {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  has_batch_ = true;
  if (!waiting_.empty()) ready.add(waiting_, *waiting_.first());
}

void UdpReceiver::give(const absl::Status& error) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (waiting_.empty()) {
    pending_error_ = error;
  } else {
    ready.add(waiting_, *waiting_.first(), &error);
  }
}

void UdpReceiver::count_icmp_error() {
  const absl::MutexLock lock(&mutex_);
  ++icmp_errors_;
}

void UdpReceiver::count_receive_error() {
  const absl::MutexLock lock(&mutex_);
  ++receive_errors_;
}

void UdpReceiver::close(const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  is_closed_ = true;
  if (!waiting_.empty()) ready.add(waiting_, *waiting_.first(), &why);
}

}  // namespace epore::internal
