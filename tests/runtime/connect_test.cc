// Attempts to connect: their ways to succeed, to fail and to be ended.

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/names_kernel.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/silent_port.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/sockets.h"
#include "tests/support/spurious_kernel.h"

namespace epore {
namespace {

// Names of the test's own, the order in which addresses are tried, and a SO_ERROR to be told.
class ConnectKernel : public NamesKernel {
 public:
  SysResult connect(int fd, const sockaddr* address, unsigned size) override {
    if (binds_as_target_) {
      const int on = 1;
      PCHECK(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
      PCHECK(::bind(fd, address, size) == 0);
    }
    const SysResult result = NamesKernel::connect(fd, address, size);
    absl::MutexLock lock(&mutex_);
    tried_.push_back(SocketAddress::from_sockaddr(address, size).to_string());
    // As a signal would: the attempt goes on.
    if (is_interrupted_) return SysResult::from_errno(EINTR);
    return result;
  }

  SysResult getsockopt(int fd, int level, int name, void* value, unsigned* size) override {
    const SysResult result = NamesKernel::getsockopt(fd, level, name, value, size);
    absl::MutexLock lock(&mutex_);
    if (name == SO_ERROR && socket_error_ != 0) {
      *static_cast<int*>(value) = std::exchange(socket_error_, 0);
    }
    return result;
  }

  std::vector<std::string> tried() const {
    absl::MutexLock lock(&mutex_);
    return tried_;
  }
  void bind_as_target() { binds_as_target_ = true; }  // before it is used
  void interrupt() {
    absl::MutexLock lock(&mutex_);
    is_interrupted_ = true;
  }
  void set_socket_error(int error) {
    absl::MutexLock lock(&mutex_);
    socket_error_ = error;
  }

 private:
  bool binds_as_target_ = false;
  mutable absl::Mutex mutex_;
  std::vector<std::string> tried_ ABSL_GUARDED_BY(mutex_);
  bool is_interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  int socket_error_ ABSL_GUARDED_BY(mutex_) = 0;
};

// What one connect() told.
class Outcome {
 public:
  Runtime::ConnectCallback callback() {
    return [this](absl::StatusOr<Connection> connection) {
      absl::MutexLock lock(&mutex_);
      ++calls_;
      result_ = std::move(connection);
    };
  }
  absl::StatusOr<Connection> await() {
    absl::MutexLock lock(&mutex_);
    const auto is_called = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return calls_ > 0; };
    mutex_.Await(absl::Condition(&is_called));
    return result_;
  }
  int calls() const {
    absl::MutexLock lock(&mutex_);
    return calls_;
  }

 private:
  mutable absl::Mutex mutex_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::StatusOr<Connection> result_ ABSL_GUARDED_BY(mutex_);
};

class ConnectTest : public RuntimeTest {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.kernel = &faults_;
    return options;
  }

  std::string target(const Listener& listener, const std::string& host = "127.0.0.1") {
    return absl::StrCat(host, ":", listener.address().port());
  }

  ConnectKernel system_;
  FaultKernel faults_{system_};
};

void expect_error(const absl::Status& status, std::string_view call, std::string_view error) {
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(absl::StrContains(status.message(), call)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), error)) << status;
}

TEST_P(ConnectTest, TheCallbackIsTheFirstOfTheConnection) {
  Observer server;
  Observer client;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) {
    server.watch(c);
    c.send("hello");
  });
  absl::Notification connected;
  runtime.connect(target(listener), [&](absl::StatusOr<Connection> connection) {
    ASSERT_TRUE(connection.ok()) << connection.status();
    client.watch(*connection);
    EXPECT_TRUE(connection->is_open());
    EXPECT_EQ(connection->peer_address(), listener.address());
    EXPECT_TRUE(connection->local_address().is_ipv4());
    connected.Notify();
  });
  connected.WaitForNotification();
  EXPECT_EQ(client.await_bytes(5), "hello");
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().connects, 1u);
  EXPECT_EQ(runtime.counters().connect_errors, 0u);
}

TEST_P(ConnectTest, ThePeerIsWhoTheSystemSaysItIs) {
  Runtime runtime(options());
  const auto listener = runtime.listen("[::]:0", [](Connection&) {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const int port = listener->address().port();
  for (const auto& [host, peer] :
       std::vector<std::pair<std::string, std::string>>{{"0.0.0.0", "127.0.0.1"},
                                                        {"[::]", "[::1]"},
                                                        {"", "127.0.0.1"},
                                                        {"127.0.0.2", "127.0.0.2"},
                                                        {"[::1]", "[::1]"}}) {
    Outcome outcome;
    runtime.connect(absl::StrCat(host, ":", port), outcome.callback());
    const absl::StatusOr<Connection> connection = outcome.await();
    ASSERT_TRUE(connection.ok()) << connection.status();
    EXPECT_EQ(connection->peer_address().to_string(), absl::StrCat(peer, ":", port)) << host;
  }
  Outcome star;
  runtime.connect(absl::StrCat("*:", port), star.callback());
  EXPECT_EQ(star.await().status().code(), absl::StatusCode::kInvalidArgument);
}

// Nobody listens, and the system gives this end the very port that it connects to.
TEST_P(ConnectTest, AConnectionToItselfIsRefused) {
  const TcpPort reserved = refusing_port();  // nobody else is given its port meanwhile
  const int port = reserved.port;
  const int on = 1;
  PCHECK(::setsockopt(reserved.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
  system_.bind_as_target();
  Runtime runtime(options());
  Outcome outcome;
  const std::string target = absl::StrCat("127.0.0.1:", port);
  runtime.connect(target, outcome.callback());
  const absl::Status status = outcome.await().status();
  expect_error(status, "connect(" + target + "): connected to itself", "ECONNREFUSED");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

// Names come from users: what is told of them fits a line.
TEST_P(ConnectTest, ErrorsOfNamesAreCutAndEscaped) {
  Runtime runtime(options());
  for (const std::string& host :
       {std::string("new\nline.example"), std::string("\x1b[31m.example")}) {
    Outcome outcome;
    runtime.connect(host + ":80", outcome.callback());
    const absl::Status status = outcome.await().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_FALSE(absl::StrContains(status.message(), host)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), absl::CHexEscape(host))) << status;
  }
}

TEST_P(ConnectTest, NeverInsideTheCall) {
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  const TcpPort refusing = refusing_port();
  for (const std::string& address : {target(listener), absl::StrCat("127.0.0.1:", refusing.port),
                                     std::string("no address"), std::string("nowhere.example:1")}) {
    absl::Notification called;
    absl::Notification returned;
    static thread_local bool is_inside = false;
    const auto connect = [&] {
      is_inside = true;
      runtime.connect(address, [&](absl::StatusOr<Connection>) {
        EXPECT_FALSE(is_inside);
        called.Notify();
      });
      is_inside = false;
      returned.Notify();
    };
    ASSERT_TRUE(runtime.post(connect).ok());
    called.WaitForNotification();
    returned.WaitForNotification();
  }
}

TEST_P(ConnectTest, ErrorsNameTheCall) {
  Runtime runtime(options());
  const auto error_of = [&](const std::string& address, const ConnectOptions& connect = {}) {
    Outcome outcome;
    runtime.connect(address, outcome.callback(), connect);
    const absl::Status status = outcome.await().status();
    fence(runtime);
    EXPECT_EQ(outcome.calls(), 1);
    return status;
  };
  const TcpPort refusing = refusing_port();
  const std::string refused = absl::StrCat("127.0.0.1:", refusing.port);
  expect_error(error_of(refused), "connect(" + refused + ")", "ECONNREFUSED");
  EXPECT_EQ(error_of("127.0.0.1").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(error_of("nowhere.example:80").code(), absl::StatusCode::kNotFound);
  ConnectOptions bad;
  bad.timeout = absl::ZeroDuration();
  EXPECT_EQ(error_of(refused, bad).code(), absl::StatusCode::kInvalidArgument);
  faults_.fail(KernelCall::kResolve, EAI_AGAIN);
  EXPECT_EQ(error_of("nowhere.example:80").code(), absl::StatusCode::kUnavailable);
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    faults_.fail(KernelCall::kSocket, error);
    EXPECT_EQ(error_of(refused).code(), absl::StatusCode::kResourceExhausted);
  }
  for (const int error : {ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EACCES, EAGAIN}) {
    faults_.fail(KernelCall::kConnect, error);
    expect_error(error_of(refused), "connect(" + refused + ")", strerrorname_np(error));
  }
  faults_.fail(KernelCall::kSetsockopt, ENOBUFS);
  expect_error(error_of(refused), "setsockopt", "ENOBUFS");
  EXPECT_EQ(runtime.counters().connects, 0u);
}

// What SO_ERROR says is read once and is the outcome.
TEST_P(ConnectTest, TheSocketErrorDecides) {
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  for (const int error : {ETIMEDOUT, EHOSTUNREACH, EADDRNOTAVAIL, ECONNREFUSED}) {
    system_.set_socket_error(error);
    const std::uint64_t reads = faults_.calls(KernelCall::kGetsockopt);
    Outcome outcome;
    runtime.connect(target(listener), outcome.callback());
    expect_error(outcome.await().status(), "connect(", strerrorname_np(error));
    EXPECT_EQ(faults_.calls(KernelCall::kGetsockopt), reads + 1);
  }
  Outcome outcome;
  runtime.connect(target(listener), outcome.callback());
  EXPECT_TRUE(outcome.await().ok());
}

TEST_P(ConnectTest, AddressesOfOneFamilyAreTriedInOrder) {
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  const int port = listener.address().port();
  system_.add("several.example", {"127.0.0.2:0", "127.0.0.3:0", "127.0.0.1:0", "127.0.0.4:0"});
  Outcome outcome;
  runtime.connect(target(listener, "several.example"), outcome.callback());
  const absl::StatusOr<Connection> connection = outcome.await();
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ(connection->peer_address(), listener.address());
  EXPECT_EQ(system_.tried(), (std::vector<std::string>{absl::StrCat("127.0.0.2:", port),
                                                       absl::StrCat("127.0.0.3:", port),
                                                       absl::StrCat("127.0.0.1:", port)}));
}

TEST_P(ConnectTest, TheErrorOfTheLastAddressIsTold) {
  Runtime runtime(options());
  const TcpPort refusing = refusing_port();
  system_.add("several.example", {"127.0.0.2:0", "127.0.0.1:0"});
  faults_.fail(KernelCall::kConnect, ENETUNREACH);
  Outcome outcome;
  runtime.connect(absl::StrCat("several.example:", refusing.port), outcome.callback());
  expect_error(outcome.await().status(), absl::StrCat("connect(127.0.0.1:", refusing.port, ")"),
               "ECONNREFUSED");
  EXPECT_EQ(runtime.counters().connect_errors, 1u);
}

TEST_P(ConnectTest, AnInterruptedConnectGoesOn) {
  system_.interrupt();
  Observer server;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) { server.watch(c); });
  Outcome outcome;
  runtime.connect(target(listener), outcome.callback());
  absl::StatusOr<Connection> connection = outcome.await();
  ASSERT_TRUE(connection.ok()) << connection.status();
  connection->send("x");
  EXPECT_EQ(server.await_bytes(1), "x");
  connection->close();
  EXPECT_TRUE(server.await_closed().ok());
}

// Being told "writable" is not being connected.
TEST_P(ConnectTest, SpuriousEventsDoNotConnect) {
  const SilentPort silent;
  SpuriousKernel kernel;
  Outcome outcome;
  RuntimeOptions spurious = options();
  spurious.kernel = &kernel;
  Runtime runtime(spurious);
  runtime.connect(silent.address(), outcome.callback());
  for (int i = 0; i < 20; ++i) fence(runtime);
  if (GetParam().selector != "io_uring") {  // it has no way into the memory of a ring
    EXPECT_GT(kernel.spurious(), 0u);
  }
  EXPECT_EQ(outcome.calls(), 0);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(outcome.await().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(outcome.calls(), 1);
}

TEST_P(ConnectTest, TheTimeoutEndsIt) {
  const SilentPort silent;
  ClockKernel clock;
  Outcome outcome;
  RuntimeOptions manual = options();
  manual.kernel = &clock;
  Runtime runtime(manual);
  ConnectOptions ten;
  ten.timeout = absl::Seconds(10);
  runtime.connect(silent.address(), outcome.callback(), ten);
  clock.advance(absl::Seconds(10) - absl::Nanoseconds(1));
  for (int i = 0; i < 3; ++i) fence(runtime);
  EXPECT_EQ(outcome.calls(), 0);
  clock.advance(absl::Nanoseconds(1));
  const absl::Status status = outcome.await().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), silent.address())) << status;
}

// The handshake ended while the runtime did not look: a stopped process, a busy worker.
TEST_P(ConnectTest, AConnectionThatIsThereInTimeIsNotTimedOut) {
  Observer server;
  ClockKernel clock;
  Outcome outcome;
  RuntimeOptions manual = options();
  manual.kernel = &clock;
  Runtime runtime(manual);
  const TcpPort listener = tcp_listener();
  ConnectOptions ten;
  ten.timeout = absl::Seconds(10);
  // It is connected, and no event of it is told before the time is over.
  const auto pass_time = [&](const FaultKernel::Call& call) {
    if (call.nth == 1) clock.advance(absl::Hours(1));
  };
  clock.after(KernelCall::kConnect, pass_time);
  runtime.connect(absl::StrCat("127.0.0.1:", listener.port), outcome.callback(), ten);
  const absl::StatusOr<Connection> connection = outcome.await();
  EXPECT_TRUE(connection.ok()) << connection.status();
}

TEST_P(ConnectTest, TheTimeoutHoldsForTheNameToo) {
  ClockKernel clock(system_);
  absl::Notification resolving;
  absl::Notification go_on;
  clock.before(KernelCall::kResolve, [&](const FaultKernel::Call&) {
    resolving.Notify();
    go_on.WaitForNotification();
  });
  Outcome outcome;
  RuntimeOptions manual = options();
  manual.kernel = &clock;
  Runtime runtime(manual);
  runtime.connect("slow.example:1", outcome.callback());
  resolving.WaitForNotification();
  clock.advance(absl::Seconds(30));
  EXPECT_EQ(outcome.await().status().code(), absl::StatusCode::kDeadlineExceeded);
  go_on.Notify();
  EXPECT_TRUE(runtime.shutdown().ok());
  clock.await_threads();
  EXPECT_EQ(outcome.calls(), 1);
}

TEST_P(ConnectTest, ACancelEndsItWhereverItIs) {
  const SilentPort silent;
  absl::Notification in_resolve;
  absl::Notification go_on;
  faults_.before(KernelCall::kResolve, [&](const FaultKernel::Call&) {
    in_resolve.Notify();
    go_on.WaitForNotification();
  });
  Outcome resolving;
  Outcome in_progress;
  Runtime runtime(options());
  ConnectAttempt first = runtime.connect("slow.example:1", resolving.callback());
  in_resolve.WaitForNotification();
  ConnectAttempt second = runtime.connect(silent.address(), in_progress.callback());
  fence(runtime);
  for (ConnectAttempt* attempt : {&first, &second}) {
    ConnectAttempt copy = *attempt;
    EXPECT_TRUE(copy.cancel());
    EXPECT_FALSE(attempt->cancel()) << "again: nothing";
  }
  for (Outcome* outcome : {&resolving, &in_progress}) {
    const absl::Status status = outcome->await().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
    EXPECT_TRUE(absl::StrContains(status.message(), ": cancelled")) << status;
  }
  go_on.Notify();
  EXPECT_TRUE(runtime.shutdown().ok());
  faults_.await_threads();
  EXPECT_EQ(resolving.calls(), 1);
  EXPECT_EQ(in_progress.calls(), 1);
  EXPECT_FALSE(first.cancel()) << "a handle may outlive the runtime";
  EXPECT_FALSE(ConnectAttempt().cancel());
}

// A cancel that was in time is what the callback is told, even if the connection was there.
TEST_P(ConnectTest, ACancelThatIsInTimeIsTheAnswer) {
  constexpr int kAttempts = 40;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  for (int round = 0; round < 10; ++round) {
    std::vector<Outcome> outcomes(kAttempts);
    std::vector<ConnectAttempt> attempts;
    for (Outcome& outcome : outcomes) {
      attempts.push_back(runtime.connect(target(listener), outcome.callback()));
    }
    for (int i = 0; i < kAttempts; ++i) {
      const bool is_in_time = attempts[i].cancel();
      const absl::Status status = outcomes[i].await().status();
      EXPECT_EQ(status.code() == absl::StatusCode::kCancelled, is_in_time) << status;
    }
    attempts.clear();
    fence(runtime);
    for (Outcome& outcome : outcomes) EXPECT_EQ(outcome.calls(), 1);
  }
}

// Between the handshake and the callback: the connection is given up.
TEST_P(ConnectTest, ACancelAfterTheHandshakeAbortsTheConnection) {
  Observer server;
  Outcome outcome;
  ConnectAttempt attempt;
  absl::Notification has_attempt;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) { server.watch(c); });
  // Its end asks for its own name once it is connected.
  faults_.after(KernelCall::kGetpeername, [&](const FaultKernel::Call& call) {
    has_attempt.WaitForNotification();
    if (!call.result.ok()) return;
    EXPECT_TRUE(attempt.cancel());
  });
  attempt = runtime.connect(target(listener), outcome.callback());
  has_attempt.Notify();
  EXPECT_EQ(outcome.await().status().code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(server.await_closed().ok()) << "reset";
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(outcome.calls(), 1);
}

TEST_P(ConnectTest, WhatThisMachineLacksIsNotTheErrorThatIsTold) {
  Runtime runtime(options());
  const TcpPort refusing = refusing_port();
  system_.add("several.example", {"127.0.0.1:0", "127.0.0.2:0"});
  faults_.fail(KernelCall::kSocket, EAFNOSUPPORT, 2);
  Outcome outcome;
  runtime.connect(absl::StrCat("several.example:", refusing.port), outcome.callback());
  const absl::Status status = outcome.await().status();
  expect_error(status, absl::StrCat("connect(127.0.0.1:", refusing.port, ")"), "ECONNREFUSED");
  EXPECT_EQ(errno_of(status), ECONNREFUSED);
}

TEST_P(ConnectTest, AnInfiniteTimeoutIsValid) {
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [](Connection&) {});
  ConnectOptions forever;
  forever.timeout = absl::InfiniteDuration();
  Outcome outcome;
  runtime.connect(target(listener), outcome.callback(), forever);
  EXPECT_TRUE(outcome.await().ok());
}

TEST_P(ConnectTest, AShutdownCancelsIt) {
  const SilentPort silent;
  Outcome in_progress;
  Outcome resolving;
  absl::Notification in_resolve;
  absl::Notification go_on;
  faults_.before(KernelCall::kResolve, [&](const FaultKernel::Call&) {
    in_resolve.Notify();
    go_on.WaitForNotification();
  });
  Runtime runtime(options());
  runtime.connect(silent.address(), in_progress.callback());
  runtime.connect("slow.example:1", resolving.callback());
  in_resolve.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());  // which does not wait for the name service
  EXPECT_EQ(in_progress.await().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(resolving.await().status().code(), absl::StatusCode::kCancelled);
  go_on.Notify();
  faults_.await_threads();
  EXPECT_EQ(in_progress.calls(), 1);
  EXPECT_EQ(resolving.calls(), 1);
}

TEST_P(ConnectTest, AfterTheShutdownItIsCancelledInsideTheCall) {
  Runtime runtime(options());
  EXPECT_TRUE(runtime.shutdown().ok());
  Outcome outcome;
  runtime.connect("127.0.0.1:1", outcome.callback());
  EXPECT_EQ(outcome.calls(), 1);
  EXPECT_EQ(outcome.await().status().code(), absl::StatusCode::kCancelled);
}

// Each attempt is told of once, whenever the shutdown comes.
TEST_P(ConnectTest, AttemptsThatRaceAShutdownAreAllToldOnce) {
  constexpr int kAttempts = 40;
  system_.add("local.example", {"127.0.0.1:0"});  // a resolver may outlive its round
  for (int round = 0; round < 10; ++round) {
    std::vector<Outcome> outcomes(kAttempts);
    Runtime runtime(options());
    const Listener listener = listen_on_loopback(runtime, [](Connection&) {});
    absl::Notification begun;
    std::thread client([&] {
      for (int i = 0; i < kAttempts; ++i) {
        if (i == round * 4) begun.Notify();
        runtime.connect(i % 2 == 0 ? target(listener) : target(listener, "local.example"),
                        outcomes[i].callback());
      }
    });
    begun.WaitForNotification();
    EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
    client.join();
    for (Outcome& outcome : outcomes) EXPECT_EQ(outcome.calls(), 1);
    const Counters counters = runtime.counters();
    EXPECT_EQ(counters.connections, 0u);
  }
}

// A first callback that aborts leaves nothing in the event queue.
TEST_P(ConnectTest, AnAbortAtOnceTakesItOutOfTheQueue) {
  if (GetParam().selector != "epoll") GTEST_SKIP() << "counts epoll_ctl";
  Observer client;
  Observer server;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) { server.watch(c); });
  const std::uint64_t before = faults_.calls(KernelCall::kEpollCtl);
  runtime.connect(target(listener), [&](absl::StatusOr<Connection> connection) {
    client.watch(*connection);
    connection->abort();
  });
  EXPECT_EQ(client.await_closed().code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(server.await_closed().ok());
  EXPECT_TRUE(runtime.shutdown().ok());
  // In and out for each end; the listener's own when it closes.
  EXPECT_EQ(faults_.calls(KernelCall::kEpollCtl) - before, 2 + 2 + 1u);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ConnectTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
