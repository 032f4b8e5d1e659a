// What the system fails to receive, and what a server makes of it: it goes on, unless its
// descriptor is none any more.

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/log_severity.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/plain_udp.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

using Received = absl::StatusOr<std::span<const Datagram>>;

Task<> echo(UdpSocket socket) {
  while (true) {
    for (const Datagram& d : co_await socket.receive()) (void)socket.send(d.bytes, d.peer);
  }
}

using UdpReceiveErrorsTest = RuntimeTest;

INSTANTIATE_TEST_SUITE_P(Everywhere, UdpReceiveErrorsTest, testing::ValuesIn(all_modes()),
                         mode_name);

TEST_P(UdpReceiveErrorsTest, AServerOutlivesWhatPasses) {
  for (const int error : {ENOMEM, ENOBUFS, EIO, ECONNREFUSED}) {
    SCOPED_TRACE(error);
    LogLines log(absl::LogSeverity::kWarning);
    PlainUdp client;
    Runtime runtime(options());
    const absl::StatusOr<UdpSocket> socket = runtime.udp("127.0.0.1:0");
    ASSERT_TRUE(socket.ok()) << socket.status();
    kernel_.fail(KernelCall::kRecvmmsg, error, 1, 3);
    const Job job = runtime.spawn(echo, *socket);
    client.send("1", socket->address());
    while (socket->counters().received == 0 && !job.status()) std::this_thread::yield();
    ASSERT_FALSE(job.status()) << *job.status();
    EXPECT_EQ(client.receive(), "1");
    EXPECT_EQ(socket->counters().receive_errors, 3u);
    EXPECT_EQ(log.count("tries again to receive (1 failures since"), 1) << log.text();
    job.stop();
  }
}

// A peer may be why a connected socket cannot receive, and its owner wants to know. Without memory
// it is not.
TEST_P(UdpReceiveErrorsTest, AConnectedSocketIsToldOfItsPeerAlone) {
  PlainUdp peer;
  Runtime runtime(options());
  UdpOptions connected;
  connected.peer = peer.address();
  absl::StatusOr<UdpSocket> socket = runtime.udp("", connected);
  ASSERT_TRUE(socket.ok()) << socket.status();
  kernel_.fail_if(KernelCall::kRecvmmsg, [](const FaultKernel::Call& call) {
    return call.nth == 1 ? ENOMEM : call.nth == 2 ? ECONNREFUSED : 0;
  });
  peer.send("1", socket->address());
  const absl::Status status = runtime.run([&]() -> Task<> {
    const Received told = co_await socket->receive().result();
    EXPECT_EQ(errno_of(told.status()), ECONNREFUSED) << told.status();
    EXPECT_EQ(peer_of(told.status()), peer.address());
    const Received batch = co_await socket->receive().result();
    EXPECT_TRUE(batch.ok()) << batch.status();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(socket->counters().receive_errors, 1u);
  kernel_.fail_if(KernelCall::kRecvmmsg, nullptr);
}

TEST_P(UdpReceiveErrorsTest, TheBackoffDoubles) {
  ClockKernel clock(system_);
  LogLines log(absl::LogSeverity::kWarning);
  PlainUdp peer;
  absl::Notification received;
  RuntimeOptions still = options();
  still.kernel = &clock;
  Runtime runtime(still);
  clock.fail(KernelCall::kRecvmmsg, ENOBUFS, 1, FaultKernel::kAlways);
  const absl::StatusOr<UdpSocket> socket =
      runtime.udp("127.0.0.1:0", [&](UdpSocket&, const Received& batch) {
        EXPECT_TRUE(batch.ok()) << batch.status();
        received.Notify();
      });
  ASSERT_TRUE(socket.ok()) << socket.status();
  peer.send("1", socket->address());
  const auto errors = [&] { return socket->counters().receive_errors; };
  while (errors() == 0) std::this_thread::yield();
  std::uint64_t expected = 1;
  for (const int milliseconds : {10, 20, 40, 80, 160, 320}) {
    for (int i = 0; i < 3; ++i) fence(runtime);
    clock.advance(absl::Milliseconds(milliseconds) - absl::Nanoseconds(1));
    for (int i = 0; i < 3; ++i) fence(runtime);
    EXPECT_EQ(clock.calls(KernelCall::kRecvmmsg), expected) << "before " << milliseconds << " ms";
    clock.advance(absl::Nanoseconds(1));
    ++expected;
    while (errors() < expected) std::this_thread::yield();
  }
  EXPECT_EQ(log.count("tries again to receive"), 1) << log.text();
  clock.fail(KernelCall::kRecvmmsg, 0);
  clock.advance(absl::Milliseconds(500));
  received.WaitForNotification();
  EXPECT_GE(socket->counters().received, 1u);
}

TEST_P(UdpReceiveErrorsTest, ADescriptorThatIsNoneAnyMoreEndsItsSocket) {
  PlainUdp peer;
  std::atomic<int> calls{0};
  absl::Notification destroyed;
  Runtime runtime(options());
  kernel_.fail(KernelCall::kRecvmmsg, EBADF, 1, FaultKernel::kAlways);
  std::shared_ptr<void> last(nullptr, [&](void*) { destroyed.Notify(); });
  const absl::StatusOr<UdpSocket> socket = runtime.udp(
      "127.0.0.1:0", [&calls, last = std::move(last)](UdpSocket&, const Received& told) {
        EXPECT_EQ(errno_of(told.status()), EBADF) << told.status();
        ++calls;
      });
  ASSERT_TRUE(socket.ok()) << socket.status();
  peer.send("1", socket->address());
  destroyed.WaitForNotification();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(socket->send("x", peer.address())));

  const absl::StatusOr<UdpSocket> awaited = runtime.udp("127.0.0.1:0");
  ASSERT_TRUE(awaited.ok()) << awaited.status();
  peer.send("1", awaited->address());
  const absl::Status status = runtime.run([&]() -> Task<> {
    const Received told = co_await awaited->receive().result();
    EXPECT_EQ(errno_of(told.status()), EBADF) << told.status();
    const Received closed = co_await awaited->receive().result();
    EXPECT_FALSE(closed.ok());
    EXPECT_EQ(errno_of(closed.status()), 0) << closed.status();
  });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace epore
