#include "epore/runtime/internal/net/compact_address.h"

#include <sys/socket.h>

#include <string>

#include "epore/runtime/address.h"
#include "gtest/gtest.h"

namespace epore::internal {
namespace {

TEST(CompactAddressTest, GivesBackWhatItWasGiven) {
  for (const std::string text :
       {"0.0.0.0:0", "127.0.0.1:80", "255.255.255.255:65535", "1.2.3.4:256", "[::]:0", "[::1]:8080",
        "[2001:db8::7]:443", "[::ffff:1.2.3.4]:1", "[fe80::1%1]:80", "unix:/run/x.sock",
        "unix:@x"}) {
    const SocketAddress address = SocketAddress::parse(text).value();
    EXPECT_EQ(CompactAddress(address).get(), address) << text;
    EXPECT_EQ(CompactAddress(address).get().to_string(), text);
  }
}

TEST(CompactAddressTest, AnEmptyOneStaysEmpty) {
  EXPECT_TRUE(CompactAddress(SocketAddress()).get().is_empty());
}

TEST(CompactAddressTest, AUnixSocketWithoutANameStaysOne) {
  const sockaddr unnamed = {.sa_family = AF_UNIX, .sa_data = {}};
  const SocketAddress address = SocketAddress::from_sockaddr(&unnamed, sizeof unnamed.sa_family);
  EXPECT_EQ(CompactAddress(address).get(), address);
  EXPECT_EQ(CompactAddress(address).get().to_string(), "unix:");
}

TEST(CompactAddressTest, IsOneWord) { EXPECT_EQ(sizeof(CompactAddress), sizeof(void*)); }

}  // namespace
}  // namespace epore::internal
