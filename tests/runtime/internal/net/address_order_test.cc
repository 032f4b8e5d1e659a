#include "epore/runtime/internal/net/address_order.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace epore::internal {
namespace {

std::vector<std::string> interleaved(const std::vector<std::string>& texts) {
  std::vector<SocketAddress> addresses;
  for (const std::string& text : texts) addresses.push_back(*SocketAddress::parse(text));
  std::vector<std::string> result;
  for (const SocketAddress& address : interleave_families(addresses)) {
    result.push_back(address.to_string());
  }
  return result;
}

using Texts = std::vector<std::string>;

TEST(AddressOrderTest, TheFamiliesTakeTurns) {
  EXPECT_EQ(interleaved({"[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"}),
            (Texts{"[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"}));
}

TEST(AddressOrderTest, TheFamilyOfTheFirstAnswerIsTheFirst) {
  EXPECT_EQ(interleaved({"10.0.0.1:1", "[::1]:1", "10.0.0.2:1", "10.0.0.3:1"}),
            (Texts{"10.0.0.1:1", "[::1]:1", "10.0.0.2:1", "10.0.0.3:1"}));
}

TEST(AddressOrderTest, OneFamilyKeepsItsOrder) {
  EXPECT_EQ(interleaved({"10.0.0.3:1", "10.0.0.1:1"}), (Texts{"10.0.0.3:1", "10.0.0.1:1"}));
  EXPECT_EQ(interleaved({"unix:/run/x"}), Texts{"unix:/run/x"});
  EXPECT_EQ(interleaved({}), Texts{});
}

}  // namespace
}  // namespace epore::internal
