// How a listener takes connections, and what it does when it cannot.

#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/log_lines.h"
#include "tests/support/sockets.h"
#include "tests/support/thread_name.h"

namespace epore {
namespace {

// With a clock that stands still, so that what happens is not the backoff's doing.
class AcceptTest : public RuntimeTest {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options = RuntimeTest::options();
    options.kernel = &clock_;
    return options;
  }

  std::uint64_t accept_calls() const { return clock_.calls(KernelCall::kAccept); }

  ClockKernel clock_;
};

// Connections that were accepted, echoing, and a count to wait for.
class Accepted {
 public:
  Runtime::AcceptCallback callback() {
    return [this](Connection& connection) {
      connection.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
      absl::MutexLock lock(&mutex_);
      connections_.push_back(connection);
    };
  }
  void await(std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return connections_.size() >= count;
    };
    mutex_.Await(absl::Condition(&have));
  }
  std::size_t count() const {
    absl::MutexLock lock(&mutex_);
    return connections_.size();
  }
  Connection at(std::size_t i) const {
    absl::MutexLock lock(&mutex_);
    return connections_.at(i);
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<Connection> connections_ ABSL_GUARDED_BY(mutex_);
};

// That the poll thread has turned, and the connection behind the peer is served.
void expect_served(Peer& peer) {
  peer.send("?");
  EXPECT_EQ(peer.receive(1), "?");
}

TEST_P(AcceptTest, EachClientIsToldItsAddresses) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  sockaddr_storage storage;
  socklen_t size = sizeof storage;
  auto* name = reinterpret_cast<sockaddr*>(&storage);
  ASSERT_EQ(::getsockname(link.peer.fd(), name, &size), 0);
  EXPECT_EQ(link.connection.peer_address(), SocketAddress::from_sockaddr(name, size));
  EXPECT_EQ(link.connection.local_address(), link.listener.address());
}

TEST_P(AcceptTest, AWildcardListenerTellsTheRealLocalAddress) {
  Accepted accepted;
  Runtime runtime(options());
  const absl::StatusOr<Listener> listener = runtime.listen("0.0.0.0:0", accepted.callback());
  ASSERT_TRUE(listener.ok()) << listener.status();
  const SocketAddress local =
      SocketAddress::parse("127.0.0.1:1")->with_port(listener->address().port());
  Peer peer(local);
  accepted.await(1);
  EXPECT_EQ(accepted.at(0).local_address(), local);
}

TEST_P(AcceptTest, ATurnTakesNoMoreThanItsBudget) {
  constexpr std::size_t kBudget = 4;
  std::atomic<std::uint64_t> before{0};
  std::atomic<std::uint64_t> most{0};
  const FaultKernel::Hook turn = [&](const FaultKernel::Call&) {
    const std::uint64_t now = accept_calls();
    most = std::max<std::uint64_t>(most, now - before);
    before = now;
  };
  clock_.before(KernelCall::kEpollWait, turn);
  clock_.before(KernelCall::kPoll, turn);
  clock_.before(KernelCall::kIoUringEnter, turn);
  ListenOptions listen;
  listen.accept_budget = kBudget;
  Accepted accepted;
  Runtime runtime(options());
  // The clients queue up while the first accept waits.
  absl::Notification in_accept;
  absl::Notification go_on;
  clock_.before(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
    if (call.nth != 1) return;
    in_accept.Notify();
    go_on.WaitForNotification();
  });
  const Listener listener = listen_on_loopback(runtime, accepted.callback(), listen);
  std::vector<Peer> peers;
  peers.emplace_back(listener.address());
  in_accept.WaitForNotification();
  while (peers.size() < 40) peers.emplace_back(listener.address());
  go_on.Notify();
  accepted.await(peers.size());
  for (Peer& peer : peers) expect_served(peer);
  EXPECT_EQ(most, kBudget);
  clock_.before(KernelCall::kEpollWait, nullptr);
  clock_.before(KernelCall::kPoll, nullptr);
  clock_.before(KernelCall::kIoUringEnter, nullptr);
}

// For each of the errors that say "no resources".
TEST_P(AcceptTest, WithoutResourcesItPausesAndGoesOnWhenOneIsFreed) {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    constexpr std::size_t kClients = 50;
    Accepted accepted;
    Runtime runtime(options());
    const Listener listener = listen_on_loopback(runtime, accepted.callback());
    Peer first(listener.address());
    Peer second(listener.address());
    accepted.await(2);
    expect_served(first);
    clock_.fail(KernelCall::kAccept, error, 1, FaultKernel::kAlways);
    const std::uint64_t calls = accept_calls();
    std::vector<Peer> peers;
    while (peers.size() < kClients) peers.emplace_back(listener.address());
    for (int i = 0; i < 20; ++i) expect_served(first);
    // One failed call, then silence.
    EXPECT_EQ(accept_calls(), calls + 1);
    EXPECT_EQ(accepted.count(), 2u);
    EXPECT_EQ(runtime.counters().accept_pauses, 1u);
    const std::uint64_t polls = runtime.counters().polls;
    for (int i = 0; i < 20; ++i) expect_served(first);
    EXPECT_LE(runtime.counters().polls - polls, 2 * 20u);

    // One is freed, one is taken.
    clock_.fail(KernelCall::kAccept, error, 2, FaultKernel::kAlways);
    second.close();
    accepted.await(3);
    for (int i = 0; i < 20; ++i) expect_served(first);
    EXPECT_EQ(accepted.count(), 3u);
    EXPECT_EQ(accept_calls(), calls + 3) << "one that succeeded, one that paused again";

    // Nobody frees any: the backoff takes the rest.
    clock_.fail(KernelCall::kAccept, 0);
    clock_.advance(absl::Milliseconds(500));
    accepted.await(2 + kClients);
    for (Peer& peer : peers) expect_served(peer);
  }
}

TEST_P(AcceptTest, TheBackoffDoublesUpToHalfASecond) {
  std::atomic<int> calls{0};
  Accepted accepted;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  Peer first(listener.address());
  accepted.await(1);
  expect_served(first);
  clock_.fail(KernelCall::kAccept, EMFILE, 1, FaultKernel::kAlways);
  clock_.before(KernelCall::kAccept, [&](const FaultKernel::Call&) { ++calls; });
  Peer waits(listener.address());
  while (calls == 0) expect_served(first);
  int expected = 1;
  for (const int milliseconds : {10, 20, 40, 80, 160, 320, 500, 500}) {
    for (int i = 0; i < 3; ++i) expect_served(first);
    clock_.advance(absl::Milliseconds(milliseconds) - absl::Nanoseconds(1));
    for (int i = 0; i < 3; ++i) expect_served(first);
    EXPECT_EQ(calls, expected) << "before " << milliseconds << " ms";
    clock_.advance(absl::Nanoseconds(1));
    ++expected;
    for (int i = 0; i < 1'000 && calls < expected; ++i) expect_served(first);
    EXPECT_EQ(calls, expected) << "after " << milliseconds << " ms";
  }
  EXPECT_EQ(runtime.counters().accept_pauses, 1u);
  clock_.before(KernelCall::kAccept, nullptr);
}

// Without a fault: the process's own limit.
TEST_P(AcceptTest, AtTheProcessLimitItWaitsAndLosesNobody) {
  constexpr std::size_t kClients = 50;
  RuntimeOptions real = options();
  real.kernel = &kernel_;
  absl::Notification go_on;  // the hook below is called until the runtime has ended
  Accepted accepted;
  Runtime runtime(real);
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  Peer first(listener.address());
  accepted.await(1);
  expect_served(first);
  // Clients first: they need descriptors as well. The poll thread is held so that none is taken.
  kernel_.before(KernelCall::kAccept,
                 [&](const FaultKernel::Call&) { go_on.WaitForNotification(); });
  std::vector<Peer> peers;
  while (peers.size() < kClients) peers.emplace_back(listener.address());
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(peers.back().fd()) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  go_on.Notify();
  while (runtime.counters().accept_pauses == 0) std::this_thread::yield();
  const std::uint64_t polls = runtime.counters().polls;
  const std::uint64_t calls = kernel_.calls(KernelCall::kAccept);
  for (int i = 0; i < 100; ++i) expect_served(first);
  // The backoff may have ended now and then meanwhile.
  EXPECT_LE(runtime.counters().polls - polls,
            100 * 2 + 2 * (kernel_.calls(KernelCall::kAccept) - calls));
  EXPECT_LT(accepted.count(), 1 + kClients);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  accepted.await(1 + kClients);
  for (Peer& peer : peers) expect_served(peer);
}

TEST_P(AcceptTest, ErrorsOfASingleConnectionDoNotEndTheListener) {
  Accepted accepted;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  std::uint64_t count = 0;
  for (const int error : {ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
                          EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EPERM, ETIMEDOUT, ECONNRESET}) {
    clock_.fail(KernelCall::kAccept, error);
    Peer peer(listener.address());
    accepted.await(++count);
    expect_served(peer);
    EXPECT_EQ(runtime.counters().accept_errors, count);
  }
  EXPECT_EQ(runtime.counters().accept_pauses, 0u);
}

// Whatever the error, a system that refuses for ever is asked seldom: one call for each backoff,
// after a budget for those errors that are a single connection's.
TEST_P(AcceptTest, ARefusalForEverPausesAndIsCounted) {
  constexpr std::uint64_t kBudget = 64;
  for (const auto& [error, budget] :
       std::vector<std::pair<int, std::uint64_t>>{{EPERM, kBudget},
                                                  {EPROTO, kBudget},
                                                  {ENETDOWN, kBudget},
                                                  {ECONNABORTED, kBudget},
                                                  {EINTR, kBudget},
                                                  {EACCES, 0},
                                                  {ENOSYS, 0},
                                                  {ENOSR, 0},
                                                  {ESOCKTNOSUPPORT, 0},
                                                  {EPROTONOSUPPORT, 0},
                                                  {EIO, 0}}) {
    LogLines log;
    Accepted accepted;
    Runtime runtime(options());
    const Listener listener = listen_on_loopback(runtime, accepted.callback());
    Peer first(listener.address());
    accepted.await(1);
    expect_served(first);
    clock_.fail(KernelCall::kAccept, error, 1, FaultKernel::kAlways);
    const std::uint64_t calls = accept_calls();
    Peer waits(listener.address());
    while (runtime.counters().accept_pauses == 0) expect_served(first);
    for (int i = 0; i < 20; ++i) expect_served(first);
    EXPECT_EQ(accept_calls() - calls, budget + 1) << strerrorname_np(error);
    EXPECT_EQ(runtime.counters().accept_errors, error == EINTR ? 0 : budget + 1);
    EXPECT_EQ(log.count("pauses"), 1);
    EXPECT_TRUE(listener.status().ok()) << listener.status();

    // One more for each backoff.
    clock_.advance(absl::Milliseconds(10));
    while (accept_calls() - calls < budget + 2) expect_served(first);
    for (int i = 0; i < 20; ++i) expect_served(first);
    EXPECT_EQ(accept_calls() - calls, budget + 2) << strerrorname_np(error);

    // It is told again while it lasts, but not at every try.
    clock_.advance(absl::Seconds(1));
    while (accept_calls() - calls < budget + 3) expect_served(first);
    for (int i = 0; i < 3; ++i) expect_served(first);
    EXPECT_EQ(log.count("pauses"), 2);

    clock_.fail(KernelCall::kAccept, 0);
    clock_.advance(absl::Milliseconds(500));
    accepted.await(2);
    expect_served(waits);
  }
}

// On Linux a connection that was reset in the backlog is accepted like any other.
TEST_P(AcceptTest, AConnectionResetInTheBacklogEndsAsSuch) {
  absl::Notification in_accept;
  absl::Notification go_on;
  Observer observer;
  Runtime runtime(options());
  clock_.before(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
    if (call.nth != 1) return;
    in_accept.Notify();
    go_on.WaitForNotification();
  });
  const Listener listener =
      listen_on_loopback(runtime, [&](Connection& connection) { observer.watch(connection); });
  Peer peer(listener.address());
  in_accept.WaitForNotification();
  peer.reset();
  go_on.Notify();
  const absl::Status why = observer.await_closed();
  EXPECT_TRUE(absl::StrContains(why.message(), "ECONNRESET")) << why;
}

TEST_P(AcceptTest, AnErrorOfTheListenerItselfEndsIt) {
  Accepted accepted;
  Runtime runtime(options());
  const Listener bad = listen_on_loopback(runtime, accepted.callback());
  const Listener good = listen_on_loopback(runtime, accepted.callback());
  clock_.fail(KernelCall::kAccept, EINVAL);
  Peer refused(bad.address());
  EXPECT_EQ(refused.end(), ECONNRESET) << "as its listening socket is closed";
  const absl::Status why = bad.status();
  EXPECT_TRUE(absl::StrContains(why.message(), bad.address().to_string())) << why;
  EXPECT_TRUE(absl::StrContains(why.message(), "accept4: EINVAL")) << why;
  for (const int error : {EBADF, ENOTSOCK, EFAULT}) {
    const Listener other = listen_on_loopback(runtime, accepted.callback());
    clock_.fail(KernelCall::kAccept, error);
    Peer also_refused(other.address());
    EXPECT_EQ(also_refused.end(), ECONNRESET);
    EXPECT_FALSE(other.status().ok()) << strerrorname_np(error);
  }
  EXPECT_TRUE(good.status().ok()) << good.status();
  EXPECT_EQ(Listener().status().code(), absl::StatusCode::kFailedPrecondition);
  Peer peer(good.address());
  accepted.await(1);
  expect_served(peer);
}

TEST_P(AcceptTest, APauseIsLoggedAtMostOnceASecond) {
  LogLines log;
  Accepted accepted;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  Peer first(listener.address());
  accepted.await(1);
  expect_served(first);
  std::vector<Peer> peers;
  const auto pause_and_go_on = [&] {
    clock_.fail(KernelCall::kAccept, EMFILE);
    const std::uint64_t pauses = runtime.counters().accept_pauses;
    peers.emplace_back(listener.address());
    while (runtime.counters().accept_pauses == pauses) expect_served(first);
    expect_served(first);  // a turn later its timer is armed, too
    clock_.advance(absl::Milliseconds(10));
    accepted.await(1 + peers.size());
    expect_served(first);
  };
  for (int i = 0; i < 20; ++i) pause_and_go_on();  // 200 ms
  EXPECT_EQ(log.count("pauses"), 1);
  clock_.advance(absl::Seconds(1));
  pause_and_go_on();
  EXPECT_EQ(log.count("pauses"), 2);
}

TEST_P(AcceptTest, AtTheLimitOfConnectionsClientsWaitInTheBacklog) {
  RuntimeOptions two = options();
  two.max_connections = 2;
  Accepted accepted;
  Runtime runtime(two);
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  std::vector<Peer> peers;
  while (peers.size() < 4) peers.emplace_back(listener.address());
  accepted.await(2);
  for (int i = 0; i < 5; ++i) expect_served(peers[0]);
  EXPECT_EQ(accepted.count(), 2u);
  EXPECT_EQ(runtime.counters().connections, 2u);
  EXPECT_EQ(runtime.counters().accept_pauses, 1u);
  const std::uint64_t calls = accept_calls();
  peers[1].close();
  accepted.await(3);
  expect_served(peers[2]);
  EXPECT_EQ(accept_calls(), calls + 1);
  peers[0].close();
  accepted.await(4);
  expect_served(peers[3]);
}

// Its clients wait, and leave room for another listener and for connect().
TEST_P(AcceptTest, AListenerMayHaveALimitOfItsOwn) {
  Accepted accepted;
  Accepted others;
  Runtime runtime(options());
  const auto listener = runtime.listen("127.0.0.1:0", accepted.callback(), {.max_connections = 2});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Listener other = listen_on_loopback(runtime, others.callback());
  std::vector<Peer> peers;
  while (peers.size() < 5) peers.emplace_back(listener->address());
  accepted.await(2);
  absl::Notification connected;
  runtime.connect(other.address().to_string(), [&](absl::StatusOr<Connection> connection) {
    EXPECT_TRUE(connection.ok()) << connection.status();
    connected.Notify();
  });
  connected.WaitForNotification();
  others.await(1);
  EXPECT_EQ(accepted.count(), 2u);
  peers[1].close();
  accepted.await(3);
  expect_served(peers[2]);
  peers[0].reset();
  accepted.await(4);
  expect_served(peers[3]);
  peers[2].close();
  peers[3].close();
  accepted.await(5);
  expect_served(peers[4]);
}

// Both limits are reached, and each is waited for.
TEST_P(AcceptTest, AListenersLimitIsBesideThatOfTheRuntime) {
  RuntimeOptions two = options();
  two.max_connections = 2;
  Accepted accepted;
  Accepted others;
  Runtime runtime(two);
  const auto listener = runtime.listen("127.0.0.1:0", accepted.callback(), {.max_connections = 1});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Listener other = listen_on_loopback(runtime, others.callback());
  Peer first(listener->address());
  accepted.await(1);
  Peer second(other.address());
  others.await(1);
  Peer third(listener->address());
  Peer waits(other.address());
  second.close();  // a permit of the runtime, and none of the listener
  others.await(2);
  expect_served(waits);
  EXPECT_EQ(accepted.count(), 1u);
  first.close();
  accepted.await(2);
  expect_served(third);
}

// It has found no permit for another connection, and is not yet among those that are told of one.
TEST(PermitTest, APermitThatIsFreedAsTheListenerPausesIsNotMissed) {
  absl::Notification pauses, may_pause, closed;
  std::atomic<bool> was_held{false};
  ClockKernel kernel;
  Accepted accepted;
  kernel.before(KernelCall::kEpollCtl, [&](const FaultKernel::Call&) {
    if (thread_name() != "epore-poll0" || was_held.exchange(true)) return;
    pauses.Notify();  // it is about to leave the event queue
    may_pause.WaitForNotification();
  });
  RuntimeOptions one;
  one.dispatch = Dispatch::workers;  // so that a connection ends while the poll thread is held
  one.max_connections = 1;
  one.kernel = &kernel;
  Runtime runtime(one);
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  const Peer first(listener.address());
  pauses.WaitForNotification();
  accepted.await(1);
  Connection connection = accepted.at(0);
  connection.on_closed([&](Connection&, const absl::Status&) { closed.Notify(); });
  connection.abort();
  closed.WaitForNotification();
  may_pause.Notify();
  Peer second(listener.address());
  expect_served(second);  // without a backoff, as time stands still
}

// A permit is for a connection: a listener that looks for one has none.
TEST(PermitTest, AListenerWhoseBacklogIsEmptyHoldsNoPermit) {
  FaultKernel kernel;
  absl::Notification in_accept, may_accept, attempt_goes_on, told;
  const TcpPort server = tcp_listener();
  kernel.before(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
    if (call.nth != 2) return;
    in_accept.Notify();
    may_accept.WaitForNotification();
  });
  kernel.before(KernelCall::kConnect, [&](const FaultKernel::Call&) { attempt_goes_on.Notify(); });
  RuntimeOptions two;
  two.dispatch = Dispatch::workers;  // so that the attempt begins while the poll thread is held
  two.max_connections = 2;
  two.kernel = &kernel;
  Accepted accepted;
  Runtime runtime(two);
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  const Peer first(listener.address());
  in_accept.WaitForNotification();
  runtime.connect("127.0.0.1:" + std::to_string(server.port),
                  [&](absl::StatusOr<Connection> connection) {
                    EXPECT_TRUE(connection.ok()) << connection.status();
                    if (!attempt_goes_on.HasBeenNotified()) attempt_goes_on.Notify();
                    if (connection.ok()) connection->abort();
                    told.Notify();
                  });
  attempt_goes_on.WaitForNotification();
  may_accept.Notify();
  told.WaitForNotification();
}

// The last permit was taken while it accepted: the client waits as if in the backlog.
TEST(PermitTest, AConnectionAcceptedBeyondTheLimitWaitsForAPermit) {
  FaultKernel kernel;
  absl::Notification has_accepted, may_go_on, has_permit, connected;
  const TcpPort server = tcp_listener();
  kernel.after(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
    if (call.nth != 1) return;
    has_accepted.Notify();
    may_go_on.WaitForNotification();
  });
  kernel.before(KernelCall::kConnect, [&](const FaultKernel::Call&) { has_permit.Notify(); });
  RuntimeOptions one;
  one.dispatch = Dispatch::workers;
  one.max_connections = 1;
  one.kernel = &kernel;
  Accepted accepted;
  Connection connection;
  Runtime runtime(one);
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  Peer peer(listener.address());
  has_accepted.WaitForNotification();
  runtime.connect("127.0.0.1:" + std::to_string(server.port),
                  [&](absl::StatusOr<Connection> result) {
                    ASSERT_TRUE(result.ok()) << result.status();
                    connection = *result;
                    connected.Notify();
                  });
  has_permit.WaitForNotification();
  may_go_on.Notify();
  connected.WaitForNotification();
  while (runtime.counters().accept_pauses == 0) std::this_thread::yield();
  EXPECT_EQ(runtime.counters().connections, 1u);
  EXPECT_EQ(accepted.count(), 0u);
  connection.abort();
  accepted.await(1);
  expect_served(peer);
}

TEST_P(AcceptTest, AttemptsToConnectCountToTheLimitAndAreRefused) {
  RuntimeOptions two = options();
  two.max_connections = 2;
  Accepted accepted;
  Runtime runtime(two);
  const Listener listener = listen_on_loopback(runtime, accepted.callback());
  absl::Notification connected;
  runtime.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> connection) {
    EXPECT_TRUE(connection.ok());
    connected.Notify();
  });
  connected.WaitForNotification();
  accepted.await(1);
  absl::Notification refused;
  runtime.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> connection) {
    EXPECT_EQ(connection.status().code(), absl::StatusCode::kResourceExhausted);
    refused.Notify();
  });
  refused.WaitForNotification();
}

TEST_P(AcceptTest, ACloseLeavesConnectionsAlone) {
  Accepted accepted;
  Runtime runtime(options());
  Listener listener = listen_on_loopback(runtime, accepted.callback());
  const SocketAddress address = listener.address();
  Peer peer(address);
  accepted.await(1);
  Listener copy = listener;
  copy.close();
  copy.close();
  listener.close();
  for (int i = 0; i < 3; ++i) expect_served(peer);
  EXPECT_EQ(listener.addresses(), std::vector<SocketAddress>{address});
  // The port is free again.
  const absl::StatusOr<Listener> again = runtime.listen(address.to_string(), accepted.callback());
  EXPECT_TRUE(again.ok()) << again.status();
  Peer other(address);
  accepted.await(2);
}

TEST_P(AcceptTest, ACloseInOnAcceptAndAfterAPause) {
  Listener listener;
  absl::Notification called;
  Runtime runtime(options());
  listener = listen_on_loopback(runtime, [&](Connection&) {
    called.WaitForNotification();
    listener.close();
  });
  called.Notify();
  Peer peer(listener.address());
  peer.half_close();
  EXPECT_EQ(peer.end(), 0);

  Accepted accepted;
  Listener paused = listen_on_loopback(runtime, accepted.callback());
  clock_.fail(KernelCall::kAccept, EMFILE, 1, FaultKernel::kAlways);
  Peer waits(paused.address());
  while (runtime.counters().accept_pauses == 0) std::this_thread::yield();
  paused.close();
  EXPECT_EQ(waits.end(), ECONNRESET);
  EXPECT_EQ(accepted.count(), 0u);
}

// Destructors of captures are user code: while one blocks the poll thread a relief leads.
TEST(AcceptCallbackTest, ADestructorOfACaptureThatBlocksHoldsUpNobody) {
  absl::Notification in_destructor, may_end;
  Accepted accepted;
  Runtime runtime;
  const Listener other = listen_on_loopback(runtime, accepted.callback());
  {
    std::shared_ptr<int> blocking(new int(0), [&](int* p) {
      delete p;
      in_destructor.Notify();
      may_end.WaitForNotification();
    });
    listen_on_loopback(runtime, [blocking = std::move(blocking)](Connection&) {}).close();
  }
  in_destructor.WaitForNotification();
  Peer peer(other.address());
  accepted.await(1);
  expect_served(peer);
  may_end.Notify();
}

TEST_P(AcceptTest, ACallbackMayCaptureTheHandleOfItsListener) {
  const auto kept = std::make_shared<int>(0);
  const auto listener = std::make_shared<Listener>();
  {
    Runtime runtime(options());
    *listener = listen_on_loopback(runtime, [kept, listener](Connection&) {});
    EXPECT_GT(kept.use_count(), 1);
  }
  EXPECT_EQ(kept.use_count(), 1) << "the callback goes with the runtime";
}

TEST_P(AcceptTest, AHandleMayOutliveTheRuntime) {
  Listener listener;
  EXPECT_TRUE(listener.address().is_empty());
  EXPECT_TRUE(listener.addresses().empty());
  listener.close();
  {
    Runtime runtime(options());
    listener = listen_on_loopback(runtime, [](Connection&) {});
  }
  EXPECT_TRUE(listener.address().is_ipv4());
  listener.close();
}

INSTANTIATE_TEST_SUITE_P(Everywhere, AcceptTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
