// What listen() binds, and how it refuses.

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/names_kernel.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

// A machine with names of its own, and without IPv6 if a test says so.
class ListenKernel : public NamesKernel {
 public:
  SysResult socket(int domain, int type, int protocol) override {
    if (domain == AF_INET6 && !has_ipv6) return SysResult::from_errno(EAFNOSUPPORT);
    return NamesKernel::socket(domain, type, protocol);
  }
  SysResult setsockopt(int fd, int level, int name, const void* value, unsigned size) override {
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY) {
      v6_only.push_back(*static_cast<const int*>(value));
    }
    return NamesKernel::setsockopt(fd, level, name, value, size);
  }
  bool has_ipv6 = true;
  std::vector<int> v6_only;  // as it was set
};

class ListenTest : public RuntimeTest {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.kernel = &faults_;
    names_.add("two.example", {"127.0.0.1:0", "127.0.0.2:0"});
    names_.add("both.example", {"127.0.0.1:0", "[::1]:0"});
    names_.add("six.example", {"[::1]:0"});
    return options;
  }

  // The error that listen() gives, after which nothing is open that was not before.
  absl::Status refused(Runtime& runtime, const std::string& address,
                       const ListenOptions& options = {}) {
    const ExpectNoFdLeak check;
    return runtime
        .listen(
            address, [](Connection&) {}, options)
        .status();
  }

  ListenKernel names_;
  FaultKernel faults_{names_};
};

void expect_error(const absl::Status& status, absl::StatusCode code, std::string_view call,
                  std::string_view error) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), call)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), error)) << status;
}

TEST_P(ListenTest, ErrorsNameTheCallAndLeaveNothingOpen) {
  Runtime runtime(options());
  using absl::StatusCode;
  expect_error(refused(runtime, "127.0.0.1"), StatusCode::kInvalidArgument, "127.0.0.1", "PORT");
  expect_error(refused(runtime, "127.0.0.1:port"), StatusCode::kInvalidArgument, "port", "65535");
  expect_error(refused(runtime, "nowhere.example:0"), StatusCode::kNotFound, "nowhere.example", "");
  expect_error(refused(runtime, "192.0.2.1:0"), absl::StatusCode::kNotFound, "bind(192.0.2.1:0)",
               "EADDRNOTAVAIL");
  ListenOptions bad;
  bad.backlog = 0;
  expect_error(refused(runtime, "127.0.0.1:0", bad), StatusCode::kInvalidArgument, "backlog", "0");

  faults_.fail(KernelCall::kResolve, EAI_AGAIN);
  expect_error(refused(runtime, "two.example:0"), StatusCode::kUnavailable, "two.example", "");
  faults_.fail(KernelCall::kSocket, EMFILE);
  expect_error(refused(runtime, "127.0.0.1:0"), StatusCode::kResourceExhausted,
               "socket for 127.0.0.1:0", "EMFILE");
  faults_.fail(KernelCall::kSetsockopt, ENOBUFS);
  expect_error(refused(runtime, "127.0.0.1:0"), StatusCode::kResourceExhausted, "SO_REUSEADDR",
               "ENOBUFS");
  faults_.fail(KernelCall::kBind, EACCES);
  expect_error(refused(runtime, "127.0.0.1:0"), StatusCode::kPermissionDenied, "bind(127.0.0.1:0)",
               "EACCES");
  faults_.fail(KernelCall::kListen, EADDRINUSE);
  expect_error(refused(runtime, "127.0.0.1:0"), absl::StatusCode::kAlreadyExists, "listen(",
               "EADDRINUSE");
}

TEST_P(ListenTest, AnAddressInUseIsRefused) {
  Runtime runtime(options());
  const Listener first = listen_on_loopback(runtime, [](Connection&) {});
  const std::string address = first.address().to_string();
  expect_error(refused(runtime, address), absl::StatusCode::kAlreadyExists, "bind(" + address + ")",
               "EADDRINUSE");
}

// Several reactors share a port among themselves, but not with somebody else.
TEST_P(ListenTest, AnAddressInUseIsRefusedWithSeveralReactors) {
  RuntimeOptions three = options();
  three.reactors = 3;
  Runtime runtime(three);
  const Listener first = listen_on_loopback(runtime, [](Connection&) {});
  const std::string address = first.address().to_string();
  expect_error(refused(runtime, address), absl::StatusCode::kAlreadyExists, "bind(" + address + ")",
               "EADDRINUSE");
}

TEST_P(ListenTest, ReusePortSharesAnAddress) {
  ListenOptions shared;
  shared.reuse_port = true;
  for (const int reactors : {1, 2}) {
    RuntimeOptions several = options();
    several.reactors = reactors;
    Runtime runtime(several);
    const Listener first = listen_on_loopback(
        runtime, [](Connection&) {}, shared);
    const auto second = runtime.listen(
        first.address().to_string(), [](Connection&) {}, shared);
    EXPECT_TRUE(second.ok()) << second.status();
  }
}

TEST_P(ListenTest, SeveralReactorsShareOnePort) {
  constexpr int kClients = 60;
  RuntimeOptions three = options();
  three.reactors = 3;
  absl::Mutex mutex;
  int accepted = 0;
  std::set<int> listeners_used;
  Runtime runtime(three);
  const Listener listener = listen_on_loopback(runtime, [&](Connection&) {
    absl::MutexLock lock(&mutex);
    ++accepted;
  });
  EXPECT_EQ(listener.addresses().size(), 1u);
  EXPECT_EQ(faults_.calls(KernelCall::kListen), 3u);
  faults_.before(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
    absl::MutexLock lock(&mutex);
    listeners_used.insert(call.fd);
  });
  std::vector<Peer> peers;
  while (peers.size() < kClients) peers.emplace_back(listener.address());
  absl::MutexLock lock(&mutex);
  const auto all = [&] { return accepted == kClients; };
  mutex.Await(absl::Condition(&all));
  // The system spreads them by a hash: that all go to one of three is beyond belief.
  EXPECT_GT(listeners_used.size(), 1u);
}

TEST_P(ListenTest, SeveralAddressesGetTheSamePort) {
  for (const int reactors : {1, 2}) {
    RuntimeOptions several = options();
    several.reactors = reactors;
    Runtime runtime(several);
    const auto listener = runtime.listen("two.example:0", [](Connection& c) { c.close(); });
    ASSERT_TRUE(listener.ok()) << listener.status();
    const std::vector<SocketAddress> addresses = listener->addresses();
    ASSERT_EQ(addresses.size(), 2u);
    EXPECT_EQ(addresses[0], listener->address());
    EXPECT_NE(addresses[0].port(), 0);
    EXPECT_EQ(addresses[0].port(), addresses[1].port());
    for (const SocketAddress& address : addresses) {
      Peer peer(address);
      EXPECT_EQ(peer.end(), 0);
    }
  }
}

// The port that the first address got may be taken for the second: then another one is tried.
TEST_P(ListenTest, APortThatOnlySomeAddressesHaveIsNotKept) {
  Runtime runtime(options());
  faults_.fail(KernelCall::kBind, EADDRINUSE, 2);
  auto listener = runtime.listen("two.example:0", [](Connection&) {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(listener->addresses().size(), 2u);
  EXPECT_EQ(faults_.calls(KernelCall::kBind), 4u);
  // Not for ever.
  faults_.fail(KernelCall::kBind, EADDRINUSE, 1, FaultKernel::kAlways);
  EXPECT_EQ(refused(runtime, "two.example:0").code(), absl::StatusCode::kAlreadyExists);
}

// The same whatever net.ipv6.bindv6only says: a test cannot set it, but sees that each socket is
// told.
TEST_P(ListenTest, WhatTheAnyAddressesBindIsDefined) {
  struct {
    const char* text;
    std::vector<std::string> bound;
    bool takes_ipv4;
    bool takes_ipv6;
  } const cases[] = {{"0.0.0.0:0", {"0.0.0.0"}, true, false},
                     {"[::]:0", {"[::]"}, true, true},
                     {":0", {"0.0.0.0", "[::]"}, true, true},
                     {"*:0", {"0.0.0.0", "[::]"}, true, true}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Runtime runtime(options());
    names_.v6_only.clear();
    std::atomic<bool> is_mapped{false};
    const auto listener = runtime.listen(c.text, [&](Connection& accepted) {
      const SocketAddress peer = accepted.peer_address();
      is_mapped = peer != peer.unmapped();
      accepted.close();
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    std::vector<std::string> bound;
    for (const SocketAddress& address : listener->addresses()) {
      const std::string text = address.to_string();
      bound.push_back(text.substr(0, text.rfind(':')));
    }
    EXPECT_EQ(bound, c.bound);
    EXPECT_EQ(names_.v6_only,
              c.takes_ipv6 ? std::vector<int>{c.bound.size() > 1} : std::vector<int>());
    const auto connects_to = [&](const char* host) {
      const SocketAddress to =
          SocketAddress::parse(std::string(host) + ":0")->with_port(listener->address().port());
      const OwnedFd fd(::socket(to.is_ipv6() ? AF_INET6 : AF_INET, SOCK_STREAM, 0));
      if (::connect(fd.get(), to.data(), to.size()) != 0) return false;
      char byte;
      return ::recv(fd.get(), &byte, 1, 0) == 0;
    };
    EXPECT_EQ(connects_to("127.0.0.1"), c.takes_ipv4);
    EXPECT_EQ(is_mapped, c.bound == std::vector<std::string>{"[::]"});
    EXPECT_EQ(connects_to("[::1]"), c.takes_ipv6);
  }
}

TEST_P(ListenTest, TheAnyAddressesNeedNoNameService) {
  Runtime runtime(options());
  absl::Notification done;
  ASSERT_TRUE(runtime
                  .post([&] {
                    EXPECT_TRUE(runtime.listen(":0", [](Connection&) {}).ok());
                    EXPECT_TRUE(runtime.listen("*:0", [](Connection&) {}).ok());
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  EXPECT_EQ(faults_.calls(KernelCall::kResolve), 0u);
}

TEST_P(ListenTest, WithoutIpv6NoHostIsIpv4) {
  names_.has_ipv6 = false;
  Runtime runtime(options());
  const auto listener = runtime.listen(":0", [](Connection&) {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(listener->addresses().size(), 1u);
}

// A scope that is not there is no name to be looked up.
TEST_P(ListenTest, ABadScopeIsRefusedAsSuch) {
  Runtime runtime(options());
  for (const char* text : {"[::1% 1]:0", "[::1%]:0", "[::1%nosuch]:0"}) {
    expect_error(refused(runtime, text), absl::StatusCode::kInvalidArgument, "no interface", text);
  }
  EXPECT_EQ(faults_.calls(KernelCall::kResolve), 0u);
}

TEST_P(ListenTest, AnAddressThatThisMachineCannotHaveIsLeftOut) {
  Runtime runtime(options());
  names_.has_ipv6 = false;
  const auto listener = runtime.listen("both.example:0", [](Connection&) {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  ASSERT_EQ(listener->addresses().size(), 1u);
  EXPECT_TRUE(listener->address().is_ipv4());
  expect_error(refused(runtime, "six.example:0"), absl::ErrnoToStatusCode(EAFNOSUPPORT), "[::1]:0",
               "EAFNOSUPPORT");
  names_.has_ipv6 = true;
  faults_.fail(KernelCall::kBind, EADDRNOTAVAIL);
  const auto second = runtime.listen("two.example:0", [](Connection&) {});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->addresses().size(), 1u);
}

// What is wrong with one address is not taken for what was wrong with the one before.
TEST_P(ListenTest, OtherErrorsOfALaterAddressAreErrors) {
  Runtime runtime(options());
  faults_.fail(KernelCall::kBind, EADDRNOTAVAIL);
  faults_.fail(KernelCall::kSocket, EMFILE, 2);
  expect_error(refused(runtime, "two.example:0"), absl::StatusCode::kResourceExhausted, "socket",
               "EMFILE");
  faults_.fail(KernelCall::kBind, EADDRNOTAVAIL);
  faults_.fail(KernelCall::kListen, ENOBUFS);
  expect_error(refused(runtime, "two.example:0"), absl::StatusCode::kResourceExhausted, "listen(",
               "ENOBUFS");
}

TEST_P(ListenTest, ANameFromACallbackIsRefusedAsItWouldBlock) {
  absl::Notification done;
  Runtime runtime(options());
  ASSERT_TRUE(runtime
                  .post([&] {
                    EXPECT_EQ(refused(runtime, "two.example:0").code(),
                              absl::StatusCode::kFailedPrecondition);
                    EXPECT_TRUE(runtime.listen("127.0.0.1:0", [](Connection&) {}).ok());
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  EXPECT_EQ(faults_.calls(KernelCall::kResolve), 0u);
}

TEST_P(ListenTest, AfterTheShutdownItIsRefused) {
  Runtime runtime(options());
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(refused(runtime, "127.0.0.1:0").code(), absl::StatusCode::kFailedPrecondition);
  const absl::Status status = refused(runtime, "\x1b" + std::string(100'000, 'x'));
  EXPECT_LT(status.message().size(), 250u);
  EXPECT_TRUE(absl::StrContains(status.message(), "\\x1b")) << status;
}

// Whoever waits for the close has the port at once.
TEST_P(ListenTest, AfterCloseAndWaitThePortIsFree) {
  RuntimeOptions two = options();
  two.reactors = 2;
  Runtime runtime(two);
  Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  const std::string address = listener.address().to_string();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(listener.close_and_wait().ok());
    absl::StatusOr<Listener> again = runtime.listen(address, [](Connection&) {});
    ASSERT_TRUE(again.ok()) << again.status();
    listener = *again;
  }
  EXPECT_EQ(Listener().close_and_wait().code(), absl::StatusCode::kFailedPrecondition);
  Listener copy = listener;
  copy.close();
  EXPECT_TRUE(listener.close_and_wait().ok());
  EXPECT_TRUE(copy.close_and_wait().ok()) << "again: nothing";
}

TEST_P(ListenTest, CloseAndWaitFromACallbackIsRefused) {
  absl::Notification done;
  Runtime runtime(options());
  Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  ASSERT_TRUE(runtime
                  .post([&] {
                    EXPECT_EQ(listener.close_and_wait().code(),
                              absl::StatusCode::kFailedPrecondition);
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  const Peer peer(listener.address());  // it is open still
}

TEST_P(ListenTest, CloseAndWaitAsTheRuntimeEndsAndAfterIt) {
  for (int round = 0; round < 10; ++round) {
    Runtime runtime(options());
    Listener listener = listen_on_loopback(runtime, [](Connection&) {});
    std::thread closer([listener]() mutable { EXPECT_TRUE(listener.close_and_wait().ok()); });
    EXPECT_TRUE(runtime.shutdown().ok());
    closer.join();
    EXPECT_TRUE(listener.close_and_wait().ok());
  }
}

TEST_P(ListenTest, ErrorsCarryTheirErrno) {
  Runtime runtime(options());
  const Listener first = listen_on_loopback(runtime, [](Connection&) {});
  EXPECT_EQ(errno_of(refused(runtime, first.address().to_string())), EADDRINUSE);
  EXPECT_EQ(errno_of(refused(runtime, "192.0.2.1:0")), EADDRNOTAVAIL);
  EXPECT_EQ(errno_of(refused(runtime, "no address")), 0);
}

TEST_P(ListenTest, ARuntimeThatCouldNotStartSaysWhy) {
  RuntimeOptions bad = options();
  bad.reactors = 0;
  Runtime runtime(bad);
  EXPECT_EQ(refused(runtime, "127.0.0.1:0"), runtime.status());
  EXPECT_EQ(runtime.status().code(), absl::StatusCode::kInvalidArgument);
}

// The event queue refuses the second of two sockets: neither stays open.
TEST_P(ListenTest, AListenerThatCannotBeRegisteredIsClosed) {
  for (const int k : {1, 2}) {
    Runtime runtime(options());
    const KernelCall registering =
        GetParam().selector == "epoll" ? KernelCall::kEpollCtl : KernelCall::kFstat;
    faults_.fail(registering, ENOMEM, k);
    const auto listener = runtime.listen("two.example:0", [](Connection&) {});
    EXPECT_EQ(listener.status().code(), absl::StatusCode::kResourceExhausted) << listener.status();
    EXPECT_TRUE(runtime.shutdown().ok());  // the sockets are closed on the poll thread
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ListenTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
