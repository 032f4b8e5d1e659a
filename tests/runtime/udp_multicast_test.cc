// Multicast groups. What is sent stays on this machine: the tests send with 0 hops.

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/plain_udp.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using Batch = std::span<const Datagram>;

SocketAddress parse(std::string_view text) { return SocketAddress::parse(text).value(); }

// Whether a datagram to `group` by the interface comes back to this machine within a second. There
// may be no way, or a firewall drops it.
bool hears_itself(const SocketAddress& group, unsigned interface) {
  const bool is_ipv6 = group.is_ipv6();
  PlainUdp socket(is_ipv6 ? "[::]:0" : "0.0.0.0:0");
  const timeval second = {1, 0};
  const int no_hops = 0;
  ip_mreqn by = {};
  by.imr_ifindex = static_cast<int>(interface);
  group_req request = {};
  request.gr_interface = interface;
  std::memcpy(&request.gr_group, group.data(), group.size());
  const auto set = [&](int level, int name, const void* value, socklen_t size) {
    return ::setsockopt(socket.fd(), level, name, value, size) == 0;
  };
  const int level = is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
  if (!set(SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) ||
      !set(level, is_ipv6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, &no_hops, sizeof no_hops) ||
      !(is_ipv6 ? set(level, IPV6_MULTICAST_IF, &interface, sizeof interface)
                : set(level, IP_MULTICAST_IF, &by, sizeof by)) ||
      !set(level, MCAST_JOIN_GROUP, &request, sizeof request)) {
    return false;
  }
  const SocketAddress to = group.with_port(socket.address().port());
  char byte = 'x';
  return ::sendto(socket.fd(), &byte, 1, 0, to.data(), to.size()) == 1 &&
         ::recv(socket.fd(), &byte, 1, 0) == 1;
}

// The number of an interface by which datagrams to `group` leave and come back; 0: there is none.
// It is "lo" if that is one, unless it is to be another. Linux has a way by "lo" to groups of IPv4,
// and to those of IPv6 only if somebody has made one:
// `ip -6 route add multicast ff00::/8 dev lo table local`.
enum class Which { any, not_lo };
unsigned interface_for(const SocketAddress& group, Which which = Which::any) {
  // A machine may have no IPv6.
  const OwnedFd fd(::socket(group.data()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress any = SocketAddress::parse(group.is_ipv6() ? "[::]:0" : "0.0.0.0:0").value();
  if (fd.get() < 0 || ::bind(fd.get(), any.data(), any.size()) != 0) return 0;
  struct if_nameindex* const list = ::if_nameindex();
  if (list == nullptr) return 0;
  const absl::Cleanup free = [list] { ::if_freenameindex(list); };
  for (const auto* i = list; i->if_index != 0; ++i) {  // "lo" is the first
    if (which == Which::not_lo && i->if_name == std::string_view("lo")) continue;
    if (hears_itself(group, i->if_index)) return i->if_index;
  }
  return 0;
}

// Waits until the system has taken or refused so many datagrams.
void await_sent(Runtime& runtime, const UdpSocket& socket, std::uint64_t count) {
  while (socket.counters().sent + socket.counters().send_errors < count) fence(runtime);
  EXPECT_EQ(socket.counters().send_errors, 0u);
}

// A family, and a group that nobody uses.
struct Family {
  std::string_view any;
  std::string_view group;
  std::string_view other_group;
};
constexpr Family kIpv4 = {"0.0.0.0:0", "239.255.77.1:9", "239.255.77.2:9"};
constexpr Family kIpv6 = {"[::]:0", "[ff15::77:1]:9", "[ff15::77:2]:9"};

class UdpMulticastTest : public RuntimeTest {
 protected:
  UdpSocket open(Runtime& runtime, std::string_view address, const UdpOptions& options = {}) {
    absl::StatusOr<UdpSocket> socket = runtime.udp(address, options);
    CHECK_OK(socket.status());
    return *std::move(socket);
  }

  // A socket that sends to groups by `interface`.
  UdpSocket open_sender(Runtime& runtime, std::string_view address, unsigned interface) {
    UdpOptions near;
    near.multicast_interface = interface;
    near.multicast_hops = 0;
    return open(runtime, address, near);
  }

  // Receives one datagram. A firewall may have dropped it: then it is an error.
  static std::string receive(Runtime& runtime, const UdpSocket& socket) {
    return runtime
        .run([&]() -> Task<std::string> {
          const Batch batch = co_await within(absl::Seconds(20), socket.receive());
          EXPECT_EQ(batch.size(), 1u);
          co_return std::string(batch[0].bytes.text());
        })
        .value_or("an error");
  }

  // What is sent before the leave comes, and what is sent after it does not.
  void expect_joined_and_left(const Family& family) {
    const unsigned interface = interface_for(parse(family.group));
    if (interface == 0) GTEST_SKIP() << "no interface has a way to " << family.group;
    Runtime runtime(options());
    UdpSocket socket = open(runtime, family.any);
    UdpSocket sender = open_sender(runtime, family.any, interface);
    const SocketAddress group = parse(family.group).with_port(socket.address().port());
    ASSERT_TRUE(socket.join(group, interface).ok()) << socket.join(group, interface);
    EXPECT_EQ(errno_of(socket.join(group, interface)), EADDRINUSE);
    ASSERT_TRUE(sender.send("to all", group).ok());
    EXPECT_EQ(receive(runtime, socket), "to all");
    EXPECT_TRUE(socket.leave(group, interface).ok());
    EXPECT_EQ(errno_of(socket.leave(group, interface)), EADDRNOTAVAIL);
    const SocketAddress other = parse(family.other_group).with_port(group.port());
    ASSERT_TRUE(socket.join(other, interface).ok());
    ASSERT_TRUE(sender.send("lost", group).ok());
    ASSERT_TRUE(sender.send("to others", other).ok());
    EXPECT_EQ(receive(runtime, socket), "to others");
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, UdpMulticastTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(UdpMulticastTest, AGroupIsJoinedAndLeft) { expect_joined_and_left(kIpv4); }

TEST_P(UdpMulticastTest, SoIsOneOfIpv6) { expect_joined_and_left(kIpv6); }

TEST_P(UdpMulticastTest, ASocketOfBothFamiliesJoinsAGroupOfIpv4) {
  const unsigned interface = interface_for(parse(kIpv4.group));
  if (interface == 0) GTEST_SKIP() << "no interface has a way to " << kIpv4.group;
  Runtime runtime(options());
  absl::StatusOr<UdpSocket> socket = runtime.udp("[::]:0");
  if (!socket.ok()) GTEST_SKIP() << socket.status();
  UdpSocket sender = open_sender(runtime, kIpv4.any, interface);
  const SocketAddress group = parse(kIpv4.group).with_port(socket->address().port());
  const SocketAddress mapped = parse("[::ffff:239.255.77.1]:9");
  ASSERT_TRUE(socket->join(mapped, interface).ok());
  ASSERT_TRUE(sender.send("to all", group).ok());
  EXPECT_EQ(receive(runtime, *socket), "to all");
}

TEST_P(UdpMulticastTest, ListenersOnOnePortHearOfTheirOwnGroupsOnly) {
  const unsigned interface = interface_for(parse(kIpv4.group));
  if (interface == 0) GTEST_SKIP() << "no interface has a way to " << kIpv4.group;
  Runtime runtime(options());
  UdpOptions shared;
  shared.reuse_address = true;
  UdpSocket first = open(runtime, kIpv4.any, shared);
  UdpSocket second = open(runtime, first.address().to_string(), shared);
  UdpSocket sender = open_sender(runtime, kIpv4.any, interface);
  const SocketAddress group = parse(kIpv4.group).with_port(first.address().port());
  const SocketAddress other = parse(kIpv4.other_group).with_port(group.port());
  ASSERT_TRUE(first.join(group, interface).ok());
  ASSERT_TRUE(second.join(group, interface).ok());
  ASSERT_TRUE(second.join(other, interface).ok());
  ASSERT_TRUE(sender.send("both", group).ok());
  EXPECT_EQ(receive(runtime, first), "both");
  EXPECT_EQ(receive(runtime, second), "both");
  ASSERT_TRUE(sender.send("second", other).ok());
  EXPECT_EQ(receive(runtime, second), "second");
  ASSERT_TRUE(sender.send("both again", group).ok());
  EXPECT_EQ(receive(runtime, first), "both again");
}

// What is sent by "lo" comes back in any case, as its wire is a loop.
TEST_P(UdpMulticastTest, WithoutTheLoopThisMachineHearsNothing) {
  const unsigned interface = interface_for(parse(kIpv4.group), Which::not_lo);
  if (interface == 0) GTEST_SKIP() << "no interface but lo has a way to " << kIpv4.group;
  Runtime runtime(options());
  UdpSocket socket = open(runtime, kIpv4.any);
  const SocketAddress group = parse(kIpv4.group).with_port(socket.address().port());
  ASSERT_TRUE(socket.join(group, interface).ok());
  UdpOptions silent;
  silent.multicast_interface = interface;
  silent.multicast_hops = 0;
  silent.multicast_loop = false;
  UdpSocket quiet = open(runtime, kIpv4.any, silent);
  ASSERT_TRUE(quiet.send("lost", group).ok());
  await_sent(runtime, quiet, 1);
  UdpSocket sender = open_sender(runtime, kIpv4.any, interface);
  ASSERT_TRUE(sender.send("heard", group).ok());
  EXPECT_EQ(receive(runtime, socket), "heard");
}

TEST_P(UdpMulticastTest, OneSourceIsJoined) {
  const unsigned interface = ::if_nametoindex("lo");
  if (interface == 0) GTEST_SKIP() << "no interface lo";
  Runtime runtime(options());
  UdpSocket socket = open(runtime, kIpv4.any);
  const SocketAddress group = parse("232.255.77.1:9").with_port(socket.address().port());
  UdpSocket stranger = open_sender(runtime, "127.0.0.2:0", interface);
  UdpSocket source = open_sender(runtime, "127.0.0.3:0", interface);
  ASSERT_TRUE(socket.join_source(group, source.address(), interface).ok());
  ASSERT_TRUE(stranger.send("no", group).ok());
  await_sent(runtime, stranger, 1);
  ASSERT_TRUE(source.send("yes", group).ok());
  EXPECT_EQ(receive(runtime, socket), "yes");
  EXPECT_TRUE(socket.join_source(group, stranger.address(), interface).ok());
  EXPECT_TRUE(socket.leave_source(group, source.address(), interface).ok());
  ASSERT_TRUE(source.send("no more", group).ok());
  await_sent(runtime, source, 2);
  ASSERT_TRUE(stranger.send("now", group).ok());
  EXPECT_EQ(receive(runtime, socket), "now");
  EXPECT_EQ(errno_of(socket.leave_source(group, source.address(), interface)), EADDRNOTAVAIL);
}

void expect_bad(const absl::Status& status, std::string_view part) {
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

TEST_P(UdpMulticastTest, WhatCannotBeJoinedSaysWhy) {
  Runtime runtime(options());
  UdpSocket socket = open(runtime, "127.0.0.1:0");
  const SocketAddress group = parse(kIpv4.group);
  expect_bad(socket.join(SocketAddress()), "the group is no multicast address");
  expect_bad(socket.join(parse("192.0.2.1:9")),
             "UdpSocket::join(192.0.2.1:9, interface 0): the group is no multicast address");
  expect_bad(socket.leave(parse("[2001:db8::1]:9")), "UdpSocket::leave([2001:db8::1]:9");
  expect_bad(socket.join(parse(kIpv6.group)), "bound to 127.0.0.1:");
  expect_bad(socket.join_source(group, SocketAddress()), "the source is empty");
  expect_bad(socket.leave_source(group, SocketAddress()), "the source is empty");
  expect_bad(socket.join_source(group, parse("[::1]:9")), "of another family than the group");
  const absl::StatusOr<UnixDatagramSocket> of_unix = runtime.unix_datagram("");
  ASSERT_TRUE(of_unix.ok()) << of_unix.status();
  expect_bad(of_unix->join(group), "of another family");
  const absl::Status unknown = socket.join(group, 2'000'000'000);
  EXPECT_EQ(errno_of(unknown), ENODEV) << unknown;
  EXPECT_TRUE(absl::StrContains(unknown.message(), "interface 2000000000")) << unknown;
  EXPECT_TRUE(absl::StrContains(unknown.message(), "setsockopt(MCAST_JOIN_GROUP)")) << unknown;
  kernel_.fail(KernelCall::kSetsockopt, ENOBUFS);
  const absl::Status refused = socket.join_source(group, parse("127.0.0.1:0"));
  EXPECT_EQ(errno_of(refused), ENOBUFS) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "MCAST_JOIN_SOURCE_GROUP")) << refused;
  for (const absl::Status& status :
       {UdpSocket().join(group), UdpSocket().leave(group), UdpSocket().join_source(group, group),
        UdpSocket().leave_source(group, group)}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  }
  UdpOptions nowhere;
  nowhere.multicast_interface = 2'000'000'000;
  const absl::Status opened = runtime.udp("127.0.0.1:0", nowhere).status();
  EXPECT_TRUE(absl::StrContains(opened.message(), "IP_MULTICAST_IF")) << opened;
}

TEST(NetworkInterfaceTest, IsFoundByItsNameAndByItsAddresses) {
  const unsigned lo = ::if_nametoindex("lo");
  if (lo == 0) GTEST_SKIP() << "no interface lo";
  EXPECT_EQ(network_interface("lo").value_or(0), lo);
  EXPECT_EQ(network_interface("127.0.0.1").value_or(0), lo);
  const absl::StatusOr<unsigned> v6 = network_interface("::1");
  if (!absl::IsNotFound(v6.status())) {  // a machine may have no IPv6
    EXPECT_EQ(v6.value_or(0), lo) << v6.status();
  }
}

TEST(NetworkInterfaceTest, WhatThereIsNotIsNotFound) {
  for (const std::string_view text :
       {std::string_view("eth-none"), std::string_view(""), std::string_view("192.0.2.254"),
        std::string_view("2001:db8::ffff"), std::string_view("lo\0", 3), std::string_view("[::1]"),
        std::string_view("a name that is longer than any of an interface")}) {
    const absl::Status status = network_interface(text).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << text << ": " << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "network_interface(\"")) << status;
  }
}

}  // namespace
}  // namespace epore
