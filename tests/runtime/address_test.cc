#include "epore/runtime/address.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "absl/strings/match.h"
#include "epore/runtime/internal/base/printable.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

std::string round_trip(std::string_view text) {
  const absl::StatusOr<SocketAddress> address = SocketAddress::parse(text);
  return address.ok() ? address->to_string() : address.status().ToString();
}

TEST(SocketAddressTest, PrintsWhatItParsed) {
  for (const char* text :
       {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:8080", "[::]:0",
        "[2001:db8::7]:443", "[::ffff:1.2.3.4]:1", "[fe80::1%1]:80", "unix:/run/x.sock", "unix:./x",
        "unix:../x", "unix:@name", "unix:@ /", "unix:/run/\xc3\xa4 b", "unix:./@x"}) {
    EXPECT_EQ(round_trip(text), text);
  }
  EXPECT_EQ(round_trip("[0:0:0:0:0:0:0:1]:1"), "[::1]:1");
  EXPECT_EQ(round_trip("[fe80::1%lo]:1"), "[fe80::1%1]:1");
}

TEST(SocketAddressTest, KnowsItsFamilyAndPort) {
  const SocketAddress v4 = SocketAddress::parse("10.0.0.1:4711").value();
  EXPECT_TRUE(v4.is_ipv4());
  EXPECT_FALSE(v4.is_ipv6());
  EXPECT_EQ(v4.port(), 4711);
  EXPECT_EQ(v4.size(), sizeof(sockaddr_in));
  EXPECT_EQ(v4.data()->sa_family, AF_INET);
  const SocketAddress v6 = SocketAddress::parse("[::1]:4711").value();
  EXPECT_TRUE(v6.is_ipv6());
  EXPECT_FALSE(v6.is_ipv4());
  EXPECT_EQ(v6.port(), 4711);
  EXPECT_EQ(v6.size(), sizeof(sockaddr_in6));
}

TEST(SocketAddressTest, IsAValue) {
  const SocketAddress a = SocketAddress::parse("[::1]:1").value();
  EXPECT_EQ(a.with_port(2), SocketAddress::parse("[::1]:2").value());
  EXPECT_NE(a.with_port(2), a);
  EXPECT_EQ(a.with_port(2).with_port(1), a);
  EXPECT_NE(SocketAddress::parse("0.0.0.0:1").value(), SocketAddress::parse("[::]:1").value());
}

// What says nothing of the address does not make two of one.
TEST(SocketAddressTest, PaddingAndFlowInfoDoNotCount) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  const auto* address4 = reinterpret_cast<const sockaddr*>(&v4);
  const SocketAddress a = SocketAddress::from_sockaddr(address4, sizeof v4);
  std::memset(v4.sin_zero, 1, sizeof v4.sin_zero);
  EXPECT_EQ(SocketAddress::from_sockaddr(address4, sizeof v4), a);
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  const auto* address6 = reinterpret_cast<const sockaddr*>(&v6);
  const SocketAddress b = SocketAddress::from_sockaddr(address6, sizeof v6);
  v6.sin6_flowinfo = htonl(7);
  EXPECT_EQ(SocketAddress::from_sockaddr(address6, sizeof v6), b);
  v6.sin6_scope_id = 1;
  EXPECT_NE(SocketAddress::from_sockaddr(address6, sizeof v6), b);
}

TEST(SocketAddressTest, AMappedAddressIsAskedForItsIpv4Address) {
  const auto unmapped = [](const char* text) {
    return SocketAddress::parse(text)->unmapped().to_string();
  };
  EXPECT_EQ(unmapped("[::ffff:192.0.2.1]:80"), "192.0.2.1:80");
  EXPECT_EQ(unmapped("[2001:db8::1]:80"), "[2001:db8::1]:80");
  EXPECT_EQ(unmapped("[::1]:80"), "[::1]:80");
  EXPECT_EQ(unmapped("192.0.2.1:80"), "192.0.2.1:80");
  EXPECT_TRUE(SocketAddress().unmapped().is_empty());
}

TEST(SocketAddressTest, KnowsTheAnyAddresses) {
  for (const char* text : {"0.0.0.0:80", "[::]:0"}) {
    EXPECT_TRUE(SocketAddress::parse(text)->is_any()) << text;
  }
  for (const char* text : {"0.0.0.1:80", "[::1]:0", "[::ffff:0.0.0.0]:1"}) {
    EXPECT_FALSE(SocketAddress::parse(text)->is_any()) << text;
  }
  EXPECT_FALSE(SocketAddress().is_any());
}

TEST(SocketAddressTest, AnEmptyOneSaysSo) {
  const SocketAddress empty;
  EXPECT_TRUE(empty.is_empty());
  EXPECT_FALSE(empty.is_ipv4());
  EXPECT_FALSE(empty.is_ipv6());
  EXPECT_EQ(empty.port(), 0);
  EXPECT_EQ(empty.to_string(), "");
  EXPECT_EQ(empty.with_port(80), empty);
}

// A sockaddr_un with these first bytes of a path.
SocketAddress unix_address(std::string_view bytes) {
  sockaddr_un local = {};
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, bytes.data(), bytes.size());
  return SocketAddress::from_sockaddr(
      reinterpret_cast<const sockaddr*>(&local),
      static_cast<unsigned>(offsetof(sockaddr_un, sun_path) + bytes.size()));
}

TEST(SocketAddressTest, KnowsUnixSockets) {
  const SocketAddress path = SocketAddress::parse("unix:/run/x.sock").value();
  EXPECT_TRUE(path.is_unix());
  EXPECT_FALSE(path.is_ipv4());
  EXPECT_FALSE(path.is_any());
  EXPECT_EQ(path.unix_path(), "/run/x.sock");
  EXPECT_EQ(path.port(), 0);
  EXPECT_EQ(path.with_port(80), path);
  EXPECT_EQ(path.unmapped(), path);
  EXPECT_EQ(path.size(), offsetof(sockaddr_un, sun_path) + sizeof "/run/x.sock");
  const SocketAddress abstract = SocketAddress::parse("unix:@name").value();
  EXPECT_TRUE(abstract.is_unix());
  EXPECT_EQ(abstract.unix_path(), "");
  EXPECT_EQ(abstract.size(), offsetof(sockaddr_un, sun_path) + sizeof "name") << "no zero behind";
  EXPECT_NE(abstract, SocketAddress::parse("unix:./name").value());
  // 14 and 26 bytes of a path make a sockaddr as large as one of IPv4, and of IPv6.
  for (std::size_t size : {13, 25}) {
    const SocketAddress as_large =
        SocketAddress::parse("unix:/" + std::string(size - 1, 'x')).value();
    EXPECT_TRUE(as_large.is_unix() && !as_large.is_ipv4() && !as_large.is_ipv6()) << size;
  }
}

TEST(SocketAddressTest, TakesSockaddrsOfUnixSockets) {
  EXPECT_EQ(unix_address("").to_string(), "unix:") << "without a name";
  EXPECT_TRUE(unix_address("").is_unix());
  EXPECT_FALSE(unix_address("").is_empty());
  EXPECT_EQ(unix_address("/x"), SocketAddress::parse("unix:/x").value()) << "no zero behind";
  EXPECT_EQ(unix_address(std::string_view("/x\0junk", 7)), unix_address("/x"));
  EXPECT_EQ(unix_address("x").to_string(), "unix:./x");
  EXPECT_EQ(unix_address("@x").to_string(), "unix:./@x") << "a file, and no abstract name";
  EXPECT_EQ(unix_address(std::string_view("\0x", 2)), SocketAddress::parse("unix:@x").value());
  EXPECT_EQ(unix_address(std::string_view("\0a\0\n", 4)).to_string(), "unix:@a\\x00\\n");
  const std::string longest(sizeof(sockaddr_un::sun_path), 'x');
  EXPECT_EQ(unix_address(longest).unix_path(), longest) << "with no room for a zero";
}

TEST(SocketAddressTest, ErrorsOfUnixAddressesSayWhatIsWrong) {
  struct {
    std::string text;
    const char* part;
  } const cases[] = {
      {"unix:", "no path behind \"unix:\""},
      {"unix:@", "no name behind \"@\""},
      {"unix:80", "begins with \"/\" or \"./\""},
      {"unix:x.sock", "begins with \"/\" or \"./\""},
      {std::string("unix:/a\0b", 9), "zero byte at its position 2"},
      {std::string("unix:@a\0b", 9), "zero byte at its position 1"},
      {"unix:/" + std::string(107, 'x'), "the path has 108 bytes, and may have 107"},
      {"unix:@" + std::string(108, 'x'), "the name has 108 bytes, and may have 107"}};
  for (const auto& c : cases) {
    const absl::Status status = SocketAddress::parse(c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_TRUE(absl::StrContains(status.message(), c.part)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), internal::printable(c.text))) << status;
  }
  EXPECT_EQ(SocketAddress::parse("unix:/" + std::string(106, 'x'))->size(), sizeof(sockaddr_un));
  EXPECT_EQ(SocketAddress::parse("unix:@" + std::string(107, 'x'))->size(), sizeof(sockaddr_un));
}

TEST(SocketAddressTest, TakesOnlySockaddrsOfItsKinds) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(80);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* generic = reinterpret_cast<const sockaddr*>(&v4);
  EXPECT_EQ(SocketAddress::from_sockaddr(generic, sizeof v4).to_string(), "127.0.0.1:80");
  EXPECT_TRUE(SocketAddress::from_sockaddr(generic, sizeof v4 - 1).is_empty()) << "cut off";
  EXPECT_TRUE(SocketAddress::from_sockaddr(generic, 0).is_empty());
  v4.sin_family = AF_NETLINK;
  EXPECT_TRUE(SocketAddress::from_sockaddr(generic, sizeof v4).is_empty());
}

TEST(SocketAddressTest, TakesNoNames) {
  for (const char* text : {"localhost:80", ":80", "1.2.3:80", "1.2.3.256:80", "[fe80::1%no]:80"}) {
    EXPECT_EQ(SocketAddress::parse(text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(HostPortTest, TakesHostAndPortApart) {
  struct {
    const char* text;
    const char* host;
    int port;
  } const cases[] = {{"localhost:80", "localhost", 80},
                     {"a.example:65535", "a.example", 65535},
                     {":7", "", 7},
                     {"1.2.3.4:0", "1.2.3.4", 0},
                     {"[::1]:80", "::1", 80},
                     {"x:0080", "x", 80},
                     {"[fe80::1%2]:80", "fe80::1%2", 80}};
  for (const auto& c : cases) {
    const absl::StatusOr<HostPort> parsed = HostPort::parse(c.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->host, c.host);
    EXPECT_EQ(parsed->port, c.port);
  }
}

TEST(HostPortTest, ErrorsNameTheTextAndThePart) {
  const std::string long_label(64, 'a');
  const std::string long_name = std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                                std::string(63, 'c') + "." + std::string(62, 'd');
  struct {
    std::string text;
    const char* part;
  } const cases[] = {{"", "no \":PORT\""},
                     {"localhost", "no \":PORT\""},
                     {"localhost:", "port \"\""},
                     {"localhost:http", "port \"http\""},
                     {"localhost:-1", "port \"-1\""},
                     {"localhost:+1", "port \"+1\""},
                     {"localhost: 1", "port \" 1\""},
                     {"localhost:65536", "port \"65536\""},
                     {"localhost:99999999999999999999", "port \"9999"},
                     {"::1:80", "brackets"},
                     {"[::1]", "behind \"]\""},
                     {"http://h:80/", "a URL is no address"},
                     {"http://h:80", "a URL is no address"},
                     {"h:80/x", "no path"},
                     {"unix:/run/x", "a Unix socket has no host"},
                     {"/run/x:80", "is written unix:/run/x.sock"},
                     {"[::1% 1]:80", "no interface"},
                     {"[::1%+1]:80", "no interface"},
                     {"[::1%]:80", "no interface"},
                     {"[::1%nosuch]:80", "no interface"},
                     {"[::1%4294967296]:80", "no interface"},
                     {"a\nb\x1b[1m:port", "a\\nb\\x1b"},
                     {std::string(100'000, 'x'), "no \":PORT\""},
                     {std::string(100'000, ':'), "..."},
                     {"[::1:80", "\"[\" without \"]\""},
                     {"[]:80", "no IPv6 address"},
                     {"[localhost]:80", "no IPv6 address"},
                     {std::string("a\0b:80", 6), "zero byte"},
                     {long_label + ":80", "longer than 63"},
                     {long_name + ":80", "longer than 253"}};
  for (const auto& c : cases) {
    const absl::Status status = HostPort::parse(c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_TRUE(absl::StrContains(status.message(), c.part)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), internal::printable(c.text))) << status;
    EXPECT_LT(status.message().size(), 250u) << status;
  }
}

TEST(HostPortTest, TakesTheLongestNameThatThereIs) {
  const std::string name = std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                           std::string(63, 'c') + "." + std::string(61, 'd');
  ASSERT_EQ(name.size(), 253u);
  EXPECT_TRUE(HostPort::parse(name + ":80").ok());
  EXPECT_EQ(HostPort::parse(name + ".:80").value().host, name + ".") << "the root's dot";
  EXPECT_FALSE(HostPort::parse(name + "..:80").ok());
}

}  // namespace
}  // namespace epore
