// A callback of a UdpSocket that is paused.

#include <atomic>
#include <cerrno>
#include <span>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/plain_udp.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using Received = absl::StatusOr<std::span<const Datagram>>;

class UdpPauseTest : public RuntimeTest {
 protected:
  // The texts that the callback has got, one after the other.
  void take(const Received& received) {
    const absl::MutexLock lock(&mutex_);
    ++calls_;
    if (!received.ok()) {
      texts_ += absl::StatusCodeToString(received.status().code());
      return;
    }
    for (const Datagram& datagram : *received) texts_ += datagram.bytes.text();
  }
  void await(const std::string& texts) {
    const absl::MutexLock lock(&mutex_);
    const auto is_there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return texts_.size() >= texts.size();
    };
    mutex_.Await(absl::Condition(&is_there));
    EXPECT_EQ(texts_, texts);
  }
  int calls() const {
    const absl::MutexLock lock(&mutex_);
    return calls_;
  }

 private:
  mutable absl::Mutex mutex_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string texts_ ABSL_GUARDED_BY(mutex_);
};

INSTANTIATE_TEST_SUITE_P(Everywhere, UdpPauseTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(UdpPauseTest, ACallbackThatPausesIsNotCalledAgain) {
  PlainUdp peer;
  Runtime runtime(options());
  UdpOptions one_by_one;
  one_by_one.batch = 1;
  const absl::StatusOr<UdpSocket> socket = runtime.udp(
      "127.0.0.1:0",
      [&](UdpSocket& self, Received received) {
        self.pause_receiving();
        take(received);
      },
      one_by_one);
  ASSERT_TRUE(socket.ok()) << socket.status();
  for (const char* text : {"1", "2", "3"}) peer.send(text, socket->address());
  for (const char* texts : {"1", "12", "123"}) {
    await(texts);
    fence(runtime);
    fence(runtime);
    await(texts);
    socket->resume_receiving();
  }
  EXPECT_EQ(calls(), 3);
}

TEST_P(UdpPauseTest, NothingIsReceivedFromAPauseInItsOrderOn) {
  PlainUdp peer;
  Runtime runtime(options());
  UdpOptions with_order;
  with_order.order = runtime.order();
  const absl::StatusOr<UdpSocket> socket = runtime.udp(
      "127.0.0.1:0", [&](UdpSocket&, Received received) { take(received); }, with_order);
  ASSERT_TRUE(socket.ok()) << socket.status();
  absl::Notification paused;
  ASSERT_TRUE(with_order.order
                  .post([&] {
                    socket->pause_receiving();
                    paused.Notify();
                  })
                  .ok());
  paused.WaitForNotification();
  const std::uint64_t receives = kernel_.calls(KernelCall::kRecvmmsg);
  peer.send("1", socket->address());
  peer.send("2", socket->address());
  fence(runtime);
  ASSERT_TRUE(socket->send("also while it is paused", peer.address()).ok());
  EXPECT_EQ(peer.receive(), "also while it is paused");
  EXPECT_EQ(calls(), 0);
  EXPECT_EQ(kernel_.calls(KernelCall::kRecvmmsg), receives) << "the system keeps them";
  socket->resume_receiving();
  await("12");
  EXPECT_EQ(calls(), 1);
}

TEST_P(UdpPauseTest, AnErrorIsToldWhenItGoesOn) {
  PlainUdp peer;
  Runtime runtime(options());
  UdpOptions connected;
  connected.peer = peer.address();
  const absl::StatusOr<UdpSocket> socket = runtime.udp(
      "", [&](UdpSocket&, Received received) { take(received); }, connected);
  ASSERT_TRUE(socket.ok()) << socket.status();
  socket->pause_receiving();
  kernel_.fail(KernelCall::kSendmmsg, ECONNREFUSED);
  ASSERT_TRUE(socket->send("x").ok());
  EXPECT_EQ(peer.receive(), "x") << "it is sent again";
  fence(runtime);
  EXPECT_EQ(calls(), 0);
  socket->resume_receiving();
  await("UNAVAILABLE");
  EXPECT_EQ(calls(), 1);
}

TEST_P(UdpPauseTest, APausedSocketIsClosedByAllThatClosesOne) {
  for (const bool is_shutdown : {false, true}) {
    Runtime runtime(options());
    const absl::StatusOr<UdpSocket> socket =
        runtime.udp("127.0.0.1:0", [&](UdpSocket&, Received received) { take(received); });
    ASSERT_TRUE(socket.ok()) << socket.status();
    socket->pause_receiving();
    if (is_shutdown) {
      EXPECT_TRUE(runtime.shutdown().ok());
    } else {
      socket->close();
    }
    socket->resume_receiving();
    EXPECT_TRUE(absl::IsFailedPrecondition(socket->send("x", socket->address())));
  }
  UdpSocket().pause_receiving();
  UdpSocket().resume_receiving();
  EXPECT_EQ(calls(), 0);
}

}  // namespace
}  // namespace epore
