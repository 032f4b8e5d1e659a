// What ICMP reports of datagrams that were sent: UdpOptions::icmp_errors, on the loopback
// interface.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using Batch = std::span<const Datagram>;
using Received = absl::StatusOr<Batch>;

Task<> echo(UdpSocket socket) {
  while (true) {
    for (const Datagram& d : co_await socket.receive()) (void)socket.send(d.bytes, d.peer);
  }
}

class UdpErrorsTest : public RuntimeTest {
 protected:
  // A port that refuses what is sent to it, as if nobody had it. Until the end of the test nobody
  // else is given it: its socket is bound, and connected to a peer that there is not.
  absl::StatusOr<SocketAddress> gone_port(const std::string& host) {
    absl::StatusOr<SocketAddress> address = SocketAddress::parse(absl::StrCat(host, ":0"));
    if (!address.ok()) return address;
    OwnedFd fd(::socket(address->data()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.is_valid() || ::bind(fd.get(), address->data(), address->size()) != 0) {
      return absl::UnavailableError(absl::StrCat("this machine has no ", host));
    }
    sockaddr_storage name;
    socklen_t size = sizeof name;
    PCHECK(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0);
    const SocketAddress nobody = address->with_port(1);
    PCHECK(::connect(fd.get(), nobody.data(), nobody.size()) == 0);
    gone_.push_back(std::move(fd));
    return SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&name), size);
  }

  static UdpOptions told() {
    UdpOptions options;
    options.icmp_errors = true;
    return options;
  }

  static UdpSocket open(Runtime& runtime, const UdpOptions& options = told(),
                        std::string_view address = "127.0.0.1:0") {
    absl::StatusOr<UdpSocket> socket = runtime.udp(address, options);
    CHECK_OK(socket.status());
    return *std::move(socket);
  }

  // Sends to the peer, and expects to be told, in a task, that nobody listens there.
  static absl::Status expect_told(Runtime& runtime, UdpSocket socket, SocketAddress gone) {
    return runtime.run([&]() -> Task<> {
      for (int i = 0; i < 3; ++i) {
        co_await socket.send("anybody?", gone);
        const Received received = co_await socket.receive().result();
        EXPECT_EQ(errno_of(received.status()), ECONNREFUSED) << received.status();
        EXPECT_EQ(received.status().code(), absl::StatusCode::kUnavailable);
        EXPECT_EQ(peer_of(received.status()), gone) << received.status();
        EXPECT_TRUE(absl::StrContains(received.status().message(), gone.to_string()));
      }
    });
  }

 private:
  std::vector<OwnedFd> gone_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, UdpErrorsTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(UdpErrorsTest, AnUnconnectedSocketIsToldWhichPeerIsGone) {
  const absl::StatusOr<SocketAddress> gone = gone_port("127.0.0.1");
  ASSERT_TRUE(gone.ok()) << gone.status();
  Runtime runtime(options());
  const UdpSocket socket = open(runtime);
  const absl::Status status = expect_told(runtime, socket, *gone);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(socket.counters().icmp_errors, 3u);
  EXPECT_EQ(socket.counters().send_errors, 0u);
}

TEST_P(UdpErrorsTest, SoIsOneOfIpv6) {
  const absl::StatusOr<SocketAddress> gone = gone_port("[::1]");
  if (!gone.ok()) GTEST_SKIP() << gone.status();
  Runtime runtime(options());
  const absl::Status status = expect_told(runtime, open(runtime, told(), "[::1]:0"), *gone);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(UdpErrorsTest, SoIsOneOfBothFamilies) {
  const absl::StatusOr<SocketAddress> v6 = gone_port("[::1]");
  if (!v6.ok()) GTEST_SKIP() << v6.status();
  const absl::StatusOr<SocketAddress> v4 = gone_port("127.0.0.1");
  ASSERT_TRUE(v4.ok()) << v4.status();
  const absl::StatusOr<SocketAddress> mapped =
      SocketAddress::parse(absl::StrCat("[::ffff:127.0.0.1]:", v4->port()));
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  Runtime runtime(options());
  const UdpSocket socket = open(runtime, told(), "[::]:0");
  for (const SocketAddress& gone : {*v6, *mapped}) {
    const absl::Status status = expect_told(runtime, socket, gone);
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_P(UdpErrorsTest, AConnectedSocketNamesItsPeerInAnyCase) {
  const absl::StatusOr<SocketAddress> gone = gone_port("127.0.0.1");
  ASSERT_TRUE(gone.ok()) << gone.status();
  Runtime runtime(options());
  for (const bool is_told : {false, true}) {
    UdpOptions connected;
    connected.peer = *gone;
    connected.icmp_errors = is_told;
    UdpSocket socket = open(runtime, connected, "");
    const absl::Status status = runtime.run([&]() -> Task<> {
      co_await socket.send("anybody?");
      const Received received = co_await socket.receive().result();
      EXPECT_EQ(errno_of(received.status()), ECONNREFUSED) << received.status();
      EXPECT_EQ(peer_of(received.status()), *gone) << received.status();
    });
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_TRUE(peer_of(absl::OkStatus()).is_empty());
  EXPECT_TRUE(peer_of(absl::UnavailableError("of something else")).is_empty());
}

TEST_P(UdpErrorsTest, ACallbackIsTold) {
  const absl::StatusOr<SocketAddress> gone = gone_port("127.0.0.1");
  ASSERT_TRUE(gone.ok()) << gone.status();
  absl::Mutex mutex;
  std::vector<absl::Status> errors;
  Runtime runtime(options());
  absl::StatusOr<UdpSocket> socket = runtime.udp(
      "127.0.0.1:0",
      [&](UdpSocket&, Received received) {
        const absl::MutexLock lock(&mutex);
        errors.push_back(received.status());
      },
      told());
  ASSERT_TRUE(socket.ok()) << socket.status();
  ASSERT_TRUE(socket->send("anybody?", *gone).ok());
  const auto is_told = [&] { return !errors.empty(); };
  const absl::MutexLock lock(&mutex);
  mutex.Await(absl::Condition(&is_told));
  EXPECT_EQ(errno_of(errors[0]), ECONNREFUSED) << errors[0];
  EXPECT_EQ(peer_of(errors[0]), *gone);
}

TEST_P(UdpErrorsTest, ACallbackThatClosesIsNotCalledAgain) {
  const absl::StatusOr<SocketAddress> gone = gone_port("127.0.0.1");
  ASSERT_TRUE(gone.ok()) << gone.status();
  std::atomic<int> calls = 0;
  Runtime runtime(options());
  {
    absl::StatusOr<UdpSocket> socket = runtime.udp(
        "127.0.0.1:0",
        [&](UdpSocket& self, Received received) {
          EXPECT_FALSE(received.ok());
          ++calls;
          self.close();
        },
        told());
    ASSERT_TRUE(socket.ok()) << socket.status();
    for (int i = 0; i < 5; ++i) (void)socket->send("anybody?", *gone);
  }
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_LE(calls, 1);
}

TEST_P(UdpErrorsTest, WithoutTheOptionNothingIsTold) {
  const absl::StatusOr<SocketAddress> gone = gone_port("127.0.0.1");
  ASSERT_TRUE(gone.ok()) << gone.status();
  Runtime runtime(options());
  UdpSocket server = open(runtime);
  UdpSocket socket = open(runtime, UdpOptions());
  Job job = runtime.spawn(echo, server);
  const absl::Status status = runtime.run([&]() -> Task<> {
    co_await socket.send("anybody?", *gone);
    co_await socket.send("you?", server.address());
    const Batch batch = co_await socket.receive();
    EXPECT_EQ(batch[0].bytes.text(), "you?");
  });
  EXPECT_TRUE(status.ok()) << status;
  job.stop();
}

// An error makes the next send fail, whatever its address is.
TEST_P(UdpErrorsTest, NoDatagramToAnotherPeerIsLost) {
  constexpr int kEach = 50;
  const absl::StatusOr<SocketAddress> gone = gone_port("127.0.0.1");
  ASSERT_TRUE(gone.ok()) << gone.status();
  Runtime runtime(options());
  UdpSocket server = open(runtime);
  for (const bool one_by_one : {false, true}) {
    UdpSocket socket = open(runtime);
    const absl::Status status = runtime.run([&]() -> Task<> {
      for (int i = 0; i < kEach; ++i) {
        co_await socket.send("anybody?", *gone);
        co_await socket.send(absl::StrCat(i), server.address());
        if (one_by_one) co_await yield();
      }
      std::size_t next = 0;
      while (next < kEach) {
        for (const Datagram& datagram : co_await server.receive()) {
          EXPECT_EQ(datagram.bytes.text(), absl::StrCat(next));
          ++next;
        }
      }
    });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(socket.counters().send_errors, 0u);
    EXPECT_EQ(socket.counters().sent, 2u * kEach);
  }
}

TEST_P(UdpErrorsTest, ErrorsAndDatagramsWaitForAReceiver) {
  const absl::StatusOr<SocketAddress> first = gone_port("127.0.0.1");
  const absl::StatusOr<SocketAddress> second = gone_port("127.0.0.2");
  ASSERT_TRUE(first.ok() && second.ok());
  Runtime runtime(options());
  UdpSocket server = open(runtime);
  UdpSocket socket = open(runtime, told(), "0.0.0.0:0");
  Job job = runtime.spawn(echo, server);
  ASSERT_TRUE(socket.send("anybody?", *first).ok());
  ASSERT_TRUE(socket.send("anybody?", *second).ok());
  ASSERT_TRUE(socket.send("you?", server.address()).ok());
  while (socket.counters().sent < 3) fence(runtime);
  std::vector<std::string> got;
  const absl::Status status = runtime.run([&]() -> Task<> {
    while (got.size() < 3) {
      const Received received = co_await socket.receive().result();
      if (received.ok()) {
        got.emplace_back(received->front().bytes.text());
      } else {
        got.push_back(peer_of(received.status()).to_string());
      }
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  std::sort(got.begin(), got.end());
  std::vector<std::string> expected = {first->to_string(), second->to_string(), "you?"};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(got, expected);
  job.stop();
}

TEST_P(UdpErrorsTest, AQueueThatCannotBeReadTellsTheErrorAlone) {
  const absl::StatusOr<SocketAddress> gone = gone_port("127.0.0.1");
  ASSERT_TRUE(gone.ok()) << gone.status();
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  kernel_.fail(KernelCall::kRecvmsg, ENOBUFS, 1, 2);
  const absl::Status status = runtime.run([&]() -> Task<> {
    co_await socket.send("anybody?", *gone);
    const Received received = co_await socket.receive().result();
    EXPECT_EQ(errno_of(received.status()), ECONNREFUSED) << received.status();
  });
  EXPECT_TRUE(status.ok()) << status;
}

// While it is full, no datagram finds room, and poll(2) says so.
class FullKernel : public FaultKernel {
 public:
  using FaultKernel::FaultKernel;

  SysResult sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override {
    if (!is_full) return FaultKernel::sendmmsg(fd, messages, count, flags);
    fd_ = fd;
    if (++looks_ == kLooks) has_looked.Notify();
    return SysResult::from_errno(EAGAIN);
  }
  SysResult ppoll(pollfd* fds, std::size_t count, const timespec* timeout) override {
    std::vector<pollfd> asked(fds, fds + count);
    for (pollfd& one : asked) {
      if (is_full && one.fd == fd_) one.events &= static_cast<short>(~POLLOUT);
    }
    const SysResult ready = FaultKernel::ppoll(asked.data(), count, timeout);
    for (std::size_t i = 0; i < count; ++i) {
      fds[i].revents = asked[i].revents;
      if (is_full && fds[i].fd == fd_ && fds[i].revents != 0) ++told;
    }
    return ready;
  }

  static constexpr int kLooks = 20;
  std::atomic<bool> is_full{false};
  std::atomic<int> told{0};
  absl::Notification has_looked;

 private:
  std::atomic<int> fd_{-1};
  std::atomic<int> looks_{0};
};

TEST_P(UdpErrorsTest, AnErrorThatNobodyReadsDoesNotTurnTheLoopOfASenderThatWaits) {
  if (GetParam().selector != "poll") GTEST_SKIP() << "an edge is told once";
  const absl::StatusOr<SocketAddress> gone = gone_port("127.0.0.1");
  ASSERT_TRUE(gone.ok()) << gone.status();
  FullKernel kernel(system_);
  RuntimeOptions full = options();
  full.kernel = &kernel;
  Runtime runtime(full);
  UdpSocket server = open(runtime);
  UdpSocket socket = open(runtime);
  ASSERT_TRUE(socket.send("anybody?", *gone).ok());
  while (socket.counters().sent < 1) fence(runtime);
  kernel.is_full = true;
  ASSERT_TRUE(socket.send("you?", server.address()).ok());
  kernel.has_looked.WaitForNotification();
  EXPECT_LE(kernel.told, 2) << "of " << FullKernel::kLooks << " looks";
  kernel.is_full = false;
  const absl::Status status = runtime.run([&]() -> Task<> {
    const Batch batch = co_await server.receive();
    EXPECT_EQ(batch[0].bytes.text(), "you?");
    const Received received = co_await socket.receive().result();
    EXPECT_EQ(peer_of(received.status()), *gone) << received.status();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(UdpErrorsTest, AnOptionThatTheSystemRefusesIsAnError) {
  Runtime runtime(options());
  kernel_.fail_if(KernelCall::kSetsockopt,
                  [](const FaultKernel::Call& call) { return call.nth == 1 ? ENOPROTOOPT : 0; });
  const absl::Status status = runtime.udp("127.0.0.1:0", told()).status();
  EXPECT_EQ(errno_of(status), ENOPROTOOPT) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "IP_RECVERR")) << status;
  kernel_.fail_if(KernelCall::kSetsockopt, nullptr);
}

}  // namespace
}  // namespace epore
