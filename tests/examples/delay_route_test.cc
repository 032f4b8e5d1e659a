#include "examples/delay_route.h"

#include <cstdint>
#include <limits>
#include <string_view>

#include "gtest/gtest.h"

namespace examples {
namespace {

void expect_delay(std::string_view target, std::uint64_t milliseconds, std::string_view message) {
  const DelayRoute route = route_delay("GET", target);
  ASSERT_TRUE(route.delay.has_value()) << target;
  EXPECT_EQ(route.delay->milliseconds, milliseconds) << target;
  EXPECT_EQ(route.delay->message, message) << target;
}

void expect_not_found(std::string_view method, std::string_view target, std::string_view text) {
  const DelayRoute route = route_delay(method, target);
  EXPECT_FALSE(route.delay.has_value()) << method << " " << target;
  EXPECT_EQ(route.not_found_text, text) << method << " " << target;
}

TEST(DelayRoute, TakesDelayAndMessage) {
  expect_delay("/1000/hello", 1000, "hello");
  expect_delay("/0/x", 0, "x");
  expect_delay("/007/x", 7, "x");
  expect_delay("/18446744073709551615/x", std::numeric_limits<std::uint64_t>::max(), "x");
}

TEST(DelayRoute, DecodesTheMessageOnceAfterRouting) {
  expect_delay("/1/a%20b", 1, "a b");
  expect_delay("/1/a%2Fb", 1, "a/b");
  expect_delay("/1/%2F", 1, "/");
  expect_delay("/1/a+b", 1, "a+b");
  expect_delay("/1/%2520", 1, "%20");
  expect_delay("/1/%3F", 1, "?");
  expect_delay("/1/100%", 1, "100%");
  expect_delay("/1/%zz", 1, "%zz");
  expect_delay("/1/%E2%82%AC", 1, "\xE2\x82\xAC");
  expect_delay("/1/%FFx", 1, "\xEF\xBF\xBDx");
  expect_delay("/%31/x", 1, "x");
}

TEST(DelayRoute, IgnoresTheQuery) {
  expect_delay("/1/x?a=b", 1, "x");
  expect_delay("/1/x?/y/z", 1, "x");
  expect_delay("/1/x?", 1, "x");
}

TEST(DelayRoute, TakesTheAbsoluteForm) { expect_delay("http://host:80/1/x?y", 1, "x"); }

TEST(DelayRoute, OtherPathsAreNotFoundWithoutText) {
  for (const char* target : {"/", "/1000", "/1000/", "/1/a/b", "/1/a/", "//", "//x", "/abc",
                             "/?1/x", "/1000/?x", "/1%2Fx", "*", "http://host"}) {
    expect_not_found("GET", target, "");
  }
}

TEST(DelayRoute, OtherMethodsAreNotFoundWithoutText) {
  for (const char* method : {"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"}) {
    expect_not_found(method, "/1/x", "");
    expect_not_found(method, "/abc/x", "");
  }
  expect_not_found("CONNECT", "host:80", "");
  expect_not_found("OPTIONS", "*", "");
}

TEST(DelayRoute, DelaysThatAreNoU64AreNotFoundWithText) {
  expect_not_found("GET", "/abc/x", "can not parse \"abc\" to a u64");
  expect_not_found("GET", "/-1/x", "can not parse \"-1\" to a u64");
  expect_not_found("GET", "/1.5/x", "can not parse \"1.5\" to a u64");
  expect_not_found("GET", "/0x10/x", "can not parse \"0x10\" to a u64");
  expect_not_found("GET", "/1%20/x", "can not parse \"1 \" to a u64");
  expect_not_found("GET", "/18446744073709551616/x",
                   "can not parse \"18446744073709551616\" to a u64");
}

}  // namespace
}  // namespace examples
