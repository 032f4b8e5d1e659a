// UdpSocket, with real sockets on the loopback interface.

#include "epore/runtime/udp.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/plain_udp.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using Batch = std::span<const Datagram>;
using Received = absl::StatusOr<Batch>;

class UdpTest : public RuntimeTest {
 protected:
  UdpSocket open(Runtime& runtime, const UdpOptions& options = {},
                 std::string_view address = "127.0.0.1:0") {
    absl::StatusOr<UdpSocket> socket = runtime.udp(address, options);
    CHECK_OK(socket.status());
    return *std::move(socket);
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, UdpTest, testing::ValuesIn(all_modes()), mode_name);

SocketAddress parse(std::string_view text) { return *SocketAddress::parse(text); }

using Plain = PlainUdp;

Task<> echo(UdpSocket socket) {
  while (true) {
    for (const Datagram& datagram : co_await socket.receive()) {
      co_await socket.send(datagram.bytes, datagram.peer);
    }
  }
}

TEST_P(UdpTest, ACoroutineAnswers) {
  Plain peer;
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  Job job = runtime.spawn(echo, socket);
  for (int i = 0; i < 100; ++i) {
    peer.send(std::to_string(i), socket.address());
    SocketAddress from;
    EXPECT_EQ(peer.receive(&from), std::to_string(i));
    EXPECT_EQ(from, socket.address());
  }
  peer.send("", socket.address());
  EXPECT_EQ(peer.receive(), "") << "a datagram may be empty";
  EXPECT_EQ(socket.counters().received, 101u);
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

TEST_P(UdpTest, ACallbackAnswersInItsOrder) {
  Plain peer;
  Runtime runtime(options());
  UdpOptions with_order;
  with_order.order = runtime.order();
  auto socket = runtime.udp(
      "127.0.0.1:0",
      [&](UdpSocket& self, Received received) {
        ASSERT_TRUE(received.ok()) << received.status();
        EXPECT_TRUE(with_order.order.is_current());
        for (const Datagram& datagram : *received) {
          EXPECT_EQ(datagram.peer, peer.address());
          EXPECT_TRUE(datagram.local.is_empty());
          EXPECT_TRUE(self.send(datagram.bytes, datagram.peer).ok());
        }
      },
      with_order);
  ASSERT_TRUE(socket.ok()) << socket.status();
  const SocketAddress address = socket->address();
  *socket = UdpSocket();  // the callback keeps it open
  for (int i = 0; i < 100; ++i) {
    peer.send(std::to_string(i), address);
    EXPECT_EQ(peer.receive(), std::to_string(i));
  }
}

TEST_P(UdpTest, WhatIsThereComesInOneCallAndLeavesInOne) {
  Plain peer;
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  for (int i = 0; i < 20; ++i) peer.send(std::to_string(i), socket.address());
  absl::Status status = runtime.run([&]() -> Task<> {
    Batch batch = co_await socket.receive();
    EXPECT_EQ(batch.size(), 20u);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(batch[i].bytes.text(), std::to_string(i));
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(kernel_.calls(KernelCall::kRecvmmsg), 1u);
}

TEST_P(UdpTest, WhatACallbackSendsLeavesInOneCall) {
  Plain peer;
  Runtime runtime(options());
  auto socket = runtime.udp("127.0.0.1:0", [&](UdpSocket& self, Received received) {
    ASSERT_TRUE(received.ok());
    for (int i = 0; i < 20; ++i) (void)self.send(std::to_string(i), peer.address());
  });
  ASSERT_TRUE(socket.ok());
  peer.send("x", socket->address());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(peer.receive(), std::to_string(i));
  EXPECT_EQ(kernel_.calls(KernelCall::kSendmmsg), 1u);
}

TEST_P(UdpTest, MoreThanABatchComesInSeveral) {
  Plain peer;
  Runtime runtime(options());
  UdpOptions small;
  small.batch = 4;
  UdpSocket socket = open(runtime, small);
  for (int i = 0; i < 10; ++i) peer.send(std::to_string(i), socket.address());
  int next = 0;
  absl::Status status = runtime.run([&]() -> Task<> {
    while (next < 10) {
      Batch batch = co_await socket.receive();
      EXPECT_LE(batch.size(), 4u);
      for (const Datagram& datagram : batch) {
        EXPECT_EQ(datagram.bytes.text(), std::to_string(next));
        ++next;
      }
    }
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(UdpTest, WhatIsTooLongIsCutAndSaysSo) {
  Plain peer;
  Runtime runtime(options());
  UdpOptions small;
  small.max_datagram = 4;
  UdpSocket socket = open(runtime, small);
  peer.send("1234", socket.address());
  peer.send("12345", socket.address());
  absl::Status status = runtime.run([&]() -> Task<> {
    Batch batch = co_await socket.receive();
    EXPECT_EQ(batch.size(), 2u);
    EXPECT_FALSE(batch[0].is_truncated);
    EXPECT_TRUE(batch[1].is_truncated);
    EXPECT_EQ(batch[1].bytes.text(), "1234");
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(socket.counters().truncated, 1u);
}

TEST_P(UdpTest, AConnectedSocketHearsOfItsPeerOnly) {
  Plain peer;
  Plain stranger;
  Runtime runtime(options());
  UdpOptions connected;
  connected.peer = peer.address();
  UdpSocket socket = open(runtime, connected, "");
  ASSERT_TRUE(socket.send("hello").ok());
  SocketAddress from;
  EXPECT_EQ(peer.receive(&from), "hello");
  EXPECT_EQ(from.port(), socket.address().port());
  stranger.send("no", from);
  peer.send("yes", from);
  absl::Status status = runtime.run([&]() -> Task<> {
    Batch batch = co_await socket.receive();
    EXPECT_EQ(batch.size(), 1u);
    EXPECT_EQ(batch[0].bytes.text(), "yes");
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(UdpTest, AConnectedSocketIsToldThatNobodyListens) {
  Plain gone;
  gone.refuse_all();
  UdpOptions connected;
  connected.peer = gone.address();
  Runtime runtime(options());
  UdpSocket socket = open(runtime, connected, "");
  absl::Status status = runtime.run([&]() -> Task<> {
    for (int i = 0; i < 3; ++i) {
      co_await socket.send("anybody?");
      absl::StatusOr<Batch> received = co_await socket.receive().result();
      EXPECT_EQ(errno_of(received.status()), ECONNREFUSED) << received.status();
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  absl::Notification told;
  auto other = runtime.udp(
      "",
      [&](UdpSocket&, Received received) {
        EXPECT_EQ(errno_of(received.status()), ECONNREFUSED) << received.status();
        if (!told.HasBeenNotified()) told.Notify();
      },
      connected);
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(other->send("anybody?").ok());
  told.WaitForNotification();
}

TEST_P(UdpTest, AFullQueueRefusesAndGoesOn) {
  Plain peer;
  kernel_.fail(KernelCall::kSendmmsg, EAGAIN, 1, FaultKernel::kAlways);
  Runtime runtime(options());
  UdpOptions small;
  small.send_queue = 10'000;
  UdpSocket socket = open(runtime, small);
  const std::string kilobyte(1000, 'x');
  int accepted = 0;
  absl::Status refused;
  while (refused.ok()) {
    refused = socket.send(kilobyte, peer.address());
    if (refused.ok()) ++accepted;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(accepted, 7) << "256 bytes more for each";
  EXPECT_GE(socket.counters().refused, 1u);
  kernel_.fail(KernelCall::kSendmmsg, 0);
  // Any event makes it try again. With a real EAGAIN the system would report the room.
  peer.send("x", socket.address());
  absl::Status status = runtime.run([&]() -> Task<> { (void)co_await socket.receive().result(); });
  EXPECT_TRUE(status.ok()) << status;
  for (int i = 0; i < accepted; ++i) EXPECT_EQ(peer.receive(), kilobyte);
}

TEST_P(UdpTest, AnAnswerLeavesFromWhereTheQuestionWasSentTo) {
  Plain peer;
  Runtime runtime(options());
  UdpOptions local;
  local.local_address = true;
  UdpSocket socket = open(runtime, local, "0.0.0.0:0");
  const SocketAddress target = parse("127.0.0.2:1").with_port(socket.address().port());
  peer.send("x", target);
  absl::Status status = runtime.run([&]() -> Task<> {
    for (const Datagram& datagram : co_await socket.receive()) {
      EXPECT_EQ(datagram.local, target.with_port(0));
      co_await socket.send("y", datagram.peer, datagram.local);
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  SocketAddress from;
  EXPECT_EQ(peer.receive(&from), "y");
  EXPECT_EQ(from, target);
}

TEST_P(UdpTest, BothFamiliesAndTheirLocalAddresses) {
  Plain v4;
  Runtime runtime(options());
  UdpOptions local;
  local.local_address = true;
  absl::StatusOr<UdpSocket> socket = runtime.udp("[::]:0", local);
  if (!socket.ok()) GTEST_SKIP() << socket.status();
  v4.send("x", parse("127.0.0.1:1").with_port(socket->address().port()));
  absl::Status status = runtime.run([&]() -> Task<> {
    for (const Datagram& datagram : co_await socket->receive()) {
      EXPECT_EQ(datagram.peer.unmapped(), v4.address());
      EXPECT_EQ(datagram.local.unmapped(), parse("127.0.0.1:0"));
      co_await socket->send("y", datagram.peer, datagram.local);
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(v4.receive(), "y");
}

TEST_P(UdpTest, SegmentsArriveOneByOne) {
  for (const int error : {0, EIO, EINVAL}) {
    Plain peer;
    Runtime runtime(options());
    UdpSocket socket = open(runtime);
    if (error != 0) kernel_.fail(KernelCall::kSendmmsg, error);
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(socket.send_segments("aaaabbbbcc", 4, peer.address()).ok());
      EXPECT_EQ(peer.receive(), "aaaa");
      EXPECT_EQ(peer.receive(), "bbbb");
      EXPECT_EQ(peer.receive(), "cc");
    }
    EXPECT_EQ(socket.counters().send_errors, 0u);
    EXPECT_TRUE(
        absl::IsInvalidArgument(socket.send_segments(std::string(65, 'x'), 1, peer.address())));
    EXPECT_TRUE(absl::IsInvalidArgument(socket.send_segments("x", 0, peer.address())));
    EXPECT_TRUE(runtime.shutdown().ok());
    kernel_.fail(KernelCall::kSendmmsg, 0);
  }
}

bool has_udp_segment() {
  const OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd.get(), IPPROTO_UDP, 103 /* UDP_SEGMENT */, &value, &size) == 0;
}

// 60 datagrams in one callback are five pieces for the system, and 60 for the peers.
TEST_P(UdpTest, DatagramsOfOneSizeToOnePeerLeaveTogether) {
  for (const int error : {0, EINVAL, ENETUNREACH}) {
    Plain peer;
    Plain other;
    std::atomic<std::int64_t> pieces{0};
    kernel_.after(KernelCall::kSendmmsg,
                  [&](const FaultKernel::Call& call) { pieces = call.result.value(); });
    if (error != 0) kernel_.fail(KernelCall::kSendmmsg, error);
    Runtime runtime(options());
    const auto text = [](int i) { return std::to_string(i) + std::string(100, 'x'); };
    auto socket = runtime.udp("127.0.0.1:0", [&](UdpSocket& self, Received received) {
      ASSERT_TRUE(received.ok());
      for (int i = 10; i < 65; ++i) (void)self.send(text(i), peer.address());
      (void)self.send("elsewhere", other.address());
      (void)self.send("", peer.address());
      (void)self.send("long", peer.address());
      (void)self.send("end", peer.address());
      (void)self.send("longer", peer.address());
    });
    ASSERT_TRUE(socket.ok());
    other.send("x", socket->address());
    for (int i = 10; i < 65; ++i) EXPECT_EQ(peer.receive(), text(i));
    for (const char* last : {"", "long", "end", "longer"}) EXPECT_EQ(peer.receive(), last);
    EXPECT_EQ(other.receive(), "elsewhere");
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_EQ(socket->counters().sent, 60u);
    EXPECT_EQ(socket->counters().send_errors, 0u);
    if (error == 0 && has_udp_segment()) {
      EXPECT_EQ(pieces, 5);
    }
    kernel_.fail(KernelCall::kSendmmsg, 0);
    kernel_.after(KernelCall::kSendmmsg, {});
  }
}

// An error of another datagram may wait in the socket, whatever it is.
TEST_P(UdpTest, AnErrorOfAnotherDatagramLosesNone) {
  Plain peer;
  Runtime runtime(options());
  UdpOptions told;
  told.icmp_errors = true;
  UdpSocket socket = open(runtime, told);
  for (const int error : {EMSGSIZE, EPROTO, EACCES}) {
    kernel_.fail(KernelCall::kSendmmsg, error);
    ASSERT_TRUE(socket.send("x", peer.address()).ok());
    EXPECT_EQ(peer.receive(), "x");
  }
  EXPECT_EQ(socket.counters().send_errors, 0u);
}

// Registering for "writable" wakes the poll thread for each datagram that leaves the socket.
TEST_P(UdpTest, RoomIsAskedForWhileItIsMissing) {
  if (GetParam().selector != "epoll") GTEST_SKIP() << "counts calls of epoll";
  Plain peer;
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  const std::uint64_t registrations = kernel_.calls(KernelCall::kEpollCtl);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(socket.send("x", peer.address()).ok());
    EXPECT_EQ(peer.receive(), "x");
  }
  EXPECT_EQ(kernel_.calls(KernelCall::kEpollCtl), registrations);
  kernel_.fail(KernelCall::kSendmmsg, EAGAIN);
  ASSERT_TRUE(socket.send("waits", peer.address()).ok());
  EXPECT_EQ(peer.receive(), "waits") << "there is room, and registering for it says so";
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(socket.send("y", peer.address()).ok());
    EXPECT_EQ(peer.receive(), "y");
  }
  EXPECT_EQ(kernel_.calls(KernelCall::kEpollCtl), registrations + 2) << "and then no more";
}

TEST_P(UdpTest, RoomThatCannotBeAskedForIsLookedFor) {
  if (GetParam().selector != "epoll") GTEST_SKIP() << "a call of epoll fails";
  Plain peer;
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  kernel_.fail(KernelCall::kSendmmsg, EAGAIN);
  kernel_.fail(KernelCall::kEpollCtl, ENOMEM);
  ASSERT_TRUE(socket.send("waits", peer.address()).ok());
  EXPECT_EQ(peer.receive(), "waits");
}

TEST_P(UdpTest, WhatTheSystemPutsTogetherIsTakenApart) {
  Runtime runtime(options());
  UdpOptions offload;
  offload.receive_offload = true;
  UdpSocket receiver = open(runtime, offload);
  UdpSocket sender = open(runtime);
  ASSERT_TRUE(sender.send_segments("aaaabbbbcc", 4, receiver.address()).ok());
  std::vector<std::string> got;
  absl::Status status = runtime.run([&]() -> Task<> {
    while (got.size() < 3) {
      for (const Datagram& datagram : co_await receiver.receive()) {
        got.emplace_back(datagram.bytes.text());
      }
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(got, std::vector<std::string>({"aaaa", "bbbb", "cc"}));
}

TEST_P(UdpTest, WhatTheSystemDropsIsCounted) {
  Plain peer;
  Runtime runtime(options());
  UdpOptions small;
  small.receive_buffer = 4096;
  UdpSocket socket = open(runtime, small);
  const std::string kilobyte(1000, 'x');
  for (int i = 0; i < 200; ++i) peer.send(kilobyte, socket.address());
  absl::Status status = runtime.run([&]() -> Task<> {
    co_await socket.receive();
    peer.send("last", socket.address());
    co_await socket.receive();
  });
  EXPECT_TRUE(status.ok()) << status;
  const UdpCounters counters = socket.counters();
  EXPECT_GT(counters.dropped, 0u);
  EXPECT_EQ(counters.received + counters.dropped, 201u);
}

TEST_P(UdpTest, ALostAnyAndADeadlineLoseNoDatagram) {
  Plain peer;
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  absl::Status status = runtime.run([&]() -> Task<> {
    auto late = co_await within(absl::Nanoseconds(1), socket.receive()).result();
    EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
    peer.send("x", socket.address());
    auto first = co_await any(yield(), socket.receive());
    if (first.index() == 0) {
      Batch batch = co_await socket.receive();
      EXPECT_EQ(batch[0].bytes.text(), "x");
    }
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(UdpTest, CloseEndsAReceiver) {
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  absl::Notification waits;
  Job job = runtime.spawn([&]() -> Task<> {
    waits.Notify();
    co_await socket.receive();
    ADD_FAILURE();
  });
  waits.WaitForNotification();
  socket.close();
  EXPECT_TRUE(absl::IsCancelled(job.wait()) || absl::IsFailedPrecondition(job.wait()));
  EXPECT_TRUE(absl::IsFailedPrecondition(socket.send("x", socket.address())));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(runtime.run([&]() -> Task<> { co_await socket.receive(); })));
  EXPECT_TRUE(absl::IsFailedPrecondition(socket.join(parse("239.1.2.3:1"))));
  socket.close();
}

TEST_P(UdpTest, ASecondReceiverIsRefused) {
  Plain peer;
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  absl::Status status =
      runtime.run([&]() -> Task<> { co_await all(socket.receive(), socket.receive()); });
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  auto with_callback = runtime.udp("127.0.0.1:0", [](UdpSocket&, Received) {});
  ASSERT_TRUE(with_callback.ok());
  status = runtime.run([&]() -> Task<> { co_await with_callback->receive(); });
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST_P(UdpTest, WhatCannotBeOpenedSaysWhy) {
  Plain taken;
  Runtime runtime(options());
  const auto status_of = [&](std::string_view address, const UdpOptions& options = {}) {
    return runtime.udp(address, options).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(status_of("")));
  EXPECT_TRUE(absl::IsInvalidArgument(status_of("no")));
  EXPECT_TRUE(absl::IsInvalidArgument(status_of("unix:@x")));
  EXPECT_EQ(errno_of(status_of(taken.address().to_string())), EADDRINUSE);
  EXPECT_EQ(errno_of(status_of("192.0.2.1:0")), EADDRNOTAVAIL);
  UdpOptions bad;
  bad.batch = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(status_of("127.0.0.1:0", bad)));
  EXPECT_TRUE(absl::IsInvalidArgument(runtime.udp("127.0.0.1:0", UdpSocket::Callback()).status()));
  UdpSocket none;
  EXPECT_TRUE(absl::IsFailedPrecondition(none.send("x")));
  EXPECT_TRUE(none.address().is_empty());
  UdpSocket socket = open(runtime);
  EXPECT_TRUE(absl::IsInvalidArgument(socket.send("x")));
  EXPECT_TRUE(absl::IsInvalidArgument(socket.send(std::string(70000, 'x'), taken.address())));
}

TEST_P(UdpTest, ASystemWithoutBatchesIsServedOneByOne) {
  Plain peer;
  kernel_.fail(KernelCall::kRecvmmsg, EPERM, 1, FaultKernel::kAlways);
  kernel_.fail(KernelCall::kSendmmsg, ENOSYS, 1, FaultKernel::kAlways);
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  Job job = runtime.spawn(echo, socket);
  for (int i = 0; i < 10; ++i) peer.send(std::to_string(i), socket.address());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(peer.receive(), std::to_string(i));
  EXPECT_EQ(kernel_.calls(KernelCall::kRecvmmsg), 1u);
  EXPECT_EQ(kernel_.calls(KernelCall::kSendmmsg), 1u);
}

TEST_P(UdpTest, WhatIsRefusedIsDroppedAndCounted) {
  Plain peer;
  kernel_.fail(KernelCall::kSendmmsg, ENETUNREACH);
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  ASSERT_TRUE(socket.send("lost", peer.address()).ok());
  ASSERT_TRUE(socket.send("found", peer.address()).ok());
  EXPECT_EQ(peer.receive(), "found");
  EXPECT_EQ(socket.counters().send_errors, 1u);
}

TEST_P(UdpTest, ACallbackThatThrowsEndsItsSocket) {
  Plain peer;
  auto alive = std::make_shared<absl::Notification>();
  struct Told {
    explicit Told(std::shared_ptr<absl::Notification> n) : n_(std::move(n)) {}
    Told(Told&&) = default;
    ~Told() {
      if (n_ != nullptr) n_->Notify();
    }
    std::shared_ptr<absl::Notification> n_;
  };
  Runtime runtime(options());
  auto socket = runtime.udp("127.0.0.1:0", [told = Told(alive)](UdpSocket&, Received) {
    throw std::runtime_error("no");
  });
  ASSERT_TRUE(socket.ok());
  peer.send("x", socket->address());
  alive->WaitForNotification();
  EXPECT_TRUE(absl::IsFailedPrecondition(socket->send("x", peer.address())));
}

TEST_P(UdpTest, TheLastHandleClosesIt) {
  Runtime runtime(options());
  SocketAddress address;
  { address = open(runtime).address(); }
  // The port is free again, soon.
  absl::StatusOr<UdpSocket> again = absl::UnknownError("");
  while (!again.ok()) {
    again = runtime.udp(address.to_string());
    ASSERT_TRUE(again.ok() || errno_of(again.status()) == EADDRINUSE) << again.status();
  }
}

TEST_P(UdpTest, AShutdownEndsSockets) {
  Plain peer;
  UdpSocket handle;
  {
    Runtime runtime(options());
    auto socket = runtime.udp("127.0.0.1:0", [](UdpSocket& self, Received received) {
      for (const Datagram& d : *received) (void)self.send(d.bytes, d.peer);
    });
    ASSERT_TRUE(socket.ok());
    handle = *socket;
    (void)runtime.spawn(echo, open(runtime));
    peer.send("x", handle.address());
    EXPECT_EQ(peer.receive(), "x");
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(runtime.udp("127.0.0.1:0").status()));
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(handle.send("x", peer.address())));
}

TEST_P(UdpTest, ManyThreadsSendWhileItCloses) {
  Plain peer;
  for (int round = 0; round < 20; ++round) {
    Runtime runtime(options());
    UdpSocket socket = open(runtime);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 20; ++k) (void)socket.send("x", peer.address());
        (void)socket.join(parse("239.1.2.3:1"));
      });
    }
    socket.close();
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_P(UdpTest, TenThousandSocketsLeakNothing) {
  Runtime runtime(options());
  for (int i = 0; i < 10'000; ++i) {
    absl::StatusOr<UdpSocket> socket = runtime.udp("127.0.0.1:0");
    while (errno_of(socket.status()) == EMFILE) socket = runtime.udp("127.0.0.1:0");
    ASSERT_TRUE(socket.ok()) << i << socket.status();
  }
}

TEST_P(UdpTest, EachCallThatFailsLeavesNothing) {
  for (const KernelCall kind : {KernelCall::kSocket, KernelCall::kBind, KernelCall::kGetsockname,
                                KernelCall::kEpollCtl, KernelCall::kSetsockopt}) {
    Plain peer;
    Runtime runtime(options());
    kernel_.fail(kind, ENOMEM);
    absl::StatusOr<UdpSocket> socket = runtime.udp("127.0.0.1:0");
    kernel_.fail(kind, 0);
    if (!socket.ok()) continue;
    Job job = runtime.spawn(echo, *std::move(socket));
    job.stop();
    (void)job.wait();
  }
}

}  // namespace
}  // namespace epore
