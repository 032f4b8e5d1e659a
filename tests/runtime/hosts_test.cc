// RuntimeOptions::hosts: names that a test gives its addresses.

#include <netdb.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

class HostsTest : public RuntimeTest {
 protected:
  RuntimeOptions options(const std::map<std::string, std::vector<std::string>>& hosts) {
    RuntimeOptions options = RuntimeTest::options();
    options.hosts = hosts;
    return options;
  }

  static absl::StatusOr<std::string> peer_of(Runtime& runtime, const std::string& address) {
    absl::StatusOr<std::string> peer;
    absl::Notification told;
    runtime.connect(address, [&](absl::StatusOr<Connection> connection) {
      if (connection.ok()) {
        peer = connection->peer_address().to_string();
        connection->abort();
      } else {
        peer = connection.status();
      }
      told.Notify();
    });
    told.WaitForNotification();
    return peer;
  }
};

TEST_P(HostsTest, ANameHasTheAddressesThatItIsGiven) {
  const TcpPort listener = tcp_listener();
  const std::string address = absl::StrCat("127.0.0.1:", listener.port);
  Runtime runtime(options({{"db.example", {address}}, {"Web.Example", {"127.0.0.1:0"}}}));
  EXPECT_EQ(peer_of(runtime, "db.example:5432").value_or(""), address) << "its port, too";
  EXPECT_EQ(peer_of(runtime, "DB.Example:5432").value_or(""), address) << "in any case";
  EXPECT_EQ(peer_of(runtime, absl::StrCat("web.example:", listener.port)).value_or(""), address)
      << "port 0: the one that is asked for";
  EXPECT_EQ(kernel_.calls(KernelCall::kResolve), 0u) << "the system is not asked";
}

TEST_P(HostsTest, ANameWithoutAddressesIsNotKnown) {
  Runtime runtime(options({{"gone.example", {}}}));
  const absl::Status status = peer_of(runtime, "gone.example:80").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(status.message(), "\"gone.example\"")) << status;
  EXPECT_EQ(kernel_.calls(KernelCall::kResolve), 0u);
}

TEST_P(HostsTest, TheSystemIsAskedForOtherNames) {
  Runtime runtime(options({{"db.example", {"127.0.0.1:1"}}}));
  kernel_.fail(KernelCall::kResolve, EAI_AGAIN);
  EXPECT_EQ(peer_of(runtime, "web.example:80").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(kernel_.calls(KernelCall::kResolve), 1u);
}

TEST_P(HostsTest, ListenersFindThemAlsoInCallbacks) {
  Runtime runtime(options({{"here.example", {"127.0.0.1:0"}}}));
  absl::Notification done;
  ASSERT_TRUE(runtime
                  .post([&] {
                    const auto listener = runtime.listen("here.example:0", [](Connection&) {});
                    EXPECT_TRUE(listener.ok()) << listener.status();
                    EXPECT_TRUE(absl::StartsWith(listener->address().to_string(), "127.0.0.1:"));
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
}

TEST_P(HostsTest, WhatIsNoNameAndNoAddressIsRefused) {
  struct {
    std::string name;
    std::string address;
    std::string why;
  } const cases[] = {
      {"10.0.0.1", "127.0.0.1:1", "\"10.0.0.1\": not a name"},
      {"[::1]", "127.0.0.1:1", "\"[::1]\": not a name"},
      {"", "127.0.0.1:1", "\"\": not a name"},
      {"*", "127.0.0.1:1", "\"*\": not a name"},
      {"db.example", "127.0.0.1", "\"db.example\": address \"127.0.0.1\": no \":PORT\""},
      {"db.example", "other.example:1", "no IPv4 or IPv6 address"},
      {"db.example", "unix:/run/x", "a name has no Unix socket"},
      {"db/example", "127.0.0.1:1", "RuntimeOptions::hosts"},
  };
  for (const auto& c : cases) {
    const absl::Status status = options({{c.name, {c.address}}}).check();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name;
    EXPECT_TRUE(absl::StrContains(status.message(), "RuntimeOptions::hosts: ")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), c.why)) << status;
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, HostsTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
