// What UdpOptions set, as the system tells it.

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/plain_udp.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

class UdpOptionsTest : public RuntimeTest {};

INSTANTIATE_TEST_SUITE_P(Everywhere, UdpOptionsTest, testing::ValuesIn(epoll_modes()), mode_name);

// The socket that was opened last.
int& opened_fd() {
  static int fd = -1;
  return fd;
}

absl::Status keep_fd(int fd) {
  opened_fd() = fd;
  return absl::OkStatus();
}

int option_of(int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  if (::getsockopt(opened_fd(), level, name, &value, &size) != 0) return -errno;
  return value;
}

UdpOptions all_of_them() {
  UdpOptions all;
  all.reuse_port = true;
  all.reuse_address = true;
  all.receive_buffer = 30'000;
  all.send_buffer = 20'000;
  all.broadcast = true;
  all.hops = 7;
  all.traffic_class = 0x48;
  all.multicast_hops = 9;
  all.multicast_loop = false;
  all.on_socket = keep_fd;
  return all;
}

void expect_set(bool has_ipv4, bool has_ipv6) {
  // The system doubles them, for what it keeps itself (socket(7)).
  EXPECT_EQ(option_of(SOL_SOCKET, SO_RCVBUF), 2 * 30'000);
  EXPECT_EQ(option_of(SOL_SOCKET, SO_SNDBUF), 2 * 20'000);
  EXPECT_NE(option_of(SOL_SOCKET, SO_BROADCAST), 0);
  EXPECT_NE(option_of(SOL_SOCKET, SO_REUSEADDR), 0);
  EXPECT_NE(option_of(SOL_SOCKET, SO_REUSEPORT), 0);
  if (has_ipv4) {
    EXPECT_EQ(option_of(IPPROTO_IP, IP_TTL), 7);
    EXPECT_EQ(option_of(IPPROTO_IP, IP_TOS), 0x48);
    EXPECT_EQ(option_of(IPPROTO_IP, IP_MULTICAST_TTL), 9);
    EXPECT_EQ(option_of(IPPROTO_IP, IP_MULTICAST_LOOP), 0);
  }
  if (has_ipv6) {
    EXPECT_EQ(option_of(IPPROTO_IPV6, IPV6_UNICAST_HOPS), 7);
    EXPECT_EQ(option_of(IPPROTO_IPV6, IPV6_TCLASS), 0x48);
    EXPECT_EQ(option_of(IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 9);
    EXPECT_EQ(option_of(IPPROTO_IPV6, IPV6_MULTICAST_LOOP), 0);
  }
}

TEST_P(UdpOptionsTest, AreThoseOfTheSocketInEachFamily) {
  Runtime runtime(options());
  const absl::StatusOr<UdpSocket> v4 = runtime.udp("127.0.0.1:0", all_of_them());
  ASSERT_TRUE(v4.ok()) << v4.status();
  expect_set(true, false);
  const absl::StatusOr<UdpSocket> v6 = runtime.udp("[::1]:0", all_of_them());
  if (!v6.ok()) GTEST_SKIP() << v6.status();
  expect_set(false, true);
  const absl::StatusOr<UdpSocket> both = runtime.udp("[::]:0", all_of_them());
  ASSERT_TRUE(both.ok()) << both.status();
  expect_set(true, true);
}

TEST_P(UdpOptionsTest, ByDefaultTheSystemDecides) {
  Runtime runtime(options());
  UdpOptions none;
  none.on_socket = keep_fd;
  const absl::StatusOr<UdpSocket> socket = runtime.udp("127.0.0.1:0", none);
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_EQ(option_of(SOL_SOCKET, SO_BROADCAST), 0);
  EXPECT_EQ(option_of(SOL_SOCKET, SO_REUSEADDR), 0);
  EXPECT_EQ(option_of(IPPROTO_IP, IP_TOS), 0);
  EXPECT_EQ(option_of(IPPROTO_IP, IP_MULTICAST_TTL), 1);
  EXPECT_EQ(option_of(IPPROTO_IP, IP_MULTICAST_LOOP), 1);
}

TEST_P(UdpOptionsTest, AUnixSocketHasItsBuffersAndOnSocket) {
  Runtime runtime(options());
  UdpOptions buffers;
  buffers.receive_buffer = 30'000;
  buffers.send_buffer = 20'000;
  buffers.on_socket = keep_fd;
  const absl::StatusOr<UnixDatagramSocket> socket = runtime.unix_datagram("", buffers);
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_EQ(option_of(SOL_SOCKET, SO_RCVBUF), 2 * 30'000);
  EXPECT_EQ(option_of(SOL_SOCKET, SO_SNDBUF), 2 * 20'000);
}

TEST_P(UdpOptionsTest, AnErrorOfOnSocketEndsTheCall) {
  Runtime runtime(options());
  UdpOptions refuses;
  refuses.on_socket = [](int) { return absl::NotFoundError("no such device"); };
  UdpOptions throws;
  throws.on_socket = [](int) -> absl::Status { throw std::runtime_error("no such device"); };
  for (const auto& [bad, code] : {std::pair(&refuses, absl::StatusCode::kNotFound),
                                  std::pair(&throws, absl::StatusCode::kInternal)}) {
    for (const absl::Status& status :
         {runtime.udp("127.0.0.1:0", *bad).status(), runtime.unix_datagram("", *bad).status()}) {
      EXPECT_EQ(status.code(), code) << status;
      EXPECT_TRUE(absl::StrContains(status.message(), "no such device")) << status;
    }
  }
}

// Fails the calls that set options, one after the other.
TEST_P(UdpOptionsTest, TheOneThatTheSystemRefusesIsNamed) {
  Runtime runtime(options());
  UdpOptions all = all_of_them();
  all.multicast_interface = 1;
  all.local_address = true;
  const std::pair<std::string_view, std::vector<std::string_view>> sockets[] = {
      {"127.0.0.1:0",
       {"SO_REUSEPORT", "SO_REUSEADDR", "SO_RCVBUF", "SO_SNDBUF", "SO_BROADCAST", "IP_PKTINFO",
        "IP_TTL", "IP_TOS", "IP_MULTICAST_TTL", "IP_MULTICAST_LOOP", "IP_MULTICAST_IF"}},
      {"[::1]:0",
       {"IPV6_V6ONLY", "SO_REUSEPORT", "SO_REUSEADDR", "SO_RCVBUF", "SO_SNDBUF", "SO_BROADCAST",
        "IPV6_RECVPKTINFO", "IPV6_UNICAST_HOPS", "IPV6_TCLASS", "IP_TOS", "IPV6_MULTICAST_HOPS",
        "IPV6_MULTICAST_LOOP", "IPV6_MULTICAST_IF"}}};
  for (const auto& [address, names] : sockets) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      kernel_.fail(KernelCall::kSetsockopt, ENOPROTOOPT, static_cast<int>(i) + 1);
      const absl::Status status = runtime.udp(address, all).status();
      kernel_.fail(KernelCall::kSetsockopt, 0);
      if (errno_of(status) == EAFNOSUPPORT) GTEST_SKIP() << status;
      EXPECT_EQ(errno_of(status), ENOPROTOOPT) << names[i] << ": " << status;
      EXPECT_TRUE(absl::StrContains(status.message(), "setsockopt(fd ")) << status;
      EXPECT_TRUE(absl::StrContains(status.message(), names[i])) << names[i] << ": " << status;
    }
  }
}

TEST_P(UdpOptionsTest, ABroadcastNeedsItsOption) {
  PlainUdp everyone("0.0.0.0:0");
  Runtime runtime(options());
  const SocketAddress all_hosts =
      SocketAddress::parse("127.255.255.255:0")->with_port(everyone.address().port());
  const absl::StatusOr<UdpSocket> without = runtime.udp("127.0.0.1:0");
  ASSERT_TRUE(without.ok()) << without.status();
  ASSERT_TRUE(without->send("no", all_hosts).ok());
  while (without->counters().sent + without->counters().send_errors == 0) fence(runtime);
  EXPECT_EQ(without->counters().send_errors, 1u);
  UdpOptions may;
  may.broadcast = true;
  const absl::StatusOr<UdpSocket> with = runtime.udp("127.0.0.1:0", may);
  ASSERT_TRUE(with.ok()) << with.status();
  ASSERT_TRUE(with->send("yes", all_hosts).ok());
  EXPECT_EQ(everyone.receive(), "yes");
}

TEST(UdpAddressTest, AReceiverThatTheSocketCannotReachIsRefused) {
  Runtime runtime;
  const absl::StatusOr<UdpSocket> socket = runtime.udp("127.0.0.1:0");
  ASSERT_TRUE(socket.ok()) << socket.status();
  for (const auto& [to, why] :
       {std::pair("[::1]:5", "another family"), std::pair("unix:@x", "another family"),
        std::pair("127.0.0.1:0", "no port")}) {
    const absl::StatusOr<SocketAddress> address = SocketAddress::parse(to);
    ASSERT_TRUE(address.ok()) << address.status();
    const absl::Status sent = socket->send("x", *address);
    EXPECT_TRUE(absl::IsInvalidArgument(sent)) << to << ": " << sent;
    EXPECT_TRUE(absl::StrContains(sent.message(), why)) << sent;
    const absl::Status written =
        runtime.run([&]() -> Task<> { co_await socket->write("x", *address); });
    EXPECT_TRUE(absl::IsInvalidArgument(written)) << to << ": " << written;
  }
  EXPECT_EQ(socket->counters().send_errors, 0u);
}

TEST(UdpAddressTest, APeerWithoutAPortIsRefused) {
  Runtime runtime;
  UdpOptions options;
  options.peer = *SocketAddress::parse("127.0.0.1:0");
  EXPECT_EQ(runtime.udp("", options).status(),
            absl::InvalidArgumentError("udp(\"\"): UdpOptions::peer, 127.0.0.1:0, has no port"));
}

TEST(UdpAddressTest, OneWithoutAHostSaysWhatToWrite) {
  Runtime runtime;
  EXPECT_EQ(runtime.udp(":0").status(),
            absl::InvalidArgumentError("udp(\":0\"): no host; write 0.0.0.0:0 or [::]:0"));
}

TEST(UdpOptionsCheckTest, ValuesOutOfRangeAreRefusedByName) {
  EXPECT_TRUE(UdpOptions().check().ok());
  EXPECT_TRUE(all_of_them().check().ok());
  using Change = void (*)(UdpOptions&);
  const std::pair<Change, std::string_view> changes[] = {
      {[](UdpOptions& o) { o.max_datagram = 0; }, "UdpOptions::max_datagram is 0"},
      {[](UdpOptions& o) { o.max_datagram = 65'536; }, "UdpOptions::max_datagram is 65536"},
      {[](UdpOptions& o) { o.max_datagram = std::string::npos; }, "UdpOptions::max_datagram"},
      {[](UdpOptions& o) { o.batch = 1'025; }, "UdpOptions::batch is 1025"},
      {[](UdpOptions& o) { o.receive_buffer = -1; }, "UdpOptions::receive_buffer is -1"},
      {[](UdpOptions& o) { o.send_buffer = -1; }, "UdpOptions::send_buffer is -1"},
      {[](UdpOptions& o) { o.hops = -1; }, "UdpOptions::hops is -1"},
      {[](UdpOptions& o) { o.hops = 256; }, "UdpOptions::hops is 256"},
      {[](UdpOptions& o) { o.traffic_class = 256; }, "UdpOptions::traffic_class is 256"},
      {[](UdpOptions& o) { o.traffic_class = -1; }, "UdpOptions::traffic_class is -1"},
      {[](UdpOptions& o) { o.multicast_hops = 256; }, "UdpOptions::multicast_hops is 256"},
      {[](UdpOptions& o) { o.multicast_interface = 1u << 31; }, "UdpOptions::multicast_interface"},
      {[](UdpOptions& o) { o.unix_mode = 01000; }, "UdpOptions::unix_mode is 01000 (octal)"}};
  for (const auto& [change, part] : changes) {
    UdpOptions bad;
    change(bad);
    const absl::Status status = bad.check();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << part;
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << part << ": " << status;
  }
}

}  // namespace
}  // namespace epore
