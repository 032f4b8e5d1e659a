#include "epore/runtime/internal/datagram/inbound_batch.h"

#include <netinet/in.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "epore/runtime/internal/datagram/open_udp.h"

namespace epore::internal {
namespace {

template <typename T>
T payload(const cmsghdr& header) {
  T value;
  std::memcpy(&value, CMSG_DATA(&header), sizeof value);
  return value;
}

SocketAddress address_of(const in_pktinfo& info) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr = info.ipi_addr;
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

SocketAddress address_of(const in6_pktinfo& info) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_addr = info.ipi6_addr;
  if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) address.sin6_scope_id = info.ipi6_ifindex;
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

}  // namespace

InboundBatch::InboundBatch(std::size_t count, std::size_t size, bool has_control)
    : size_(size),
      bytes_(std::make_unique_for_overwrite<std::byte[]>(count * size)),
      pieces_(count),
      peers_(count),
      controls_(has_control ? count : 0),
      messages_(count) {
  datagrams_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) prepare(i);
}

void InboundBatch::prepare(std::size_t index) {
  pieces_[index] = {bytes_.get() + index * size_, size_};
  msghdr& message = messages_[index].msg_hdr;
  message = {};
  message.msg_name = &peers_[index];
  message.msg_namelen = sizeof peers_[index];
  message.msg_iov = &pieces_[index];
  message.msg_iovlen = 1;
  if (controls_.empty()) return;
  message.msg_control = controls_[index].bytes.data();
  message.msg_controllen = controls_[index].bytes.size();
}

SysResult InboundBatch::receive(Kernel& kernel, int fd) {
  datagrams_.clear();
  truncated_ = 0;
  for (; filled_ != 0; --filled_) prepare(filled_ - 1);
  SysResult received = SysResult::from_errno(ENOSYS);
  if (has_recvmmsg_) {
    received = kernel.recvmmsg(fd, messages_.data(), static_cast<unsigned>(messages_.size()),
                               MSG_DONTWAIT);
  }
  // An old system, or a seccomp filter that does not know the call.
  if (received.error() == ENOSYS || received.error() == EPERM) {
    has_recvmmsg_ = false;
    received = receive_each(kernel, fd);
  }
  if (received.ok()) filled_ = static_cast<std::size_t>(received.value());
  for (std::size_t i = 0; i < filled_; ++i) take_apart(i);
  return received;
}

SysResult InboundBatch::receive_each(Kernel& kernel, int fd) {
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const SysResult one = kernel.recvmsg(fd, &messages_[i].msg_hdr, MSG_DONTWAIT);
    if (!one.ok()) return i > 0 ? SysResult(static_cast<std::int64_t>(i)) : one;
    messages_[i].msg_len = static_cast<unsigned>(one.value());
  }
  return SysResult(static_cast<std::int64_t>(messages_.size()));
}

void InboundBatch::take_apart(std::size_t index) {
  const msghdr& message = messages_[index].msg_hdr;
  Datagram datagram;
  datagram.peer = SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&peers_[index]),
                                               message.msg_namelen);
  datagram.is_truncated = (message.msg_flags & MSG_TRUNC) != 0;
  if (datagram.is_truncated) ++truncated_;
  std::size_t segment = 0;
  auto* const whole = const_cast<msghdr*>(&message);  // CMSG_NXTHDR() takes no const
  for (cmsghdr* c = CMSG_FIRSTHDR(whole); c != nullptr; c = CMSG_NXTHDR(whole, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      dropped_ = payload<std::uint32_t>(*c);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      datagram.local = address_of(payload<in_pktinfo>(*c));
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      datagram.local = address_of(payload<in6_pktinfo>(*c));
    } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == kUdpGro) {
      segment = static_cast<std::size_t>(payload<int>(*c));
    }
  }
  const std::byte* const begin = bytes_.get() + index * size_;
  const std::size_t size = std::min<std::size_t>(messages_[index].msg_len, size_);
  if (segment == 0) segment = size;
  std::size_t at = 0;
  do {
    datagram.bytes = ByteView(begin + at, std::min(segment, size - at));
    datagrams_.push_back(datagram);
    at += segment;
  } while (at < size);
}

}  // namespace epore::internal
