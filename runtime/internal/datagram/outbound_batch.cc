#include "epore/runtime/internal/datagram/outbound_batch.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "epore/runtime/internal/datagram/open_udp.h"

namespace epore::internal {
namespace {

constexpr std::size_t kAtOnce = 64;

// Of datagrams that are joined. A segment must fit the path, or the system refuses the whole. Each
// path of IPv6 has room for 1,280 bytes with the headers (RFC 8200, section 5), and a path of IPv4
// that has not is rare.
constexpr std::size_t kLongestJoined = 1232;
constexpr std::size_t kMostJoined = 64;        // UDP_MAX_SEGMENTS of systems before Linux 6.9
constexpr std::size_t kLongestPiece = 65'000;  // a datagram of IP has 65,535 with the headers
constexpr std::size_t kHeaders = 48;           // of IPv6 and UDP

// Room for an address and a size.
struct alignas(cmsghdr) Control {
  std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(std::uint16_t))> bytes;
};

class ControlWriter {
 public:
  ControlWriter(msghdr& message, Control& control) : message_(message), control_(control) {
    std::memset(control.bytes.data(), 0, control.bytes.size());
  }

  template <typename T>
  void add(int level, int type, const T& value) {
    cmsghdr header = {};
    header.cmsg_level = level;
    header.cmsg_type = type;
    header.cmsg_len = CMSG_LEN(sizeof value);
    std::byte* const at = control_.bytes.data() + message_.msg_controllen;
    std::memcpy(at, &header, sizeof header);
    std::memcpy(at + CMSG_LEN(0), &value, sizeof value);
    message_.msg_control = control_.bytes.data();
    message_.msg_controllen += CMSG_SPACE(sizeof value);
  }

 private:
  msghdr& message_;
  Control& control_;
};

void add_source(ControlWriter& writer, const SocketAddress& from) {
  if (from.is_ipv4()) {
    in_pktinfo info = {};
    info.ipi_spec_dst = reinterpret_cast<const sockaddr_in*>(from.data())->sin_addr;
    writer.add(IPPROTO_IP, IP_PKTINFO, info);
  } else if (from.is_ipv6()) {
    const auto* const address = reinterpret_cast<const sockaddr_in6*>(from.data());
    in6_pktinfo info = {};
    info.ipi6_addr = address->sin6_addr;
    info.ipi6_ifindex = address->sin6_scope_id;
    writer.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

}  // namespace

void OutboundBatch::push(ByteView bytes, const SocketAddress& to, const SocketAddress& from,
                         std::size_t segment, bool joins) {
  items_.reserve(items_.size() == items_.capacity() ? items_.size() * 2 + 8 : items_.capacity());
  const std::size_t offset = bytes_.size();
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  ++pushed_;
  if (joins && segment == 0 && join(bytes.size(), to, from)) return;
  items_.push_back({offset, bytes.size(), segment, to, from});
}

bool OutboundBatch::join(std::size_t size, const SocketAddress& to, const SocketAddress& from) {
  if (empty() || size == 0) return false;
  Item& last = items_.back();
  const std::size_t segment = last.segment == 0 ? last.size : last.segment;
  // Only the last segment of a piece may be shorter. Systems before Linux 5.16 count the headers as
  // if they were segments' bytes.
  if (segment == 0 || segment > kLongestJoined || size > segment || last.size % segment != 0 ||
      last.datagrams() >= kMostJoined || last.size + size > kLongestPiece ||
      last.size + size + kHeaders > kMostJoined * segment || last.to != to || last.from != from) {
    return false;
  }
  last.size += size;
  last.segment = segment;
  return true;
}

std::size_t OutboundBatch::drop(std::size_t count) {
  std::size_t datagrams = 0;
  for (; count != 0; --count) datagrams += items_[next_++].datagrams();
  return datagrams;
}

SysResult OutboundBatch::send(Kernel& kernel, int fd, bool& has_sendmmsg) const {
  std::array<mmsghdr, kAtOnce> messages;
  std::array<iovec, kAtOnce> pieces;
  std::array<Control, kAtOnce> controls;
  const std::size_t count = std::min(items_.size() - next_, kAtOnce);
  for (std::size_t i = 0; i < count; ++i) {
    const Item& item = items_[next_ + i];
    pieces[i] = {const_cast<std::byte*>(bytes_.data()) + item.offset, item.size};
    messages[i] = {};
    msghdr& message = messages[i].msg_hdr;
    message.msg_iov = &pieces[i];
    message.msg_iovlen = 1;
    if (!item.to.is_empty()) {
      message.msg_name = const_cast<sockaddr*>(item.to.data());
      message.msg_namelen = item.to.size();
    }
    if (item.from.is_empty() && item.segment == 0) continue;
    ControlWriter writer(message, controls[i]);
    add_source(writer, item.from);
    if (item.segment != 0) {
      writer.add(IPPROTO_UDP, kUdpSegment, static_cast<std::uint16_t>(item.segment));
    }
  }
  if (has_sendmmsg) {
    const SysResult sent =
        kernel.sendmmsg(fd, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    if (sent.error() != ENOSYS) return sent;
    has_sendmmsg = false;
  }
  const SysResult one = kernel.sendmsg(fd, &messages[0].msg_hdr, MSG_DONTWAIT);
  return one.ok() ? SysResult(1) : one;
}

void OutboundBatch::split() {
  const Item whole = items_[next_];
  std::vector<Item> parts;
  for (std::size_t at = 0; at < whole.size; at += whole.segment) {
    Item part = whole;
    part.offset = whole.offset + at;
    part.size = std::min(whole.segment, whole.size - at);
    part.segment = 0;
    parts.push_back(part);
  }
  items_.insert(items_.begin() + static_cast<std::ptrdiff_t>(next_) + 1, parts.begin(),
                parts.end());
  ++next_;
}

void OutboundBatch::clear() {
  bytes_.clear();
  items_.clear();
  next_ = 0;
  pushed_ = 0;
}

}  // namespace epore::internal
