// splice(): from connection to connection.

#include "epore/runtime/splice.h"

#include <atomic>
#include <cerrno>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "epore/poll/errno_of.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"

namespace epore {
namespace {

Task<> pump(Connection from, Connection to) {
  co_await splice(from, to);
  to.shut_down_write();
}

class SpliceTest : public HandlerTest {
 protected:
  // Listens with an echo server.
  static std::string echo_address(Runtime& runtime) {
    const absl::StatusOr<Listener> origin = runtime.listen("127.0.0.1:0", echo);
    CHECK_OK(origin);
    return origin->address().to_string();
  }

  // Connects a client to a proxy that is before an echo server of the same runtime.
  Peer serve_proxy(Runtime& runtime) {
    return serve(runtime, [address = echo_address(runtime)](Connection c) -> Task<> {
      Connection there = co_await connect(address);
      co_await all(pump(c, there), pump(there, c));
    });
  }

  // Sends `bytes` and the end through the proxy, and expects them back.
  static void expect_echo(Peer& client, std::string_view bytes) {
    std::thread sender([&] {
      client.send(bytes);
      client.half_close();
    });
    EXPECT_EQ(client.receive_all(), bytes);
    sender.join();
  }

  absl::Notification has_ended_;
};

// A proxy to an echo server of the same runtime.
TEST_P(SpliceTest, PassesEverythingOnBothWaysAndKeepsTheHalfClose) {
  constexpr std::size_t kSize = 20'000'000;
  const std::string bytes = pattern(kSize);
  Runtime runtime(options());
  const std::string address = echo_address(runtime);
  std::atomic<std::uint64_t> moved = 0;
  Peer client = serve(runtime, [&](Connection c) -> Task<> {
    Connection there = co_await connect(address);
    const auto counted = [&moved](Connection from, Connection to) -> Task<> {
      moved += co_await splice(from, to);
      to.shut_down_write();
    };
    co_await all(counted(c, there), counted(there, c));
  });
  expect_echo(client, bytes);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(moved.load(), 2 * kSize);
  if (reads_by_recv(GetParam())) {
    EXPECT_GT(runtime.counters().bytes_spliced, kSize / 2) << runtime.counters().to_json();
  }
}

TEST_P(SpliceTest, IsCopiedWhereTheSystemRefuses) {
  const std::string bytes = pattern(3'000'000);
  const KernelCall kCalls[] = {KernelCall::kSplice, KernelCall::kPipe};
  for (const KernelCall call : kCalls) {
    for (const int error : {EINVAL, ENOSYS, EMFILE}) {
      if (call == KernelCall::kSplice && error == EMFILE) continue;
      Runtime runtime(options());
      kernel_.fail(call, error, 1, FaultKernel::kAlways);
      Peer client = serve_proxy(runtime);
      expect_echo(client, bytes);
      EXPECT_EQ(runtime.counters().bytes_spliced, 0u);
      kernel_.fail(call, 0);
    }
  }
}

// What is in the pipe already is copied out of it: the second call is that to the socket.
TEST_P(SpliceTest, NothingIsLostWhereOnlyTheSecondHalfIsRefused) {
  const std::string bytes = pattern(3'000'000);
  Runtime runtime(options());
  kernel_.fail_if(KernelCall::kSplice,
                  [&](const FaultKernel::Call& call) { return call.nth % 2 == 0 ? EINVAL : 0; });
  kernel_.shrink_sends(50'000);
  Peer client = serve_proxy(runtime);
  expect_echo(client, bytes);
}

// The client does not read, so the origin's writes are held up, and nothing piles up in between.
TEST_P(SpliceTest, APeerThatDoesNotReadHoldsTheOtherOneUp) {
  constexpr std::size_t kSize = 100'000'000;
  Runtime runtime(options());
  std::atomic<std::size_t> sent = 0;
  const absl::StatusOr<Listener> origin =
      runtime.listen("127.0.0.1:0", [&](Connection c) -> Task<> {
        const std::string piece = pattern(1'000'000);
        while (sent < kSize) {
          co_await c.write(piece);
          sent += piece.size();
        }
      });
  ASSERT_TRUE(origin.ok());
  const std::string address = origin->address().to_string();
  absl::Notification is_held_up;
  Peer client = serve(runtime, [&](Connection c) -> Task<> {
    Connection there = co_await connect(address);
    const auto watch = [&](Connection& c) -> Task<> {
      // It is held up when nothing moves any more. What moves is counted, not the time.
      std::size_t before = kSize;
      for (int same = 0; same < 20; same = before == sent ? same + 1 : 0) {
        before = sent;
        co_await sleep_for(absl::Milliseconds(1));
      }
      // A little that came behind a small piece was copied, if the write queue had room. What is in
      // the pipe counts as 128 bytes.
      EXPECT_LE(c.queued_bytes(), ConnectionOptions().write_high_mark + 128);
      is_held_up.Notify();
    };
    co_await all(pump(there, c), watch(c));
  });
  is_held_up.WaitForNotification();
  EXPECT_LT(sent.load(), kSize);
  EXPECT_EQ(client.receive_all().size(), kSize);
}

// A connection that waits has no pipe.
TEST_P(SpliceTest, AnIdleOneHoldsNoDescriptors) {
  Runtime runtime(options());
  Peer client = serve_proxy(runtime);
  for (int i = 0; i < 100; ++i) {
    client.send("ping");
    EXPECT_EQ(client.receive(4), "ping");
  }
  EXPECT_EQ(kernel_.calls(KernelCall::kPipe), 0u) << "little is copied";
  const std::string bytes = pattern(2'000'000);
  std::thread sender([&] { client.send(bytes); });
  EXPECT_EQ(client.receive(bytes.size()), bytes);
  sender.join();
}

TEST_P(SpliceTest, AStopAndAnErrorEndIt) {
  Runtime runtime(options());
  const std::string address = echo_address(runtime);
  Peer client = serve(runtime, [&](Connection c) -> Task<> {
    Connection there = co_await connect(address);
    const absl::Status late =
        (co_await within(absl::Nanoseconds(1), splice(c, there)).result()).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
    const absl::Status both = co_await all(pump(c, there), pump(there, c)).result();
    EXPECT_EQ(errno_of(both), ECONNRESET) << both;
    has_ended_.Notify();
  });
  client.send("ping");
  EXPECT_EQ(client.receive(4), "ping");
  client.reset();
  has_ended_.WaitForNotification();
}

INSTANTIATE_TEST_SUITE_P(Everywhere, SpliceTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
