// Listening at the sockets that a service manager has opened.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

using absl::StatusCode;

// Has the descriptors as 3, 4, ..., and the environment of a service, while it lives. What the
// numbers named before comes back.
class Inheritance {
 public:
  Inheritance(std::vector<OwnedFd> fds, const std::string& names) {
    std::vector<int> sources;
    for (OwnedFd& fd : fds) {
      sources.push_back(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 100));
      PCHECK(sources.back() >= 0);
      fd.reset();
    }
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const int number = kFirst + static_cast<int>(i);
      saved_.push_back(::fcntl(number, F_DUPFD_CLOEXEC, 100));  // -1: it named nothing
      PCHECK(::dup2(sources[i], number) == number);             // not close-on-exec
      ::close(sources[i]);
    }
    set("LISTEN_PID", absl::StrCat(::getpid()));
    set("LISTEN_FDS", absl::StrCat(sources.size()));
    set("LISTEN_FDNAMES", names);
  }
  ~Inheritance() {
    for (std::size_t i = 0; i < saved_.size(); ++i) {
      const int number = kFirst + static_cast<int>(i);
      if (saved_[i] < 0) {
        ::close(number);
      } else {
        PCHECK(::dup3(saved_[i], number, O_CLOEXEC) == number);
        ::close(saved_[i]);
      }
    }
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  }

  void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  static constexpr int kFirst = 3;

 private:
  std::vector<int> saved_;
};

template <typename... Fds>
std::vector<OwnedFd> list(Fds... fds) {
  std::vector<OwnedFd> all;
  (all.push_back(std::move(fds)), ...);
  return all;
}

Task<> echo(Connection peer) {
  while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

void expect_echo(Peer& peer) {
  peer.send("x");
  EXPECT_EQ(peer.receive(1), "x");
}

class InheritedTest : public RuntimeTest {
 protected:
  absl::Status refused(Runtime& runtime, const std::string& address) {
    const ExpectNoFdLeak check;
    return runtime.listen(address, echo).status();
  }
};

void expect_error(const absl::Status& status, StatusCode code, std::string_view part) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

TEST_P(InheritedTest, AllOfThemOrThoseWithAName) {
  TcpPort web = tcp_listener();
  TcpPort admin = tcp_listener();
  const std::string web_address = absl::StrCat("127.0.0.1:", web.port);
  const std::string admin_address = absl::StrCat("127.0.0.1:", admin.port);
  Inheritance inheritance(list(std::move(web.fd), std::move(admin.fd)), "web:admin");
  for (const int reactors : {1, 3}) {
    RuntimeOptions some = options();
    some.reactors = reactors;
    Runtime runtime(some);
    auto all = runtime.listen("inherited:", echo);
    ASSERT_TRUE(all.ok()) << all.status();
    ASSERT_EQ(all->addresses().size(), 2u);
    EXPECT_EQ(all->addresses()[0].to_string(), web_address);
    EXPECT_EQ(all->addresses()[1].to_string(), admin_address);
    for (const SocketAddress& address : all->addresses()) {
      Peer peer(address);
      expect_echo(peer);
    }
    EXPECT_TRUE(all->close_and_wait().ok());
    const auto one = runtime.listen("inherited:admin", echo);
    ASSERT_TRUE(one.ok()) << one.status();
    ASSERT_EQ(one->addresses().size(), 1u);
    EXPECT_EQ(one->address().to_string(), admin_address);
  }
}

TEST_P(InheritedTest, ClientsWaitWhileNobodyListens) {
  TcpPort port = tcp_listener();
  Inheritance inheritance(list(std::move(port.fd)), "x");
  Runtime runtime(options());
  auto first = runtime.listen("inherited:", echo);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->close_and_wait().ok());
  Peer waits(first->address());
  const auto second = runtime.listen("inherited:", echo);
  ASSERT_TRUE(second.ok()) << second.status();
  expect_echo(waits);
}

TEST_P(InheritedTest, ChildrenDoNotInheritThem) {
  TcpPort port = tcp_listener();
  Inheritance inheritance(list(std::move(port.fd)), "x");
  EXPECT_EQ(::fcntl(Inheritance::kFirst, F_GETFD), 0);
  Runtime runtime(options());
  ASSERT_TRUE(runtime.listen("inherited:", echo).ok());
  EXPECT_EQ(::fcntl(Inheritance::kFirst, F_GETFD), FD_CLOEXEC);
}

TEST_P(InheritedTest, WhatWasNotInheritedIsNotFound) {
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  {
    Runtime runtime(options());
    expect_error(refused(runtime, "inherited:"), StatusCode::kNotFound, "LISTEN_FDS are not set");
  }
  TcpPort port = tcp_listener();
  Inheritance inheritance(list(std::move(port.fd)), "web");
  Runtime runtime(options());
  expect_error(refused(runtime, "inherited:admin"), StatusCode::kNotFound,
               "\"inherited:admin\": none of the 1 inherited sockets has this name");
  inheritance.set("LISTEN_PID", "1");
  expect_error(refused(runtime, "inherited:"), StatusCode::kNotFound, "LISTEN_PID is 1, and");
  inheritance.set("LISTEN_PID", absl::StrCat(::getpid()));
  for (const char* count : {"", "x", "-1", "99999999999"}) {
    inheritance.set("LISTEN_FDS", count);
    expect_error(refused(runtime, "inherited:"), StatusCode::kInvalidArgument, "LISTEN_FDS is");
  }
}

TEST_P(InheritedTest, WhatDoesNotListenIsRefused) {
  SocketPair pair = unix_pair();
  Pipe pipe = make_pipe();
  OwnedFd datagram(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  Inheritance inheritance(list(std::move(pair.a), std::move(pipe.reader), std::move(datagram)),
                          "pair:pipe:udp");
  Runtime runtime(options());
  for (const char* name : {"inherited:pair", "inherited:udp"}) {
    expect_error(refused(runtime, name), StatusCode::kInvalidArgument,
                 "is no stream socket that listens");
  }
  const absl::Status no_socket = refused(runtime, "inherited:pipe");
  EXPECT_TRUE(absl::StrContains(no_socket.message(), "inherited descriptor 4: ENOTSOCK"))
      << no_socket;
}

TEST_P(InheritedTest, ASocketOfTheProgramsIsListenedAtByADuplicate) {
  TcpPort port = tcp_listener();
  const std::string address = absl::StrCat("fd://", port.fd.get());
  Runtime runtime(options());
  auto first = runtime.listen(address, echo);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->address().port(), port.port);
  EXPECT_TRUE(first->close_and_wait().ok());
  const auto second = runtime.listen(address, echo);
  ASSERT_TRUE(second.ok()) << second.status();
  port.fd.reset();
  Peer peer(second->address());
  expect_echo(peer);
}

TEST_P(InheritedTest, ANumberOfAnythingElseIsRefused) {
  const SocketPair pair = unix_pair();
  const Pipe pipe = make_pipe();
  Runtime runtime(options());
  for (const char* address : {"fd://", "fd://x", "fd://-1", "fd://99999999999"}) {
    expect_error(refused(runtime, address), StatusCode::kInvalidArgument,
                 absl::StrCat("\"", address, "\": this is no number of a descriptor"));
  }
  expect_error(refused(runtime, absl::StrCat("fd://", pair.a.get())), StatusCode::kInvalidArgument,
               absl::StrCat("the descriptor ", pair.a.get(), " is no stream socket that listens"));
  const absl::Status no_socket = refused(runtime, absl::StrCat("fd://", pipe.reader.get()));
  EXPECT_TRUE(absl::StrContains(no_socket.message(), "ENOTSOCK")) << no_socket;
  expect_error(refused(runtime, "fd://999999"), StatusCode::kFailedPrecondition,
               "for the descriptor 999999: EBADF");
}

TEST_P(InheritedTest, CallsThatAreRefusedAreErrors) {
  TcpPort port = tcp_listener();
  Inheritance inheritance(list(std::move(port.fd)), "web");
  Runtime runtime(options());
  for (int k = 1; k <= 2; ++k) {
    kernel_.fail(KernelCall::kGetsockopt, ENOBUFS, k);
    expect_error(refused(runtime, "inherited:"), StatusCode::kResourceExhausted, "getsockopt(SO_");
  }
  for (int k = 1; k <= 4; ++k) {  // F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
    kernel_.fail(KernelCall::kFcntl, EMFILE, k);
    expect_error(refused(runtime, "inherited:"), StatusCode::kResourceExhausted, "fcntl(F_");
  }
  kernel_.fail(KernelCall::kGetsockname, ENOBUFS);
  expect_error(refused(runtime, "inherited:"), StatusCode::kInvalidArgument, "no socket of IPv4");
  EXPECT_TRUE(runtime.listen("inherited:", echo).ok());
}

INSTANTIATE_TEST_SUITE_P(Everywhere, InheritedTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
