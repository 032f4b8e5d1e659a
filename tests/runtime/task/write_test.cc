// What Connection::write() and flush() wait for.

#include <atomic>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"

namespace epore {
namespace {

class WriteTest : public HandlerTest {};

// A peer that does not read holds the coroutine up. What waits here is bounded by the high mark.
TEST_P(WriteTest, IsHeldUpByAPeerThatDoesNotRead) {
  constexpr std::size_t kLarge = 30'000'000;
  const std::string large = pattern(kLarge);
  std::atomic<std::size_t> most{0};
  Runtime runtime(options());
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await all(c.write(large), [](Connection& c, std::atomic<std::size_t>& most) -> Task<> {
      for (int i = 0; i < 100; ++i) {
        most = std::max(most.load(), c.queued_bytes());
        co_await yield();
      }
    }(c, most));
    EXPECT_LE(c.queued_bytes(), ConnectionOptions().write_high_mark);
    for (int i = 0; i < 1000; ++i) {
      co_await c.write(std::string_view(large).substr(0, 20'000));
      most = std::max(most.load(), c.queued_bytes());
    }
  });
  const std::string got = peer.receive_all();
  EXPECT_EQ(got.size(), kLarge + 20'000'000);
  EXPECT_EQ(got.substr(0, kLarge), large);
  EXPECT_LE(most.load(), ConnectionOptions().write_high_mark + 20'000);
}

// A high mark of nothing, or of a few bytes, still lets everything through, in few calls.
TEST_P(WriteTest, AHighMarkOfNothingHoldsNobodyUpForEver) {
  for (const std::size_t mark : {0u, 1u, 100u}) {
    const std::string text = pattern(100'000);
    const std::uint64_t before = kernel_.calls(KernelCall::kSend);
    Runtime runtime(options());
    Peer peer = serve(runtime,
                      [&](Connection c) -> Task<> {
                        const ByteView pieces[] = {text, ByteView(std::string_view("pieces"))};
                        co_await c.write(text);
                        co_await c.write(std::span<const ByteView>(pieces));
                        co_await c.write(Bytes(text));
                        co_await c.flush();
                      },
                      {.connection = {.write_high_mark = mark, .write_low_mark = 0}});
    EXPECT_EQ(peer.receive_all(), absl::StrCat(text, text, "pieces", text));
    EXPECT_LT(kernel_.calls(KernelCall::kSend) - before, 500u);
  }
}

TEST_P(WriteTest, WritesOfSeveralCoroutinesDoNotMix) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [](Connection c) -> Task<> {
    co_await group([&c](Group& group) -> Task<> {
      for (char letter = 'a'; letter <= 'e'; ++letter) {
        group.spawn([&c, letter]() -> Task<> {
          const std::string text(1'000'000, letter);
          for (int i = 0; i < 3; ++i) co_await c.write(text);
        });
      }
      co_return;
    });
  });
  const std::string got = peer.receive_all();
  ASSERT_EQ(got.size(), 15'000'000u);
  for (std::size_t i = 0; i < 15; ++i) {
    EXPECT_EQ(got.substr(i * 1'000'000, 1'000'000), std::string(1'000'000, got[i * 1'000'000]));
  }
}

TEST_P(WriteTest, FlushReturnsWhenAllIsWritten) {
  Runtime runtime(options());
  absl::Notification flushed;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    const std::string text = pattern(5'000'000);
    co_await c.write(text);
    co_await c.flush();
    EXPECT_EQ(c.queued_bytes(), 0u);
    flushed.Notify();
    co_await c.flush();
  });
  EXPECT_EQ(peer.receive(5'000'000), pattern(5'000'000));
  flushed.WaitForNotification();
}

TEST_P(WriteTest, AfterTheEndOfOurHalfItIsRefused) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [](Connection c) -> Task<> {
    co_await c.write("last");
    c.shut_down_write();
    co_await yield();
    const absl::Status late = co_await c.write("late").result();
    EXPECT_TRUE(absl::IsFailedPrecondition(late)) << late;
    co_await c.read();
  });
  EXPECT_EQ(peer.receive_all(), "last");
}

TEST_P(WriteTest, AResetEndsIt) {
  Runtime runtime(options());
  absl::Notification ended;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    const std::string text = pattern(1'000'000);
    absl::Status status;
    while (status.ok()) status = co_await c.write(text).result();
    EXPECT_FALSE(absl::IsCancelled(status)) << status;
    EXPECT_FALSE((co_await c.write("x").result()).ok());
    EXPECT_FALSE((co_await c.flush().result()).ok());
    EXPECT_FALSE((co_await c.read().result()).ok());
    ended.Notify();
  });
  EXPECT_EQ(peer.receive(100), pattern(100));
  peer.reset();
  ended.WaitForNotification();
}

TEST_P(WriteTest, ADeadlineEndsItAndWhatWasTakenIsWritten) {
  Runtime runtime(options());
  const std::string text = pattern(30'000'000);
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    const absl::Status status = co_await within(absl::Nanoseconds(1), c.write(text)).result();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    co_await c.read();
  });
  const std::string got = peer.receive(200'000);  // less than the queue holds
  peer.send("go on");
  const std::string rest = peer.receive_all();
  EXPECT_EQ(got + rest, text.substr(0, got.size() + rest.size()));
  EXPECT_LT(got.size() + rest.size(), text.size());
}

// Small pieces leave together, also where the coroutine was resumed by something else than bytes.
TEST_P(WriteTest, SmallPiecesAreGathered) {
  Runtime runtime(options());
  const auto sends = [&runtime] {
    return runtime.counters().system_call("sendto") + runtime.counters().system_call("sendmsg");
  };
  std::atomic<std::uint64_t> before{0};
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await c.read();
    for (int i = 0; i < 10; ++i) co_await c.write("0123456789");
    co_await sleep_for(absl::Microseconds(1));
    for (int i = 0; i < 10; ++i) co_await c.write("0123456789");
    co_await c.read();
  });
  before = sends();
  peer.send("x");
  EXPECT_EQ(peer.receive(200).size(), 200u);
  EXPECT_LE(sends() - before, 2u);
  peer.send("x");
  EXPECT_EQ(peer.receive_all(), "");
}

// A write that has a name is done once, whether it waited or not. One that nobody awaits does
// nothing.
TEST_P(WriteTest, OneWithANameIsAwaitedOnce) {
  constexpr std::size_t kLarge = 10'000'000;
  for (const std::size_t size : {std::size_t{3}, kLarge}) {
    const std::string text = pattern(size);
    Runtime runtime(options());
    Peer peer = serve(runtime, [&](Connection c) -> Task<> {
      [[maybe_unused]] auto dropped = c.write("dropped");
      auto write = c.write(text);
      co_await write;
      const absl::Status again = co_await write.result();
      EXPECT_EQ(again, absl::FailedPreconditionError(
                           "Connection::write: it was awaited before; call the method again for "
                           "another one"));
    });
    EXPECT_EQ(peer.receive_all(), text);
  }
}

// What is not awaited takes effect at once too, whatever has resumed the coroutine.
TEST_P(WriteTest, CallsAndWritesKeepTheirSequence) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [](Connection c) -> Task<> {
    for (int i = 0; i < 2; ++i) {
      c.send("a");
      co_await c.write("b");
      c.send("c");
      co_await yield();  // resumed by another run of the order
    }
    c.shut_down_write();
    const absl::Status late = co_await c.write("late").result();
    EXPECT_TRUE(absl::IsFailedPrecondition(late)) << late;
    c.close();
    EXPECT_TRUE(absl::IsCancelled((co_await c.read().result()).status()));
  });
  EXPECT_EQ(peer.receive_all(), "abcabc");
}

INSTANTIATE_TEST_SUITE_P(Everywhere, WriteTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
