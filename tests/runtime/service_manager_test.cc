// Runtime::run_service(): what it tells the service manager. The test has the manager's socket.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"

namespace epore {
namespace {

using absl::StatusCode;

// A service manager's socket, and the environment of a service that it has started.
class Manager {
 public:
  explicit Manager(const std::string& name) : name_(name) {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    CHECK_LT(name.size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    fd_ = OwnedFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    PCHECK(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~Manager() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
    if (name_[0] != '@') ::unlink(name_.c_str());
  }

  std::string receive() {
    char text[256];
    const ssize_t size = ::recv(fd_.get(), text, sizeof text, 0);
    return size < 0 ? "" : std::string(text, static_cast<std::size_t>(size));
  }
  bool has_one() {
    char text[1];
    return ::recv(fd_.get(), text, sizeof text, MSG_DONTWAIT | MSG_PEEK) >= 0;
  }
  void close() { fd_.reset(); }

 private:
  std::string name_;
  OwnedFd fd_;
};

// The folder of a test may have too long a path for a socket.
std::string socket_path() { return absl::StrCat("/tmp/epore-notify-", ::getpid()); }

class ServiceManagerTest : public RuntimeTest {
 protected:
  absl::Status status_of_service() {
    Runtime runtime(options());
    runtime.request_shutdown();
    return runtime.run_service();
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, ServiceManagerTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(ServiceManagerTest, IsToldThatTheServiceIsReadyAndThatItStops) {
  for (const std::string& name : {socket_path(), absl::StrCat("@epore-notify-", ::getpid())}) {
    Manager manager(name);
    Runtime runtime(options());
    std::thread service([&] { EXPECT_TRUE(runtime.run_service().ok()); });
    EXPECT_EQ(manager.receive(), "READY=1");
    EXPECT_FALSE(manager.has_one());
    runtime.request_shutdown();
    EXPECT_EQ(manager.receive(), "STOPPING=1");
    service.join();
    EXPECT_FALSE(manager.has_one());
  }
}

TEST_P(ServiceManagerTest, WhereNobodyAsksItIsRunUntilSignal) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(status_of_service().ok());
  EXPECT_EQ(kernel_.calls(KernelCall::kConnect), 0u);
}

TEST_P(ServiceManagerTest, TheWatchdogHearsOfARuntimeThatLives) {
  Manager manager(socket_path());
  ::setenv("WATCHDOG_USEC", "20000000", 1);
  ::setenv("WATCHDOG_PID", absl::StrCat(::getpid()).c_str(), 1);
  ClockKernel clock;
  RuntimeOptions with_clock = options();
  with_clock.kernel = &clock;
  Runtime runtime(with_clock);
  std::thread service([&] { EXPECT_TRUE(runtime.run_service().ok()); });
  EXPECT_EQ(manager.receive(), "READY=1");
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(manager.has_one());
    clock.advance(absl::Seconds(10));
    EXPECT_EQ(manager.receive(), "WATCHDOG=1");
  }
  runtime.request_shutdown();
  EXPECT_EQ(manager.receive(), "STOPPING=1");
  service.join();
}

TEST_P(ServiceManagerTest, AWatchdogThatIsMeantForAnotherProcessHearsNothing) {
  Manager manager(socket_path());
  ::setenv("WATCHDOG_USEC", "20000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  ClockKernel clock;
  RuntimeOptions with_clock = options();
  with_clock.kernel = &clock;
  Runtime runtime(with_clock);
  std::thread service([&] { EXPECT_TRUE(runtime.run_service().ok()); });
  EXPECT_EQ(manager.receive(), "READY=1");
  clock.advance(absl::Seconds(100));
  fence(runtime);
  runtime.request_shutdown();
  EXPECT_EQ(manager.receive(), "STOPPING=1");
  service.join();
}

TEST_P(ServiceManagerTest, WhatMakesNoSenseIsAnError) {
  Manager manager(socket_path());
  for (const char* name : {"relative", "vsock:2:1", "@"}) {
    ::setenv("NOTIFY_SOCKET", name, 1);
    const absl::Status status = status_of_service();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "neither an absolute path")) << status;
  }
  ::setenv("NOTIFY_SOCKET", socket_path().c_str(), 1);
  for (const char* time : {"", "x", "0", "-1", "99999999999999999999"}) {
    ::setenv("WATCHDOG_USEC", time, 1);
    const absl::Status status = status_of_service();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "WATCHDOG_USEC is")) << status;
  }
}

TEST_P(ServiceManagerTest, CallsThatAreRefusedAreErrorsBeforeItWaits) {
  Manager manager(socket_path());
  kernel_.fail(KernelCall::kSocket, EMFILE);
  EXPECT_EQ(errno_of(status_of_service()), EMFILE);
  kernel_.fail(KernelCall::kConnect, EACCES);
  EXPECT_EQ(errno_of(status_of_service()), EACCES);
  kernel_.fail(KernelCall::kSend, ENOBUFS);
  EXPECT_EQ(errno_of(status_of_service()), ENOBUFS);
  manager.close();
  EXPECT_EQ(errno_of(status_of_service()), ECONNREFUSED);
}

TEST_P(ServiceManagerTest, AQueueThatStaysFullIsAnError) {
  Manager manager(socket_path());
  kernel_.use_manual_clock();
  kernel_.fail(KernelCall::kSend, EAGAIN, 1, FaultKernel::kAlways);
  kernel_.before(KernelCall::kPoll,
                 [this](const FaultKernel::Call&) { kernel_.advance(absl::Seconds(3)); });
  RuntimeOptions one = options();
  one.selector = "epoll";  // the other engine polls as well
  Runtime runtime(one);
  const absl::Status status = runtime.run_service();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "READY=1: its queue is full")) << status;
}

}  // namespace
}  // namespace epore
