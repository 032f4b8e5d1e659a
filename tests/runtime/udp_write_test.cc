// Tasks that wait for room in the queue of a UdpSocket, and until it is empty.

#include <cerrno>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/plain_udp.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/scarce_memory.h"
#include "tests/support/temporary_directory.h"

namespace epore {
namespace {

using Batch = std::span<const Datagram>;

class UdpWriteTest : public RuntimeTest {
 protected:
  UdpSocket open(Runtime& runtime, const UdpOptions& options = {}) {
    absl::StatusOr<UdpSocket> socket = runtime.udp("127.0.0.1:0", options);
    CHECK_OK(socket.status());
    return *std::move(socket);
  }

  // A socket whose queue is full, as the system takes nothing. Datagrams have one byte each.
  UdpSocket open_full(Runtime& runtime) {
    kernel_.fail(KernelCall::kSendmmsg, EAGAIN, 1, FaultKernel::kAlways);
    UdpOptions small;
    small.send_queue = 10'000;
    UdpSocket socket = open(runtime, small);
    while (socket.send("-", peer_.address()).ok()) ++queued_;
    return socket;
  }

  // The system takes datagrams again. One that comes makes the socket look; with a real EAGAIN the
  // system would report the room.
  void make_room(Runtime& runtime, const UdpSocket& socket) {
    kernel_.fail(KernelCall::kSendmmsg, 0);
    peer_.send("x", socket.address());
    (void)runtime.run([&]() -> Task<> { co_await socket.receive(); });
  }

  void expect_queued() {
    for (; queued_ != 0; --queued_) EXPECT_EQ(peer_.receive(), "-");
  }

  // Returns when `count` tasks wait in a call of that name.
  static void await_waiting(const Runtime& runtime, std::string_view call, int count = 1) {
    int waiting = 0;
    while (waiting != count) {
      const std::string text = runtime.dump_tasks().value_or("");
      waiting = 0;
      for (std::size_t at = text.find(call); at != std::string::npos;
           at = text.find(call, at + 1)) {
        ++waiting;
      }
    }
  }

  static constexpr std::string_view kWrite = "UdpSocket::write";
  static constexpr std::string_view kFlush = "UdpSocket::flush";

  PlainUdp peer_;
  int queued_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, UdpWriteTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(UdpWriteTest, WithRoomItDoesWhatSendDoes) {
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  absl::Status status = runtime.run([&]() -> Task<> {
    for (int i = 0; i < 200; ++i) co_await socket.write(absl::StrCat(i), peer_.address());
    co_await socket.write("", peer_.address());
    co_await socket.write("from", peer_.address(), SocketAddress::parse("127.0.0.1:0").value());
  });
  EXPECT_TRUE(status.ok()) << status;
  for (int i = 0; i < 200; ++i) EXPECT_EQ(peer_.receive(), absl::StrCat(i));
  EXPECT_EQ(peer_.receive(), "");
  EXPECT_EQ(peer_.receive(), "from");
  UdpOptions connected;
  connected.peer = peer_.address();
  UdpSocket to_peer = open(runtime, connected);
  status = runtime.run([&]() -> Task<> { co_await to_peer.write("connected"); });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(peer_.receive(), "connected");
}

TEST_P(UdpWriteTest, WritesThatFindNoRoomTakeTurns) {
  Runtime runtime(options());
  UdpSocket socket = open_full(runtime);
  std::vector<Job> jobs;
  for (int i = 0; i < 3; ++i) {
    jobs.push_back(runtime.spawn([&, i]() -> Task<> {
      co_await socket.write(absl::StrCat("written ", i), peer_.address());
    }));
    await_waiting(runtime, kWrite, i + 1);
  }
  for (const Job& job : jobs) EXPECT_FALSE(job.status().has_value());
  make_room(runtime, socket);
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok()) << job.wait();
  expect_queued();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(peer_.receive(), absl::StrCat("written ", i));
  EXPECT_EQ(socket.counters().refused, 1u) << "the send that found the queue full";
}

// The system itself holds the writer up: it lets some ten datagrams wait at a Unix receiver.
TEST_P(UdpWriteTest, ASlowReceiverHoldsAWriterUpAndLosesNothing) {
  constexpr int kCount = 2'000;
  const TemporaryDirectory directory;
  Runtime runtime(options());
  const absl::StatusOr<UnixDatagramSocket> server =
      runtime.unix_datagram(absl::StrCat("unix:", directory.path("x.sock")));
  ASSERT_TRUE(server.ok()) << server.status();
  UdpOptions small;
  small.peer = server->address();
  small.send_queue = 2'000;
  const absl::StatusOr<UnixDatagramSocket> client = runtime.unix_datagram("", small);
  ASSERT_TRUE(client.ok()) << client.status();
  Job writer = runtime.spawn([&]() -> Task<> {
    for (int i = 0; i < kCount; ++i) co_await client->write(absl::StrCat(i));
    co_await client->flush();
  });
  const absl::Status status = runtime.run([&]() -> Task<> {
    for (int next = 0; next < kCount;) {
      for (const Datagram& datagram : co_await server->receive()) {
        EXPECT_EQ(datagram.bytes.text(), absl::StrCat(next));
        ++next;
      }
    }
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(writer.wait().ok()) << writer.wait();
  EXPECT_EQ(client->counters().sent, static_cast<std::uint64_t>(kCount));
  EXPECT_EQ(client->counters().refused, 0u);
}

TEST_P(UdpWriteTest, ADeadlineAndAStopLeaveItUnsent) {
  Runtime runtime(options());
  UdpSocket socket = open_full(runtime);
  const absl::Status late = runtime.run([&]() -> Task<> {
    co_await within(absl::Nanoseconds(1), socket.write("late", peer_.address()));
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  Job stopped =
      runtime.spawn([&]() -> Task<> { co_await socket.write("stopped", peer_.address()); });
  await_waiting(runtime, kWrite);
  Job kept = runtime.spawn([&]() -> Task<> { co_await socket.write("kept", peer_.address()); });
  await_waiting(runtime, kWrite, 2);
  stopped.stop();
  EXPECT_TRUE(absl::IsCancelled(stopped.wait())) << stopped.wait();
  make_room(runtime, socket);
  EXPECT_TRUE(kept.wait().ok()) << kept.wait();
  expect_queued();
  EXPECT_EQ(peer_.receive(), "kept");
}

TEST_P(UdpWriteTest, CloseAndAShutdownEndThoseThatWait) {
  for (const bool is_shutdown : {false, true}) {
    Runtime runtime(options());
    UdpSocket socket = open_full(runtime);
    Job writer = runtime.spawn([&]() -> Task<> { co_await socket.write("lost", peer_.address()); });
    Job flusher = runtime.spawn([&]() -> Task<> { co_await socket.flush(); });
    await_waiting(runtime, kWrite);
    await_waiting(runtime, kFlush);
    if (is_shutdown) {
      EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
    } else {
      socket.close();
    }
    EXPECT_TRUE(absl::IsCancelled(writer.wait())) << writer.wait();
    EXPECT_TRUE(absl::IsCancelled(flusher.wait())) << flusher.wait();
    if (is_shutdown) continue;
    for (const auto& call : std::vector<std::function<Task<>()>>{
             [&]() -> Task<> { co_await socket.write("x", peer_.address()); },
             [&]() -> Task<> { co_await socket.flush(); }}) {
      const absl::Status status = runtime.run(call);
      EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    }
  }
}

TEST_P(UdpWriteTest, WhatCanNeverBeSentIsRefusedAtOnce) {
  Runtime runtime(options());
  UdpOptions small;
  small.send_queue = 1'000;
  UdpSocket socket = open(runtime, small);
  const auto expect_bad = [&](std::size_t size, const SocketAddress& to, std::string_view part) {
    const absl::Status status =
        runtime.run([&]() -> Task<> { co_await socket.write(std::string(size, 'x'), to); });
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  };
  expect_bad(745, peer_.address(), "UdpSocket::write: 745 bytes, and 256 more, are more than");
  expect_bad(70'000, peer_.address(), "UdpSocket::write: 70000 bytes, and a datagram has at most");
  expect_bad(1, SocketAddress(), "UdpSocket::write: no address");
  const absl::Status fits = runtime.run(
      [&]() -> Task<> { co_await socket.write(std::string(744, 'x'), peer_.address()); });
  EXPECT_TRUE(fits.ok()) << fits;
  EXPECT_EQ(peer_.receive().size(), 744u);
  const UdpSocket none;
  EXPECT_TRUE(
      absl::IsFailedPrecondition(runtime.run([&]() -> Task<> { co_await none.write("x"); })));
  EXPECT_TRUE(absl::IsFailedPrecondition(runtime.run([&]() -> Task<> { co_await none.flush(); })));
}

TEST_P(UdpWriteTest, FlushWaitsForWhatWasQueuedBefore) {
  Runtime runtime(options());
  UdpSocket socket = open_full(runtime);
  const auto expected = static_cast<std::uint64_t>(queued_);
  Job flusher = runtime.spawn([&]() -> Task<> {
    co_await socket.flush();
    EXPECT_GE(socket.counters().sent, expected);
  });
  await_waiting(runtime, kFlush);
  EXPECT_FALSE(flusher.status().has_value());
  make_room(runtime, socket);
  EXPECT_TRUE(flusher.wait().ok()) << flusher.wait();
  expect_queued();
  // Nothing is queued now.
  EXPECT_TRUE(runtime.run([&]() -> Task<> { co_await socket.flush(); }).ok());
}

TEST_P(UdpWriteTest, FlushCountsSegmentsJoinedOnesAndThoseThatAreRefused) {
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  for (const int error : {0, EIO, ENETUNREACH}) {
    if (error != 0) kernel_.fail(KernelCall::kSendmmsg, error);
    const absl::Status status = runtime.run([&]() -> Task<> {
      co_await socket.send_segments("aaaabbbbcc", 4, peer_.address());
      for (int i = 0; i < 3; ++i) co_await socket.write("same", peer_.address());
      co_await socket.write("", peer_.address());
      co_await socket.flush();
    });
    EXPECT_TRUE(status.ok()) << status;
    const UdpCounters counters = socket.counters();
    EXPECT_EQ((counters.sent + counters.send_errors) % 7, 0u) << counters.sent;
  }
}

// The task runs in another order than the socket, and is not resumed by its runner.
TEST_P(UdpWriteTest, ManyTasksWriteWhileItCloses) {
  for (int round = 0; round < 20; ++round) {
    Runtime runtime(options());
    UdpOptions small;
    small.send_queue = 600;
    UdpSocket socket = open(runtime, small);
    std::vector<Job> jobs;
    for (int i = 0; i < 4; ++i) {
      jobs.push_back(runtime.spawn([&]() -> Task<> {
        for (int k = 0; k < 50; ++k) co_await socket.write("x", peer_.address());
        co_await socket.flush();
      }));
    }
    if (round % 2 == 0) socket.close();
    for (const Job& job : jobs) {
      const absl::Status status = job.wait();
      EXPECT_TRUE(status.ok() || absl::IsCancelled(status) || absl::IsFailedPrecondition(status))
          << status;
      if (round % 2 == 1) {
        EXPECT_TRUE(status.ok()) << status;
      }
    }
  }
}

TEST_P(UdpWriteTest, OneThatFindsNoMemoryFailsAlone) {
  Runtime runtime(options());
  UdpSocket socket = open_full(runtime);
  const std::string large(9'000, 'x');
  Job first = runtime.spawn([&]() -> Task<> { co_await socket.write(large, peer_.address()); });
  await_waiting(runtime, kWrite);
  Job second = runtime.spawn([&]() -> Task<> { co_await socket.write("y", peer_.address()); });
  await_waiting(runtime, kWrite, 2);
  // The system takes the whole queue in one call. Then the runner copies what waits.
  kernel_.after(KernelCall::kSendmmsg, [&](const FaultKernel::Call& call) {
    if (!call.result.ok()) return;
    kernel_.after(KernelCall::kSendmmsg, nullptr);
    ScarceMemory::fail(1);
  });
  make_room(runtime, socket);
  EXPECT_TRUE(absl::IsResourceExhausted(first.wait())) << first.wait();
  EXPECT_TRUE(second.wait().ok()) << second.wait();
  expect_queued();
  EXPECT_EQ(peer_.receive(), "y");
}

// The system cannot tell of room, so the socket looks again by itself. Without memory for a timer
// it does not look all the time.
TEST_P(UdpWriteTest, OneThatFindsNoMemoryToWaitForRoomLooksNowAndThen) {
  // There the same thread does all of it, and no timer was armed before, so that the heap is empty.
  if (GetParam().selector != "epoll" || GetParam().dispatch != Dispatch::poll_thread) return;
  kernel_.use_manual_clock();
  Runtime runtime(options());
  UdpSocket socket = open(runtime);
  const auto turn = [&runtime] {
    absl::Notification ran;
    ASSERT_TRUE(runtime.post([&ran] { ran.Notify(); }).ok());
    ran.WaitForNotification();
  };
  const auto has_memory = [](const FaultKernel::Call&) { ScarceMemory::stop(); };
  kernel_.before(KernelCall::kSendmmsg, has_memory);
  kernel_.before(KernelCall::kEpollWait, has_memory);
  kernel_.after(KernelCall::kEpollCtl, [](const FaultKernel::Call&) { ScarceMemory::fail_all(); });
  kernel_.fail(KernelCall::kEpollCtl, ENOMEM, 1, FaultKernel::kAlways);
  kernel_.fail(KernelCall::kSendmmsg, EAGAIN, 1, FaultKernel::kAlways);
  const auto looks = [this] { return kernel_.calls(KernelCall::kSendmmsg); };
  ASSERT_TRUE(socket.send("-", peer_.address()).ok());
  std::uint64_t before = 0;
  for (int i = 0; i < 3; ++i) {
    while (looks() == before) turn();
    turn();
    before = looks();
    for (int j = 0; j < 10; ++j) turn();
    EXPECT_EQ(looks(), before);
    kernel_.advance(absl::Milliseconds(1));
  }
  while (looks() == before) turn();
  kernel_.after(KernelCall::kEpollCtl, nullptr);
  kernel_.fail(KernelCall::kEpollCtl, 0);
  kernel_.fail(KernelCall::kSendmmsg, 0);
  kernel_.advance(absl::Milliseconds(1));
  EXPECT_EQ(peer_.receive(), "-");
}

}  // namespace
}  // namespace epore
