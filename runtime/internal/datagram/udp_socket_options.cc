#include "epore/runtime/internal/datagram/udp_socket_options.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "epore/runtime/internal/net/option_setter.h"

namespace epore::internal {
namespace {

// The families that a socket has. One of IPv6 has both if it is bound to [::].
struct Families {
  bool ipv4;
  bool ipv6;
};

void set_buffers(OptionSetter& setter, const UdpOptions& options) {
  setter.set(options.receive_buffer != 0, SOL_SOCKET, SO_RCVBUF, options.receive_buffer,
             "SO_RCVBUF");
  setter.set(options.send_buffer != 0, SOL_SOCKET, SO_SNDBUF, options.send_buffer, "SO_SNDBUF");
}

void set_hops(OptionSetter& setter, Families has, int hops) {
  setter.set(has.ipv6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops, "IPV6_UNICAST_HOPS");
  setter.set(has.ipv4, IPPROTO_IP, IP_TTL, hops, "IP_TTL");
}

void set_multicast_hops(OptionSetter& setter, Families has, int hops) {
  setter.set(has.ipv6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops, "IPV6_MULTICAST_HOPS");
  setter.set(has.ipv4, IPPROTO_IP, IP_MULTICAST_TTL, hops, "IP_MULTICAST_TTL");
}

void set_multicast_loop(OptionSetter& setter, Families has, bool loops) {
  setter.set(has.ipv6, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, loops ? 1 : 0, "IPV6_MULTICAST_LOOP");
  setter.set(has.ipv4, IPPROTO_IP, IP_MULTICAST_LOOP, loops ? 1 : 0, "IP_MULTICAST_LOOP");
}

void set_multicast_interface(OptionSetter& setter, Families has, unsigned interface) {
  ip_mreqn request = {};
  request.imr_ifindex = static_cast<int>(interface);
  setter.set(has.ipv6, IPPROTO_IPV6, IPV6_MULTICAST_IF, interface, "IPV6_MULTICAST_IF");
  setter.set_struct(has.ipv4, IPPROTO_IP, IP_MULTICAST_IF, request, "IP_MULTICAST_IF");
}

// The system keeps what ICMP reports in the socket's error queue: see take_error().
void keep_icmp_errors(OptionSetter& setter, Families has) {
  setter.set(has.ipv6, IPPROTO_IPV6, IPV6_RECVERR, 1, "IPV6_RECVERR");
  setter.set(has.ipv4, IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR");
}

}  // namespace

absl::Status set_udp_options(Kernel& kernel, int fd, const SocketAddress& address,
                             const UdpOptions& options) {
  const bool is_ipv6 = address.is_ipv6();
  const Families has = {.ipv4 = !is_ipv6 || address.is_any(), .ipv6 = is_ipv6};
  OptionSetter setter(kernel, fd);
  // Set in any case, because the default depends on the machine (net.ipv6.bindv6only).
  setter.set(is_ipv6, IPPROTO_IPV6, IPV6_V6ONLY, has.ipv4 ? 0 : 1, "IPV6_V6ONLY");
  setter.set(options.reuse_port, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  setter.set(options.reuse_address, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  set_buffers(setter, options);
  setter.set(options.broadcast, SOL_SOCKET, SO_BROADCAST, 1, "SO_BROADCAST");
  if (options.local_address) {
    setter.set(is_ipv6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
    setter.set(!is_ipv6, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
  }
  if (options.hops != 0) set_hops(setter, has, options.hops);
  if (options.traffic_class) setter.set_traffic_class(is_ipv6, *options.traffic_class);
  if (options.multicast_hops != 1) set_multicast_hops(setter, has, options.multicast_hops);
  if (!options.multicast_loop) set_multicast_loop(setter, has, false);
  if (options.multicast_interface != 0) {
    set_multicast_interface(setter, has, options.multicast_interface);
  }
  if (options.icmp_errors) keep_icmp_errors(setter, has);
  setter.call(options.on_socket);
  return setter.take();
}

absl::Status set_unix_datagram_options(Kernel& kernel, int fd, const UdpOptions& options) {
  OptionSetter setter(kernel, fd);
  set_buffers(setter, options);
  setter.call(options.on_socket);
  return setter.take();
}

}  // namespace epore::internal
