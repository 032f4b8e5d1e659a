// Names by c-ares: against examples/dns_server, and against servers that say nothing.

#include "epore/runtime/cares/name_resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/join.h"
#include "gtest/gtest.h"
#include "tests/examples/server.h"
#include "tests/support/open_fds.h"

namespace epore {
namespace {

// A name server that says nothing.
class SilentServer {
 public:
  SilentServer() {
    sockaddr_in any = {};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const address = reinterpret_cast<sockaddr*>(&any);
    socklen_t size = sizeof any;
    PCHECK(::bind(fd_.get(), address, size) == 0);
    PCHECK(::getsockname(fd_.get(), address, &size) == 0);
    const timeval limit = {.tv_sec = 20, .tv_usec = 0};
    PCHECK(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    address_ = SocketAddress::from_sockaddr(address, size).to_string();
  }

  const std::string& address() const { return address_; }

  // Waits for a question.
  void await() const {
    char buffer[512];
    PCHECK(::recv(fd_.get(), buffer, sizeof buffer, 0) > 0);
  }

 private:
  const OwnedFd fd_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  std::string address_;
};

class NameResolverTest : public testing::Test {
 protected:
  // Skips the test where there is no c-ares.
  void SetUp() override {
    const absl::StatusOr<NameResolver> made = NameResolver::create(runtime_);
    if (absl::IsUnimplemented(made.status())) GTEST_SKIP() << made.status().message();
    ASSERT_TRUE(made.ok()) << made.status();
  }

  // Starts dns_server with these records of example.com. Gives its address.
  std::string serve(const std::string& records) {
    const std::string path = testing::TempDir() + "/zone";
    std::ofstream(path) << "example.com. 3600 SOA ns.example.com. a.example.com. 1 2 3 4 5\n"
                        << records << std::flush;
    server_.emplace("dns_server", std::vector{std::string("--address=127.0.0.1:0"), path});
    return server_->address;
  }

  NameResolver make(const std::string& servers, NameResolverOptions options = {}) {
    options.servers = servers;
    options.uses_hosts_file = false;
    options.uses_search_domains = false;
    absl::StatusOr<NameResolver> made = NameResolver::create(runtime_, options);
    CHECK_OK(made);
    return *std::move(made);
  }

  absl::StatusOr<std::vector<SocketAddress>> addresses(const NameResolver& names,
                                                       const std::string& host_port) {
    return runtime_.run(&NameResolver::addresses, std::cref(names), host_port);
  }
  absl::StatusOr<std::vector<ServiceTarget>> services(const NameResolver& names,
                                                      const std::string& name) {
    return runtime_.run(&NameResolver::services, std::cref(names), name);
  }

  // Destroyed in this order, so that it sees all of them closed.
  const ExpectNoFdLeak check_;
  std::optional<examples::Server> server_;
  Runtime runtime_;
};

std::string text(const std::vector<SocketAddress>& addresses) {
  std::vector<std::string> all;
  for (const SocketAddress& address : addresses) all.push_back(address.to_string());
  std::sort(all.begin(), all.end());
  std::string text;
  for (const std::string& address : all) absl::StrAppend(&text, address, " ");
  return text;
}

TEST_F(NameResolverTest, FindsAddresses) {
  const NameResolver names =
      make(serve("www.example.com. 300 A 127.0.0.1\n"
                 "www.example.com. 300 A 127.0.0.2\n"
                 "www.example.com. 300 AAAA ::1\n"
                 "alias.example.com. 300 CNAME www.example.com.\n"));
  for (const char* name : {"www.example.com:80", "WWW.Example.Com.:80", "alias.example.com:80"}) {
    const auto found = addresses(names, name);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(text(*found), "127.0.0.1:80 127.0.0.2:80 [::1]:80 ") << name;
  }
  EXPECT_EQ(text(addresses(names, "192.0.2.1:53").value()), "192.0.2.1:53 ");
  EXPECT_EQ(text(addresses(names, "[2001:db8::1]:53").value()), "[2001:db8::1]:53 ");
}

TEST_F(NameResolverTest, FindsServicesInTheOrderOfTheirPriority) {
  const NameResolver names =
      make(serve("_kv._tcp.example.com. 300 SRV 20 0 6380 spare.example.com.\n"
                 "_kv._tcp.example.com. 300 SRV 10 0 6379 main.example.com.\n"
                 "_none._tcp.example.com. 300 SRV 0 0 0 .\n"
                 "_odd._tcp.example.com. 300 SRV 0 0 80 a*b.example.com.\n"));
  const auto found = services(names, "_kv._tcp.example.com");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].address(), "main.example.com:6379");
  EXPECT_EQ((*found)[0].priority, 10);
  EXPECT_EQ((*found)[1].address(), "spare.example.com:6380");
  const absl::Status none = services(names, "_none._tcp.example.com").status();
  EXPECT_TRUE(absl::IsNotFound(none)) << none;
  EXPECT_TRUE(absl::StrContains(none.message(), "no such service")) << none;
  const absl::Status odd = services(names, "_odd._tcp.example.com").status();
  EXPECT_TRUE(absl::IsUnavailable(odd)) << odd;
  EXPECT_TRUE(absl::StrContains(odd.message(), "a bad answer: name \"a*b")) << odd;
}

TEST_F(NameResolverTest, WhatIsNotThereIsNotFound) {
  const NameResolver names = make(serve("www.example.com. 300 TXT x\n"));
  for (const char* name : {"missing.example.com:80", "www.example.com:80"}) {
    const absl::Status status = addresses(names, name).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "example.com\": ")) << status;
  }
  EXPECT_TRUE(absl::IsNotFound(services(names, "_kv._tcp.example.com").status()));
  EXPECT_TRUE(absl::IsNotFound(services(names, "www.example.com").status()));
}

TEST_F(NameResolverTest, F53WhatIsNoNameIsRefusedBeforeAnybodyIsAsked) {
  const NameResolver names = make("127.0.0.1:1");
  for (const std::string& bad :
       {std::string(64, 'a') + ":80", std::string("a..b:80"), std::string("a b:80"),
        std::string(":80"), std::string("*:80"), std::string("a.example"),
        std::string("a\0b:80", 6), std::string("unix:/run/x")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(addresses(names, bad).status())) << bad;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(services(names, "").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(services(names, std::string(254, 'a')).status()));
}

TEST_F(NameResolverTest, TheEnvironmentNamesNoAliases) {
  const std::string path = testing::TempDir() + "/aliases";
  std::ofstream(path) << "alias www.example.com\n" << std::flush;
  ASSERT_EQ(::setenv("HOSTALIASES", path.c_str(), 1), 0);
  const NameResolver names = make(serve("www.example.com. 300 A 127.0.0.1\n"));
  EXPECT_TRUE(addresses(names, "www.example.com:80").ok());
  EXPECT_FALSE(addresses(names, "alias:80").ok());
  ASSERT_EQ(::unsetenv("HOSTALIASES"), 0);
}

TEST_F(NameResolverTest, AResolverThatWasMovedFromSaysSo) {
  NameResolver names = make("127.0.0.1:1");
  const NameResolver taken = std::move(names);
  // NOLINTBEGIN(bugprone-use-after-move): that is the point
  for (const char* address : {"www.example.com:80", "192.0.2.1:80"}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(addresses(names, address).status())) << address;
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(services(names, "_kv._tcp.example.com").status()));
  // NOLINTEND(bugprone-use-after-move)
  EXPECT_TRUE(addresses(taken, "192.0.2.1:80").ok());
}

TEST_F(NameResolverTest, WhatIsTooLongForADatagramComesByTcp) {
  std::string records;
  for (int i = 1; i <= 200; ++i) {
    absl::StrAppend(&records, "many.example.com. 300 A 192.0.2.", i, "\n");
  }
  const NameResolver names = make(serve(records));
  const auto found = addresses(names, "many.example.com:80");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->size(), 200u);
}

TEST_F(NameResolverTest, AServerThatSaysNothingOrRefusesIsUnavailable) {
  const SilentServer silent;
  const NameResolver names = make(silent.address(), {.timeout = absl::Milliseconds(1), .tries = 1});
  const absl::Status late = services(names, "_kv._tcp.example.com").status();
  EXPECT_TRUE(absl::IsUnavailable(late)) << late;
  const NameResolver refused = make("127.0.0.1:1", {.tries = 1});
  EXPECT_TRUE(absl::IsUnavailable(services(refused, "_kv._tcp.example.com").status()));
}

TEST_F(NameResolverTest, AStopAndADeadlineEndTheWait) {
  const SilentServer silent;
  const NameResolver names = make(silent.address(), {.timeout = absl::Hours(1)});
  const auto wait = [&]() -> Task<> { co_await names.services("_kv._tcp.example.com"); };
  Job job = runtime_.spawn(wait);
  silent.await();
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
  const auto hurry = [&]() -> Task<> {
    co_await within(absl::Milliseconds(1), names.addresses("www.example.com:80"));
  };
  EXPECT_TRUE(absl::IsDeadlineExceeded(runtime_.run(hurry)));
}

TEST_F(NameResolverTest, LookupsAreLimited) {
  const SilentServer silent;
  const NameResolver names = make(silent.address(), {.timeout = absl::Hours(1), .max_lookups = 2});
  const auto wait = [&]() -> Task<> { co_await names.services("_kv._tcp.example.com"); };
  Job first = runtime_.spawn(wait);
  Job second = runtime_.spawn(wait);
  silent.await();
  silent.await();
  const absl::Status third = services(names, "_kv._tcp.example.com").status();
  EXPECT_TRUE(absl::IsResourceExhausted(third)) << third;
  EXPECT_TRUE(absl::StrContains(third.message(), "max_lookups")) << third;
  first.stop();
  second.stop();
  EXPECT_TRUE(absl::IsCancelled(first.wait()));
  EXPECT_TRUE(absl::IsCancelled(second.wait()));
}

TEST_F(NameResolverTest, TheEndOfTheResolverEndsItsLookups) {
  const SilentServer silent;
  std::optional<NameResolver> names = make(silent.address(), {.timeout = absl::Hours(1)});
  const auto wait = [&]() -> Task<> { co_await names->services("_kv._tcp.example.com"); };
  Job job = runtime_.spawn(wait);
  silent.await();
  names.reset();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

TEST_F(NameResolverTest, AShutdownEndsThem) {
  const SilentServer silent;
  const NameResolver names = make(silent.address(), {.timeout = absl::Hours(1)});
  const auto wait = [&]() -> Task<> { co_await names.services("_kv._tcp.example.com"); };
  Job job = runtime_.spawn(wait);
  silent.await();
  EXPECT_TRUE(runtime_.shutdown(absl::ZeroDuration()).ok());
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

// docs/guide/names.md has this.
epore::Task<epore::Connection> connect_to_service(const epore::NameResolver& names,
                                                  std::string service) {
  absl::Status last;
  const std::vector<epore::ServiceTarget> targets = co_await names.services(service);
  for (const epore::ServiceTarget& target : targets) {
    const auto addresses = co_await names.addresses(target.address()).result();
    last = addresses.status();
    if (!addresses.ok()) continue;
    absl::StatusOr<epore::Connection> peer = co_await epore::connect(*addresses).result();
    if (peer.ok()) co_return *std::move(peer);
    last = peer.status();
  }
  co_return last;
}

// And this.
epore::Task<epore::Connection> connect_by(const epore::NameResolver& names, std::string host_port) {
  const std::vector<epore::SocketAddress> addresses = co_await names.addresses(host_port);
  co_return co_await epore::connect(addresses);
}

TEST_F(NameResolverTest, TheGuideMakesOne) {
  Runtime runtime;
  absl::StatusOr<epore::NameResolver> names = epore::NameResolver::create(runtime);
  EXPECT_TRUE(names.ok()) << names.status();
}

TEST_F(NameResolverTest, ConnectsToAService) {
  const auto greet = [](Connection peer) -> Task<> { co_await peer.write("hello"); };
  const auto listener = runtime_.listen("127.0.0.1:0", greet);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const NameResolver names =
      make(serve(absl::StrCat("_kv._tcp.example.com. 300 SRV 10 0 ", listener->address().port(),
                              " kv.example.com.\n", "kv.example.com. 300 A 127.0.0.1\n")));
  const auto ask = [&]() -> Task<std::string> {
    Connection peer = co_await connect_to_service(names, "_kv._tcp.example.com");
    const ByteView bytes = co_await peer.read();
    co_return std::string(bytes.text());
  };
  EXPECT_EQ(runtime_.run(ask).value_or(""), "hello");
}

// A socket that is bound to an address and does not listen: connects are refused while it lives.
// Invalid if the address is in use. `port` may be 0, and is the one that it has then.
OwnedFd refusing_at(const std::string& host, int& port) {
  OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in own = {};
  own.sin_family = AF_INET;
  own.sin_port = htons(static_cast<std::uint16_t>(port));
  PCHECK(::inet_pton(AF_INET, host.c_str(), &own.sin_addr) == 1);
  auto* const address = reinterpret_cast<sockaddr*>(&own);
  socklen_t size = sizeof own;
  if (::bind(fd.get(), address, size) != 0) return {};
  PCHECK(::getsockname(fd.get(), address, &size) == 0);
  port = ntohs(own.sin_port);
  return fd;
}

// Nobody listens at the first address, or nobody at the second one: the answer has no sequence. The
// others hold their port, as another process may listen there.
TEST_F(NameResolverTest, ConnectsToTheAddressThatAnswers) {
  const auto greet = [](Connection peer) -> Task<> { co_await peer.write("hello"); };
  absl::StatusOr<Listener> listener;
  OwnedFd first;
  OwnedFd third;
  while (!listener.ok()) {
    int port = 0;
    first = refusing_at("127.0.0.1", port);
    third = refusing_at("127.0.0.3", port);
    if (!first.is_valid() || !third.is_valid()) continue;
    listener = runtime_.listen(absl::StrCat("127.0.0.2:", port), greet);
    ASSERT_TRUE(listener.ok() || errno_of(listener.status()) == EADDRINUSE) << listener.status();
  }
  const NameResolver names =
      make(serve("kv.example.com. 300 A 127.0.0.1\n"
                 "kv.example.com. 300 A 127.0.0.2\n"
                 "gone.example.com. 300 A 127.0.0.1\n"
                 "gone.example.com. 300 A 127.0.0.3\n"));
  const auto ask = [&](std::string name) -> Task<std::string> {
    Connection peer =
        co_await connect_by(names, absl::StrCat(name, ":", listener->address().port()));
    const ByteView bytes = co_await peer.read();
    co_return std::string(bytes.text());
  };
  EXPECT_EQ(runtime_.run(ask, "kv.example.com").value_or(""), "hello");
  const absl::Status gone = runtime_.run(ask, "gone.example.com").status();
  EXPECT_TRUE(absl::IsUnavailable(gone)) << gone;
  for (const char* host : {"127.0.0.1", "127.0.0.3"}) {
    const std::string tried =
        absl::StrCat("connect(", host, ":", listener->address().port(), "): ");
    EXPECT_TRUE(absl::StrContains(gone.message(), tried)) << gone;
  }
}

// One channel is asked by several threads at once.
TEST_F(NameResolverTest, ManyAskAtOnce) {
  const NameResolver names =
      make(serve("*.example.com. 300 A 127.0.0.1\n"
                 "_kv._tcp.example.com. 300 SRV 1 1 1 kv.example.com.\n"));
  const auto ask = [&](int number) -> Task<> {
    for (int i = 0; i < 10; ++i) {
      const std::string name = absl::StrCat("n", number, "-", i, ".example.com:80");
      const std::vector<SocketAddress> found = co_await names.addresses(name);
      EXPECT_EQ(text(found), "127.0.0.1:80 ");
      const std::vector<ServiceTarget> targets = co_await names.services("_kv._tcp.example.com");
      EXPECT_EQ(targets.size(), 1u);
    }
  };
  std::vector<Job> jobs;
  for (int i = 0; i < 10; ++i) jobs.push_back(runtime_.spawn(ask, i));
  for (Job& job : jobs) EXPECT_TRUE(job.wait().ok()) << job.wait();
}

TEST_F(NameResolverTest, OptionsAreChecked) {
  const std::pair<NameResolverOptions, const char*> cases[] = {
      {{.timeout = absl::ZeroDuration()}, "timeout is 0, must be from 1ms to 1h"},
      {{.timeout = absl::InfiniteDuration()}, "timeout is inf"},
      {{.tries = 0}, "tries is 0, must be from 1 to 100"},
      {{.max_lookups = 0}, "max_lookups is 0, must be from 1 to 30000"},
      {{.max_lookups = 30'001}, "max_lookups is 30001, must be from 1 to 30000"},
      {{.servers = "nonsense"}, "servers: \"nonsense\": "},
      {{.servers = std::string("127.0.0.1\0x", 11)}, "servers has a zero byte"},
  };
  for (const auto& [options, why] : cases) {
    const absl::Status status = NameResolver::create(runtime_, options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << why;
    EXPECT_TRUE(absl::StrContains(status.message(), why)) << status;
  }
}

}  // namespace
}  // namespace epore
