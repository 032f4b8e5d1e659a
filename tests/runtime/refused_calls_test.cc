// A system that refuses a call for ever, as a seccomp filter or an old kernel does: what a program
// sees of it, call by call. Nothing crashes, hangs or spins; most calls have another way.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/silent_port.h"
#include "tests/support/refused_call.h"

namespace epore {
namespace {

// One round of all that a service does: start, listen, connect, echo, close, shut down. Tells what
// went wrong first, or "ok".
std::string use(Kernel& kernel, const std::string& selector) {
  std::string result = "ok";
  absl::Notification over;
  RuntimeOptions options;
  options.workers = 2;
  options.selector = selector;
  options.kernel = &kernel;
  options.drain_timeout = absl::InfiniteDuration();
  Runtime runtime(options);
  if (!runtime.status().ok()) return "Runtime: " + std::string(runtime.status().message());
  const auto listener = runtime.listen("127.0.0.1:0", [](Connection& accepted) {
    accepted.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
  });
  if (!listener.ok()) return "listen: " + std::string(listener.status().message());
  runtime.connect(
      "127.0.0.1:" + std::to_string(listener->address().port()),
      [&](absl::StatusOr<Connection> connection) {
        if (!connection.ok()) {
          result = "connect: " + std::string(connection.status().message());
          over.Notify();
          return;
        }
        connection->on_data([](Connection& c, std::span<const std::byte>) { c.close(); });
        connection->on_closed([&](Connection&, const absl::Status& why) {
          if (!why.ok()) result = "closed: " + std::string(why.message());
          over.Notify();
        });
        connection->send("?");
      });
  over.WaitForNotification();
  return result;
}

TEST(RefusedCallsTest, EachHasItsAnswer) {
  struct Row {
    KernelCall call;
    std::vector<int> errors;
    std::string_view answer;  // "ok" or how the error begins
    std::string selector = "epoll";
  };
  const Row rows[] = {
      // Calls that have another way.
      {KernelCall::kEpollCreate, {ENOSYS, EPERM, EACCES, EINVAL, EOPNOTSUPP}, "ok", ""},
      {KernelCall::kPoll, {EINVAL, ENOSYS, EPERM, ENOMEM}, "ok", "poll"},
      {KernelCall::kIoUringSetup,
       {EPERM, EACCES, ENOSYS, ENOMEM, EINVAL, EMFILE},
       "ok",
       "io_uring"},
      {KernelCall::kIoUringEnter, {EPERM, EACCES, ENOSYS, ENOMEM}, "ok", "io_uring"},
      {KernelCall::kIoUringRegister, {EPERM, EACCES, ENOSYS, EINVAL}, "ok", "io_uring"},
      {KernelCall::kMmap, {EPERM, ENOMEM}, "ok", "io_uring"},
      {KernelCall::kSetScheduler, {ENOSYS, EPERM, EINVAL}, "ok"},
      {KernelCall::kGetpeername, {ENOSYS, EPERM, ENOBUFS}, "ok"},
      {KernelCall::kClose, {EIO, EINTR}, "ok"},
      // Calls that have none: what needs them says so.
      {KernelCall::kEpollCreate, {ENOSYS, EPERM}, "Runtime: epoll_create1"},
      {KernelCall::kEventfd, {ENOSYS, EPERM, EMFILE}, "Runtime: eventfd"},
      {KernelCall::kEventfd, {ENOSYS, EPERM, EMFILE}, "Runtime: eventfd", "poll"},
      {KernelCall::kEpollCtl, {EPERM, ENOMEM, ENOSPC}, "Runtime: "},
      {KernelCall::kFstat, {ENOSYS, EPERM}, "Runtime: ", "poll"},
      {KernelCall::kThreadStart, {EAGAIN, EPERM}, "Runtime: starting"},
      {KernelCall::kSocket, {EPERM, EACCES, ENOSYS, EMFILE}, "listen: socket"},
      {KernelCall::kSetsockopt, {EPERM, ENOPROTOOPT, ENOBUFS}, "listen: setsockopt"},
      {KernelCall::kBind, {EPERM, EACCES, ENOSYS}, "listen: bind"},
      {KernelCall::kListen, {EPERM, EOPNOTSUPP}, "listen: listen"},
      {KernelCall::kGetsockname, {EPERM, ENOBUFS}, "listen: getsockname"},  // of port 0
      {KernelCall::kConnect, {EPERM, EACCES, ENOSYS}, "connect: connect"},
      {KernelCall::kGetsockopt, {EPERM, ENOSYS}, "connect: connect"},
      {KernelCall::kRecv, {EPERM, ENOSYS, EIO}, "closed: recv"},
      {KernelCall::kSend, {EPERM, ENOSYS}, "closed: send"},
      {KernelCall::kShutdown, {EPERM, ENOSYS}, "closed: shutdown"},
  };
  for (const Row& row : rows) {
    for (const int error : row.errors) {
      SCOPED_TRACE(std::string(kernel_call_name(row.call)) + " " + strerrorname_np(error));
      FaultKernel kernel;
      kernel.fail(row.call, error, 1, FaultKernel::kAlways);
      const std::string answer = use(kernel, row.selector);
      EXPECT_EQ(answer.substr(0, row.answer.size()), row.answer) << answer;
      kernel.fail(row.call, 0);  // for what is left to be closed
    }
  }
}

// Nobody says then whether the socket is connected.
TEST(RefusedCallsTest, ASilentAddressIsNotTakenForAConnectionWithoutGetpeername) {
  const SilentPort silent;
  FaultKernel kernel;
  kernel.fail(KernelCall::kGetpeername, EPERM, 1, FaultKernel::kAlways);
  RuntimeOptions options;
  options.kernel = &kernel;
  absl::Status told;
  absl::Notification over;
  Runtime runtime(options);
  runtime.connect(silent.address(),
                  [&](const absl::StatusOr<Connection>& connection) {
                    told = connection.status();
                    over.Notify();
                  },
                  {.timeout = absl::Milliseconds(20)});
  over.WaitForNotification();
  EXPECT_TRUE(absl::IsDeadlineExceeded(told)) << told;
}

// A container refuses io_uring. The runtime goes on with epoll, and says which and why.
TEST(RefusedCallsTest, AnEngineThatIsRefusedIsReplacedAndNamed) {
  for (const int error : {EPERM, EACCES, ENOSYS, ENOMEM}) {
    SCOPED_TRACE(strerrorname_np(error));
    FaultKernel kernel;
    kernel.fail(KernelCall::kIoUringSetup, error, 1, FaultKernel::kAlways);
    RuntimeOptions options;
    options.kernel = &kernel;
    options.selector = "io_uring";
    options.reactors = 2;
    {
      Runtime runtime(options);
      ASSERT_TRUE(runtime.status().ok()) << runtime.status();
      const Counters counters = runtime.counters();
      EXPECT_EQ(counters.selector, "epoll");
      EXPECT_EQ(counters.selector_reason.find("io_uring_setup: "), 0u) << counters.selector_reason;
      EXPECT_NE(counters.selector_reason.find(strerrorname_np(error)), std::string::npos);
      EXPECT_EQ(kernel.calls(KernelCall::kIoUringSetup), 1u);
    }
    options.require_selector = true;
    const Runtime strict(options);
    EXPECT_EQ(strict.status().message().find("io_uring_setup: "), 0u) << strict.status();
  }
  const Runtime usual;
  EXPECT_EQ(usual.counters().selector, "epoll");
  EXPECT_EQ(usual.counters().selector_reason, "");
}

// The same by the system itself: a filter, and no memory that may be locked.
int serves_with_io_uring(int error) {
  if (error != 0 && !refuse_call(SYS_io_uring_setup, error)) return 0;  // no filters here
  const rlimit none = {0, 0};
  if (::setrlimit(RLIMIT_MEMLOCK, &none) != 0) return 2;
  return use(Kernel::real(), "io_uring") == "ok" ? 0 : 3;
}

TEST(RefusedCallsTest, AFilterOrAMemoryLimitIsNoReasonNotToServe) {
  for (const int error : {0, EPERM, ENOSYS, ENOMEM}) {
    EXPECT_EXIT({ ::_exit(serves_with_io_uring(error)); }, testing::ExitedWithCode(0), "") << error;
  }
}

TEST(RefusedCallsTest, EpollPwait2HasAnotherWayWhateverTheErrno) {
  for (const int error : {ENOSYS, EPERM, EACCES, EINVAL, EOPNOTSUPP, EIO, EFAULT}) {
    FaultKernel kernel;
    kernel.hide_epoll_pwait2(error);
    EXPECT_EQ(use(kernel, "epoll"), "ok") << strerrorname_np(error);
  }
}

// A wait for events that is refused now and then is no reason to end.
TEST(RefusedCallsTest, AWaitThatFailsIsTriedAgain) {
  for (const char* selector : {"epoll", "poll", "io_uring"}) {
    FaultKernel kernel;
    kernel.fail(KernelCall::kIoUringEnter, ENOMEM, 3, 5);  // the first is no wait
    kernel.fail(KernelCall::kEpollWait, ENOMEM, 1, 5);
    kernel.fail(KernelCall::kPoll, ENOMEM, 1, FaultKernel::kAlways);
    kernel.fail(KernelCall::kSelect, ENOMEM, 1, 5);
    EXPECT_EQ(use(kernel, selector), "ok") << selector;
  }
}

TEST(RefusedCallsTest, RunUntilSignalWaitsWithoutPollAndSelect) {
  FaultKernel kernel;
  kernel.fail(KernelCall::kPoll, EPERM, 1, FaultKernel::kAlways);
  kernel.fail(KernelCall::kSelect, EPERM, 1, FaultKernel::kAlways);
  RuntimeOptions options;
  options.selector = "epoll";
  options.kernel = &kernel;
  Runtime runtime(options);
  kernel.before(KernelCall::kSelect, [&](const FaultKernel::Call& call) {
    if (call.nth == 1) runtime.request_shutdown();
  });
  EXPECT_TRUE(runtime.run_until_signal().ok());
}

// Serves two connections: one ends before the shutdown, and one in it. With `limit`, no descriptor
// can be opened once they are there.
int serves_two(const std::string& selector, bool has_limit) {
  Observer early;
  Observer late;
  RuntimeOptions options;
  options.selector = selector;
  Runtime runtime(options);
  for (Observer* observer : {&early, &late}) {
    observer->when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  }
  Link first = open_link(runtime, early);
  Link second = open_link(runtime, late);
  if (!runtime.catch_signals().ok()) return 1;
  for (Link* link : {&first, &second}) {
    if (!link->listener.close_and_wait().ok()) return 2;
  }
  const rlimit none = {0, 0};
  if (has_limit && ::setrlimit(RLIMIT_NOFILE, &none) != 0) return 3;
  for (int i = 0; i < 100; ++i) {
    for (Link* link : {&first, &second}) {
      link->peer.send("?");
      if (link->peer.receive(1) != "?") return 4;
    }
  }
  first.peer.close();
  if (!early.await_closed().ok()) return 5;
  std::thread last([&] {
    second.peer.receive_all();
    second.peer.close();
  });
  ::kill(::getpid(), SIGTERM);
  const bool is_ok = runtime.run_until_signal().ok();
  last.join();
  return is_ok ? 0 : 6;
}

// The limit is lowered below what is open: there is nothing new, and what is there goes on.
int serves_at_limit_zero(const std::string& selector) {
  // UBSan needs descriptors for its first look at a type, so it gets that look without the limit.
  if (const int failed = serves_two(selector, /*has_limit=*/false); failed != 0) return 10 + failed;
  return serves_two(selector, /*has_limit=*/true);
}

TEST(DescriptorLimitTest, ARuntimeGoesOnWhereTheLimitIsZero) {
  for (const char* selector : {"epoll", "poll"}) {
    EXPECT_EXIT({ ::_exit(serves_at_limit_zero(selector)); }, testing::ExitedWithCode(0), "")
        << selector;
  }
}

// No descriptor of the runtime's takes the place of a standard one that was closed.
int serves_without_stdio(const std::string& selector) {
  Observer observer;
  RuntimeOptions options;
  options.selector = selector;
  for (int fd : {0, 1, 2}) ::close(fd);
  Runtime runtime(options);
  observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
  absl::Notification accepted;
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) {
    observer.watch(c);
    accepted.Notify();
  });
  absl::Notification connected;
  Connection client;
  runtime.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> connection) {
    client = *std::move(connection);
    connected.Notify();
  });
  connected.WaitForNotification();
  accepted.WaitForNotification();
  for (int fd : {0, 1, 2}) {
    if (::fcntl(fd, F_GETFD) != -1) return 1 + fd;
  }
  client.abort();
  return 0;
}

TEST(LowDescriptorsTest, ARuntimeHasNone) {
  for (const char* selector : {"epoll", "poll", "io_uring"}) {
    EXPECT_EXIT({ ::_exit(serves_without_stdio(selector)); }, testing::ExitedWithCode(0), "")
        << selector;
  }
}

}  // namespace
}  // namespace epore
