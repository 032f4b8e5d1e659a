// The addresses of a name race (RFC 8305): who joins when, who wins, and what is told of those that
// lose. The clock is the test's.

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/silent_port.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

constexpr absl::Duration kDelay = absl::Milliseconds(250);
constexpr absl::Duration kTick = absl::Nanoseconds(1);

// Notes who was tried and which of those sockets are open, and holds one address back.
class RaceKernel : public RealKernel {
 public:
  SysResult connect(int fd, const sockaddr* address, unsigned size) override {
    const SysResult result = RealKernel::connect(fd, address, size);
    const std::string text = SocketAddress::from_sockaddr(address, size).to_string();
    absl::MutexLock lock(&mutex_);
    tried_.push_back(text);
    open_.insert(fd);
    if (text == slow_) slow_fd_ = fd;
    // As it is on its way, even if the system was quick.
    return text == slow_ ? SysResult::from_errno(EINPROGRESS) : result;
  }

  SysResult getpeername(int fd, sockaddr* address, unsigned* size) override {
    {
      absl::MutexLock lock(&mutex_);
      if (fd == slow_fd_) return SysResult::from_errno(ENOTCONN);
    }
    return RealKernel::getpeername(fd, address, size);
  }

  SysResult close(int fd) override {
    {
      absl::MutexLock lock(&mutex_);
      open_.erase(fd);
      if (fd == slow_fd_) slow_fd_ = -1;
    }
    return RealKernel::close(fd);
  }

  // The address looks as if its handshake went on, until it is let go.
  void hold_back(const std::string& address) {
    absl::MutexLock lock(&mutex_);
    slow_ = address;
  }
  void let_go() {
    absl::MutexLock lock(&mutex_);
    slow_.clear();
    slow_fd_ = -1;
  }

  std::vector<std::string> tried() const {
    absl::MutexLock lock(&mutex_);
    return tried_;
  }
  std::size_t open_sockets() const {
    absl::MutexLock lock(&mutex_);
    return open_.size();
  }
  void await_tried(std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return tried_.size() >= count; };
    mutex_.Await(absl::Condition(&have));
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<std::string> tried_ ABSL_GUARDED_BY(mutex_);
  std::set<int> open_ ABSL_GUARDED_BY(mutex_);
  std::string slow_ ABSL_GUARDED_BY(mutex_);
  int slow_fd_ ABSL_GUARDED_BY(mutex_) = -1;
};

class HappyEyeballsTest : public RuntimeTest {
 protected:
  // What connect() told, and how many sockets were open then.
  struct Told {
    absl::StatusOr<Connection> result;
    std::size_t open = 0;
  };

  RuntimeOptions options(const std::vector<std::string>& addresses) {
    RuntimeOptions options = RuntimeTest::options();
    options.kernel = &clock_;
    options.hosts = {{"service.example", addresses}};
    options.drain_timeout = absl::ZeroDuration();  // no time passes that a drain could wait for
    return options;
  }

  ConnectAttempt connect(Runtime& runtime, ConnectOptions options = {}) {
    options.order = order_ = runtime.order();
    return runtime.connect("service.example:1", note(), options);
  }

  // As above, to addresses. They are gone when this returns.
  ConnectAttempt connect_to(Runtime& runtime, const std::vector<std::string>& texts,
                            ConnectOptions options = {}) {
    options.order = order_ = runtime.order();
    return runtime.connect(parsed(texts), note(), options);
  }

  static std::vector<SocketAddress> parsed(const std::vector<std::string>& texts) {
    std::vector<SocketAddress> addresses;
    for (const std::string& text : texts) addresses.push_back(*SocketAddress::parse(text));
    return addresses;
  }

  Runtime::ConnectCallback note() {
    return [this](absl::StatusOr<Connection> result) {
      const std::size_t open = system_.open_sockets();
      absl::MutexLock lock(&mutex_);
      told_.push_back({std::move(result), open});
    };
  }

  Told await() {
    absl::MutexLock lock(&mutex_);
    const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !told_.empty(); };
    mutex_.Await(absl::Condition(&have));
    EXPECT_EQ(told_.size(), 1u);
    return told_.front();
  }
  bool is_told() {
    absl::MutexLock lock(&mutex_);
    return !told_.empty();
  }

  // Returns when so many addresses were tried, and the next one has its time: what tries them runs
  // in order_.
  void await_race(std::size_t tried) {
    system_.await_tried(tried);
    fence_order();
  }
  void fence_order() {
    absl::Notification ran;
    ASSERT_TRUE(order_.post([&] { ran.Notify(); }).ok());
    ran.WaitForNotification();
  }

  // That the clock does nothing but pass.
  void expect_no_other_until(Runtime& runtime, absl::Duration by) {
    const std::size_t before = system_.tried().size();
    clock_.advance(by - kTick);
    for (int i = 0; i < 3; ++i) fence(runtime);
    EXPECT_EQ(system_.tried().size(), before);
    EXPECT_FALSE(is_told());
    clock_.advance(kTick);
  }

  RaceKernel system_;
  ClockKernel clock_{system_};
  Order order_;  // of the attempt

 private:
  absl::Mutex mutex_;
  std::vector<Told> told_ ABSL_GUARDED_BY(mutex_);
};

std::string on_loopback(const TcpPort& port) { return absl::StrCat("127.0.0.1:", port.port); }

bool has(const absl::Status& status, std::string_view text) {
  return absl::StrContains(status.message(), text);
}

TEST_P(HappyEyeballsTest, ASilentAddressIsJoinedByTheNextAfterTheDelay) {
  const SilentPort silent;
  const TcpPort listener = tcp_listener();
  const std::vector<std::string> addresses = {silent.address(), on_loopback(listener),
                                              "127.0.0.3:1"};
  Runtime runtime(options(addresses));
  connect(runtime);
  await_race(1);
  expect_no_other_until(runtime, kDelay);
  const Told told = await();
  ASSERT_TRUE(told.result.ok()) << told.result.status();
  EXPECT_EQ(told.result->peer_address().to_string(), addresses[1]);
  EXPECT_EQ(told.open, 1u) << "the one that lost is closed first";
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(system_.tried(), (std::vector<std::string>{addresses[0], addresses[1]}));
  EXPECT_EQ(runtime.counters().connects, 1u);
  EXPECT_EQ(runtime.counters().connect_errors, 0u);
}

TEST_P(HappyEyeballsTest, TheDelayIsAnOption) {
  const SilentPort silent;
  const TcpPort listener = tcp_listener();
  Runtime runtime(options({silent.address(), on_loopback(listener)}));
  ConnectOptions hasty;
  hasty.connection_attempt_delay = absl::Milliseconds(10);
  connect(runtime, hasty);
  await_race(1);
  expect_no_other_until(runtime, absl::Milliseconds(10));
  EXPECT_TRUE(await().result.ok());
}

TEST_P(HappyEyeballsTest, WithAnInfiniteDelayOneIsTriedAfterTheOther) {
  const SilentPort silent;
  Runtime runtime(options({silent.address(), "127.0.0.3:1"}));
  ConnectOptions patient;
  patient.connection_attempt_delay = absl::InfiniteDuration();
  patient.timeout = absl::Seconds(30);
  connect(runtime, patient);
  await_race(1);
  expect_no_other_until(runtime, absl::Seconds(30));
  const absl::Status status = await().result.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_EQ(system_.tried().size(), 1u);
}

TEST_P(HappyEyeballsTest, AfterAFailureTheNextIsTriedAtOnce) {
  const TcpPort refusing = refusing_port();
  const TcpPort listener = tcp_listener();
  Runtime runtime(options({on_loopback(refusing), on_loopback(listener)}));
  connect(runtime);
  const Told told = await();  // the clock stands still
  ASSERT_TRUE(told.result.ok()) << told.result.status();
  EXPECT_EQ(told.open, 1u);
}

// The one that fails is not the last that was tried.
TEST_P(HappyEyeballsTest, AFailureBesideASilentAddressStartsTheNextAtOnce) {
  const SilentPort silent;
  const TcpPort refusing = refusing_port();
  const SilentPort also_silent("127.0.0.2");
  const TcpPort listener = tcp_listener();
  Runtime runtime(options(
      {silent.address(), on_loopback(refusing), also_silent.address(), on_loopback(listener)}));
  connect(runtime);
  await_race(1);
  expect_no_other_until(runtime, kDelay);
  await_race(3);
  expect_no_other_until(runtime, kDelay);
  const Told told = await();
  ASSERT_TRUE(told.result.ok()) << told.result.status();
  EXPECT_EQ(told.result->peer_address().to_string(), on_loopback(listener));
  EXPECT_EQ(told.open, 1u);
}

TEST_P(HappyEyeballsTest, AnEarlierAddressMayStillWin) {
  const TcpPort listener = tcp_listener();
  const SilentPort silent;
  system_.hold_back(on_loopback(listener));
  Runtime runtime(options({on_loopback(listener), silent.address()}));
  connect(runtime);
  await_race(1);
  clock_.advance(kDelay);
  await_race(2);
  EXPECT_FALSE(is_told());
  system_.let_go();
  const Told told = await();
  ASSERT_TRUE(told.result.ok()) << told.result.status();
  EXPECT_EQ(told.result->peer_address().to_string(), on_loopback(listener));
  EXPECT_EQ(told.open, 1u);
}

TEST_P(HappyEyeballsTest, TheWinnerTalks) {
  const SilentPort silent;
  Observer server;
  Runtime runtime(options({}));
  const Listener listener = listen_on_loopback(runtime, [&](Connection& c) { server.watch(c); });
  RuntimeOptions racing = options({silent.address(), listener.address().to_string()});
  Runtime client(racing);
  connect(client);
  await_race(1);
  clock_.advance(kDelay);
  Told told = await();
  ASSERT_TRUE(told.result.ok()) << told.result.status();
  told.result->send("x");
  EXPECT_EQ(server.await_bytes(1), "x");
  told.result->close();
  EXPECT_TRUE(server.await_closed().ok());
}

TEST_P(HappyEyeballsTest, TheFamiliesTakeTurns) {
  OwnedFd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const absl::StatusOr<SocketAddress> loopback = SocketAddress::parse("[::1]:0");
  ASSERT_TRUE(loopback.ok());
  if (!probe.is_valid() || ::bind(probe.get(), loopback->data(), loopback->size()) != 0) {
    GTEST_SKIP() << "this machine has no IPv6";
  }
  const SilentPort first("[::1]");
  const SilentPort second("[::1]");
  const SilentPort third("127.0.0.1");
  Runtime runtime(options({first.address(), second.address(), third.address()}));
  connect(runtime);
  await_race(1);
  clock_.advance(kDelay);
  await_race(2);
  clock_.advance(kDelay);
  await_race(3);
  EXPECT_EQ(system_.tried(),
            (std::vector<std::string>{first.address(), third.address(), second.address()}));
  EXPECT_TRUE(runtime.shutdown().ok());
}

TEST_P(HappyEyeballsTest, OneDeadlineHoldsForAllAndTheErrorNamesThem) {
  const SilentPort first;
  const TcpPort refusing = refusing_port();
  const SilentPort last("127.0.0.2");
  Runtime runtime(options({first.address(), on_loopback(refusing), last.address()}));
  ConnectOptions second;
  second.timeout = absl::Seconds(1);
  connect(runtime, second);
  await_race(1);
  expect_no_other_until(runtime, kDelay);
  await_race(3);
  expect_no_other_until(runtime, absl::Seconds(1) - kDelay);
  const Told told = await();
  const absl::Status status = told.result.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(),
            absl::StrCat("connect(service.example:1): not connected within 1s; no answer from ",
                         first.address(), ", ", last.address(), "; connect(", on_loopback(refusing),
                         "): ECONNREFUSED (Connection refused)"));
  EXPECT_EQ(told.open, 0u);
  EXPECT_EQ(runtime.counters().connect_errors, 1u);
}

TEST_P(HappyEyeballsTest, WhenAllFailTheErrorNamesEach) {
  const TcpPort one = refusing_port();
  const TcpPort other = refusing_port();
  Runtime runtime(options({on_loopback(one), on_loopback(other)}));
  clock_.fail(KernelCall::kConnect, ENETUNREACH);
  connect(runtime);
  const Told told = await();
  const absl::Status status = told.result.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(errno_of(status), ECONNREFUSED) << "of the last one";
  EXPECT_EQ(status.message(),
            absl::StrCat("connect(service.example:1): no address connects; connect(",
                         on_loopback(one), "): ENETUNREACH (Network is unreachable); connect(",
                         on_loopback(other), "): ECONNREFUSED (Connection refused)"));
  EXPECT_EQ(told.open, 0u);
}

TEST_P(HappyEyeballsTest, TheTextOfManyFailuresIsBounded) {
  const TcpPort refusing = refusing_port();
  Runtime runtime(options(std::vector<std::string>(500, on_loopback(refusing))));
  ConnectOptions many;
  many.max_addresses = 400;
  connect(runtime, many);
  const absl::Status status = await().result.status();
  EXPECT_EQ(errno_of(status), ECONNREFUSED);
  EXPECT_TRUE(has(status, "; 383 more; ")) << status;
  EXPECT_TRUE(has(status, "; not tried (ConnectOptions::max_addresses): 100")) << status;
  EXPECT_LT(status.message().size(), 2000u);
}

TEST_P(HappyEyeballsTest, NoMoreAddressesAreTriedThanTheLimit) {
  const TcpPort refusing = refusing_port();
  const TcpPort listener = tcp_listener();
  const std::string refused = on_loopback(refusing);
  Runtime runtime(options({refused, refused, on_loopback(listener)}));
  ConnectOptions two;
  two.max_addresses = 2;
  connect(runtime, two);
  const absl::Status status = await().result.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(system_.tried(), (std::vector<std::string>{refused, refused}));
}

// The first attempt has taken the last descriptor.
TEST_P(HappyEyeballsTest, WithoutADescriptorTheNextAddressWaits) {
  const SilentPort silent;
  const TcpPort listener = tcp_listener();
  Runtime runtime(options({silent.address(), on_loopback(listener)}));
  connect(runtime);
  await_race(1);
  clock_.fail(KernelCall::kSocket, EMFILE);
  absl::Notification refused;
  clock_.before(KernelCall::kSocket, [&](const FaultKernel::Call& call) {
    if (call.nth == 2) refused.Notify();
  });
  clock_.advance(kDelay);
  refused.WaitForNotification();
  fence_order();
  clock_.advance(kDelay);
  const Told told = await();
  ASSERT_TRUE(told.result.ok()) << told.result.status();
  EXPECT_EQ(told.result->peer_address().to_string(), on_loopback(listener));
}

TEST_P(HappyEyeballsTest, ACancelEndsAllAttempts) {
  const SilentPort first;
  const SilentPort second("127.0.0.2");
  Runtime runtime(options({first.address(), second.address()}));
  ConnectAttempt attempt = connect(runtime);
  await_race(1);
  clock_.advance(kDelay);
  await_race(2);
  EXPECT_EQ(system_.open_sockets(), 2u);
  EXPECT_TRUE(attempt.cancel());
  const Told told = await();
  EXPECT_EQ(told.result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(told.open, 0u);
}

TEST_P(HappyEyeballsTest, AShutdownEndsAllAttempts) {
  const TcpPort refusing = refusing_port();
  const SilentPort first;
  const SilentPort second("127.0.0.2");
  Runtime runtime(options({on_loopback(refusing), first.address(), second.address()}));
  connect(runtime);
  await_race(2);
  clock_.advance(kDelay);
  await_race(3);
  EXPECT_TRUE(runtime.shutdown(absl::Seconds(10)).ok());
  const Told told = await();
  EXPECT_EQ(told.result.status().code(), absl::StatusCode::kCancelled) << told.result.status();
  EXPECT_EQ(told.open, 0u);
}

// -- Addresses of the caller. --

TEST_P(HappyEyeballsTest, AddressesOfTheCallerRaceAsThoseOfAName) {
  const SilentPort silent;
  const TcpPort refusing = refusing_port();
  const TcpPort listener = tcp_listener();
  Runtime runtime(options({}));
  connect_to(runtime, {silent.address(), on_loopback(refusing), on_loopback(listener)});
  await_race(1);
  expect_no_other_until(runtime, kDelay);
  const Told told = await();
  ASSERT_TRUE(told.result.ok()) << told.result.status();
  EXPECT_EQ(told.result->peer_address().to_string(), on_loopback(listener));
  EXPECT_EQ(told.open, 1u) << "those that lost are closed first";
  EXPECT_EQ(system_.tried(), (std::vector<std::string>{silent.address(), on_loopback(refusing),
                                                       on_loopback(listener)}));
}

TEST_P(HappyEyeballsTest, TheFamiliesOfTheCallersAddressesTakeTurns) {
  Runtime runtime(options({}));
  clock_.fail(KernelCall::kConnect, ENETUNREACH);  // one of them
  ConnectOptions three;
  three.max_addresses = 3;
  connect_to(runtime, {"127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1", "[::1]:1"}, three);
  const absl::Status status = await().result.status();
  EXPECT_TRUE(absl::StartsWith(status.message(),
                               "connect(127.0.0.2:1 and 3 more): no address connects; "
                               "connect(127.0.0.2:1): ENETUNREACH (Network is unreachable); "
                               "connect([::1]:1): "))
      << status;
  EXPECT_TRUE(has(status,
                  "; connect(127.0.0.3:1): ECONNREFUSED (Connection refused); "
                  "not tried (ConnectOptions::max_addresses): 1"))
      << status;
}

TEST_P(HappyEyeballsTest, OneDeadlineHoldsForTheCallersAddresses) {
  const SilentPort first;
  const SilentPort last("127.0.0.2");
  Runtime runtime(options({}));
  ConnectOptions second;
  second.timeout = absl::Seconds(1);
  connect_to(runtime, {first.address(), last.address()}, second);
  await_race(1);
  expect_no_other_until(runtime, kDelay);
  await_race(2);
  expect_no_other_until(runtime, absl::Seconds(1) - kDelay);
  const Told told = await();
  const absl::Status status = told.result.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(), absl::StrCat("connect(", first.address(),
                                           " and 1 more): not connected within 1s; no answer from ",
                                           first.address(), ", ", last.address()));
  EXPECT_EQ(told.open, 0u);
}

TEST_P(HappyEyeballsTest, OneAddressIsAsItsText) {
  const TcpPort refusing = refusing_port();
  Runtime runtime(options({}));
  connect_to(runtime, {on_loopback(refusing)});
  EXPECT_EQ(
      await().result.status().message(),
      absl::StrCat("connect(", on_loopback(refusing), "): ECONNREFUSED (Connection refused)"));
}

TEST_P(HappyEyeballsTest, BadAddressesOfTheCallerAreRefused) {
  const std::pair<std::vector<SocketAddress>, const char*> cases[] = {
      {{}, "connect(): there are no addresses"},
      {{SocketAddress()}, "connect(): address 1 of 1 is empty"},
      {{*SocketAddress::parse("127.0.0.1:1"), SocketAddress()},
       "connect(127.0.0.1:1 and 1 more): address 2 of 2 is empty"},
      {{*SocketAddress::parse("unix:/run/x"), *SocketAddress::parse("127.0.0.1:1")},
       "connect(unix:/run/x and 1 more): address 1 of 2 is a Unix socket, which must be the only "
       "address"},
  };
  Runtime runtime(options({}));
  for (const auto& [addresses, why] : cases) {
    absl::Notification told;
    const absl::Status expected = absl::InvalidArgumentError(why);
    runtime.connect(addresses, [&](absl::StatusOr<Connection> result) {
      EXPECT_EQ(result.status(), expected);
      told.Notify();
    });
    told.WaitForNotification();
  }
  EXPECT_TRUE(system_.tried().empty());
}

TEST_P(HappyEyeballsTest, AUnixSocketMayBeTheOnlyAddress) {
  Runtime runtime(options({}));
  const std::string address = absl::StrCat("unix:@epore-", ::getpid(), "-only");
  const auto listener = runtime.listen(address, [](Connection&) {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  connect_to(runtime, {address});
  EXPECT_TRUE(await().result.ok());
}

TEST_P(HappyEyeballsTest, AfterAShutdownTheCallersAddressesAreNotTried) {
  Runtime runtime(options({}));
  const std::vector<SocketAddress> addresses = parsed({"127.0.0.1:1", "127.0.0.2:1"});
  EXPECT_TRUE(runtime.shutdown().ok());
  int calls = 0;
  runtime.connect(addresses, [&](absl::StatusOr<Connection> result) {
    EXPECT_EQ(result.status(),
              absl::CancelledError("connect(127.0.0.1:1 and 1 more): the runtime is shut down"));
    ++calls;
  });
  EXPECT_EQ(calls, 1);
}

TEST_P(HappyEyeballsTest, ATaskConnectsToItsAddresses) {
  const SilentPort silent;
  const TcpPort listener = tcp_listener();
  const TcpPort refusing = refusing_port();
  Runtime runtime(options({on_loopback(refusing), on_loopback(listener)}));
  const auto find = [&]() -> Task<std::vector<SocketAddress>> {
    co_return parsed({silent.address(), on_loopback(listener)});
  };
  std::vector<std::string> peers;
  order_ = runtime.order();
  Job job = runtime.spawn_in(order_, [&]() -> Task<> {
    const Connection first = co_await epore::connect(co_await find());
    peers.push_back(first.peer_address().to_string());
    const Connection second = co_await epore::connect(co_await epore::resolve("service.example:1"),
                                                      ConnectOptions{.max_addresses = 2});
    peers.push_back(second.peer_address().to_string());
  });
  await_race(1);
  clock_.advance(kDelay);
  EXPECT_TRUE(job.wait().ok()) << job.wait();
  EXPECT_EQ(peers, (std::vector<std::string>{on_loopback(listener), on_loopback(listener)}));
}

// One permit of max_connections for all attempts, and it comes back.
TEST_P(HappyEyeballsTest, ARaceCountsAsOneConnection) {
  const SilentPort first;
  const SilentPort second("127.0.0.2");
  const TcpPort listener = tcp_listener();
  RuntimeOptions one = options({first.address(), second.address(), on_loopback(listener)});
  one.max_connections = 1;
  Runtime runtime(one);
  connect(runtime);
  for (std::size_t i = 1; i < 3; ++i) {
    await_race(i);
    clock_.advance(kDelay);
  }
  Told told = await();
  ASSERT_TRUE(told.result.ok()) << told.result.status();
  told.result->abort();
  while (runtime.counters().connections > 0) fence(runtime);
  absl::Notification again;
  runtime.connect(on_loopback(listener), [&](absl::StatusOr<Connection> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    again.Notify();
  });
  again.WaitForNotification();
}

// Each call that a race makes fails in each way and place: it is told once, and nothing is left.
TEST_P(HappyEyeballsTest, WhateverCallFailsItIsToldOnce) {
  const SilentPort silent;
  const TcpPort refusing = refusing_port();
  const TcpPort listener = tcp_listener();
  for (const KernelCall kind :
       {KernelCall::kSocket, KernelCall::kSetsockopt, KernelCall::kConnect, KernelCall::kGetsockopt,
        KernelCall::kGetpeername, KernelCall::kGetsockname, KernelCall::kEpollCtl}) {
    for (int k = 1; k <= 4; ++k) {
      SCOPED_TRACE(testing::Message() << "call " << k << " of kind " << static_cast<int>(kind));
      const ExpectNoFdLeak no_leak;
      Runtime runtime(options({silent.address(), on_loopback(refusing), on_loopback(listener)}));
      clock_.fail(kind, ENOMEM, k);
      std::atomic<int> calls = 0;
      runtime.connect("service.example:1", [&](absl::StatusOr<Connection>) { ++calls; });
      while (calls == 0) {
        absl::Notification ran;  // fence() makes calls of these kinds
        ASSERT_TRUE(runtime.post([&] { ran.Notify(); }).ok());
        ran.WaitForNotification();
        clock_.advance(kDelay);
      }
      EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
      EXPECT_EQ(calls, 1);
      clock_.fail(kind, 0);
    }
  }
}

TEST_P(HappyEyeballsTest, ATaskConnectsToTheFirstThatAnswers) {
  const SilentPort silent;
  const TcpPort listener = tcp_listener();
  Runtime runtime(options({silent.address(), on_loopback(listener)}));
  std::string peer;
  order_ = runtime.order();
  Job job = runtime.spawn_in(order_, [&]() -> Task<> {
    const Connection connection = co_await epore::connect("service.example:1");
    peer = connection.peer_address().to_string();
  });
  await_race(1);
  clock_.advance(kDelay);
  EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(peer, on_loopback(listener));
}

TEST_P(HappyEyeballsTest, AStoppedTaskEndsAllAttempts) {
  const SilentPort first;
  const SilentPort second("127.0.0.2");
  Runtime runtime(options({first.address(), second.address()}));
  order_ = runtime.order();
  Job job =
      runtime.spawn_in(order_, []() -> Task<> { co_await epore::connect("service.example:1"); });
  await_race(1);
  clock_.advance(kDelay);
  await_race(2);
  job.stop();
  EXPECT_EQ(job.wait().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(system_.open_sockets(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, HappyEyeballsTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
