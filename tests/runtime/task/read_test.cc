// What Connection::read() and its like give, and what they leave.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/splice.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"

namespace epore {
namespace {

class ReadTest : public HandlerTest {
 protected:
  // Runs `body` as the handler of a connection, and returns when it has ended.
  template <typename Body>
  void run(Body body, std::function<void(Peer&)> peer) {
    absl::Notification ended;
    {
      Runtime runtime(options());
      Peer other = serve(runtime, [&](Connection connection) -> Task<> {
        co_await body(connection);
        ended.Notify();
      });
      peer(other);
      ended.WaitForNotification();
    }
  }
};

TEST_P(ReadTest, ViewsOfEveryPiece) {
  std::string got;
  run(
      [&](Connection& c) -> Task<> {
        while (ByteView bytes = co_await c.read()) got += bytes.text();
      },
      [](Peer& peer) {
        for (int i = 0; i < 50; ++i) peer.send(pattern(10'000, static_cast<unsigned>(i)));
        peer.half_close();
      });
  std::string sent;
  for (int i = 0; i < 50; ++i) sent += pattern(10'000, static_cast<unsigned>(i));
  EXPECT_EQ(got, sent);
}

TEST_P(ReadTest, TheEndComesAgainAndAgain) {
  run(
      [](Connection& c) -> Task<> {
        EXPECT_TRUE((co_await c.read()).empty());
        EXPECT_TRUE((co_await c.read()).empty());
        EXPECT_TRUE((co_await c.peek()).empty());
        std::array<std::byte, 4> buffer;
        EXPECT_EQ(co_await c.read_some(buffer), 0u);
        EXPECT_TRUE(absl::IsOutOfRange((co_await c.read_exactly(1).result()).status()));
        EXPECT_TRUE(absl::IsOutOfRange((co_await c.read_until("\n", 9).result()).status()));
      },
      [](Peer& peer) { peer.half_close(); });
}

// It would go on for ever, and take a whole processor.
TEST_P(ReadTest, ALoopThatDoesNotLookForTheEndFails) {
  int ends = 0;
  absl::Status why;
  std::uint64_t id = 0;
  run(
      [&](Connection& c) -> Task<> {
        id = c.id();
        for (int i = 0; i < 100; ++i) {
          absl::StatusOr<ByteView> bytes = co_await c.read().result();
          if (!bytes.ok()) {
            why = bytes.status();
            co_return;
          }
          ends += bytes->empty() ? 1 : 0;
          co_await c.write(*bytes);
        }
      },
      [](Peer& peer) {
        peer.send("abc");
        peer.half_close();
      });
  EXPECT_EQ(ends, 16);
  EXPECT_EQ(why, absl::OutOfRangeError(absl::StrCat(
                     "Connection::read: the peer of connection ", id,
                     " has ended, and 16 reads in a row have said so with no byte; a loop of "
                     "reads must end then")));
}

TEST_P(ReadTest, NorDoesALoopOfOtherReads) {
  int some = 0;
  int peeks = 0;
  absl::Status of_some;
  absl::Status of_peek;
  run(
      [&](Connection& c) -> Task<> {
        std::array<std::byte, 4> buffer;
        for (int i = 0; i < 100; ++i) {
          const absl::StatusOr<std::size_t> got = co_await c.read_some(buffer).result();
          of_some = got.status();
          if (!got.ok()) break;
          EXPECT_EQ(*got, 0u);
          ++some;
          const absl::StatusOr<ByteView> seen = co_await c.peek().result();
          of_peek = seen.status();
          if (!seen.ok()) break;
          EXPECT_TRUE(seen->empty());
          ++peeks;
        }
        of_peek = (co_await c.peek().result()).status();
        EXPECT_TRUE(absl::IsOutOfRange((co_await c.read_exactly(1).result()).status()));
      },
      [](Peer& peer) { peer.half_close(); });
  EXPECT_EQ(some, 8);
  EXPECT_EQ(peeks, 8);
  EXPECT_TRUE(absl::IsOutOfRange(of_some)) << of_some;
  EXPECT_TRUE(absl::IsOutOfRange(of_peek)) << of_peek;
}

TEST_P(ReadTest, NorDoesAHandlerThatSplices) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [](Connection c) -> Task<> {
    for (int i = 0; i < 100; ++i) co_await splice(c, c);
    ADD_FAILURE() << "it goes on";
  });
  peer.send("abc");
  EXPECT_EQ(peer.receive(3), "abc");
  peer.half_close();
  EXPECT_EQ(peer.end(), 0);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().handler_errors, 1u);
}

// An end that any() drops, as another part was first, has not been told.
TEST_P(ReadTest, AnEndThatNobodyTakesIsNotCounted) {
  Channel<int> queue(100);
  AsyncEvent has_ended;
  Runtime runtime(options());
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    EXPECT_EQ((co_await c.read()).text(), "abc");
    const ByteView first = co_await c.read();
    EXPECT_TRUE(first.empty());
    // In an order of its own, so that the end is on its way when the other part completes.
    (void)runtime.spawn([&queue, &has_ended, c]() mutable -> Task<> {
      for (int i = 0; i < 50; ++i) {
        co_await queue.send(i);
        EXPECT_EQ((co_await any(queue.receive(), c.read())).index(), 0u) << i;
      }
      const absl::StatusOr<ByteView> last = co_await c.read().result();
      EXPECT_TRUE(last.ok()) << last.status();
      has_ended.set();
    });
    co_await has_ended.wait();
  });
  peer.send("abc");
  peer.half_close();
  EXPECT_EQ(peer.end(), 0);
}

// What a peek() shows is there, and does not count as the end.
TEST_P(ReadTest, PeeksOfBytesBeforeTheEndAreNotCounted) {
  run(
      [](Connection& c) -> Task<> {
        for (int i = 0; i < 100; ++i) EXPECT_EQ((co_await c.peek(4)).text(), "abc");
        c.consume(3);
        EXPECT_TRUE((co_await c.read()).empty());
      },
      [](Peer& peer) {
        peer.send("abc");
        peer.half_close();
      });
}

TEST_P(ReadTest, AHandlerThatDoesNotLookForTheEndEnds) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [](Connection c) -> Task<> {
    for (int i = 0; i < 100; ++i) {
      const ByteView bytes = co_await c.read();
      co_await c.write(bytes);
    }
    ADD_FAILURE() << "it goes on";
  });
  peer.send("abc");
  EXPECT_EQ(peer.receive(3), "abc");
  peer.half_close();
  EXPECT_EQ(peer.end(), 0);  // no reset, which could overtake the answer
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().handler_errors, 1u);
}

TEST_P(ReadTest, ExactlySoManyHoweverTheyCome) {
  for (const std::size_t limit : {1, 3, 1000, 100'000}) {
    kernel_.shrink_recvs(limit);
    run(
        [](Connection& c) -> Task<> {
          EXPECT_EQ((co_await c.read_exactly(0)).size(), 0u);
          EXPECT_EQ((co_await c.read_exactly(5)).text(), "abcde");
          EXPECT_EQ((co_await c.read_exactly(1)).text(), "f");
          EXPECT_EQ((co_await c.read_exactly(2000)).text(), pattern(2000));
          EXPECT_TRUE((co_await c.read()).empty());
        },
        [](Peer& peer) {
          peer.send("abcdef" + pattern(2000));
          peer.half_close();
        });
  }
}

TEST_P(ReadTest, UntilADelimiterHoweverItIsCut) {
  for (const std::size_t limit : {1, 2, 3, 7, 100'000}) {
    kernel_.shrink_recvs(limit);
    run(
        [](Connection& c) -> Task<> {
          EXPECT_EQ((co_await c.read_until("\r\n", 100)).text(), "GET /\r\n");
          EXPECT_EQ((co_await c.read_until("\r\n", 100)).text(), "\r\r\n");
          EXPECT_EQ((co_await c.read_until("\r\n", 2)).text(), "\r\n");
          EXPECT_EQ((co_await c.read_until("x", 9000)).text(), std::string(8999, 'a') + "x");
          EXPECT_EQ((co_await c.read()).text().substr(0, 1), "r");
        },
        [](Peer& peer) {
          peer.send("GET /\r\n\r\r\n\r\n" + std::string(8999, 'a') + "xrest");
          peer.half_close();
        });
  }
}

TEST_P(ReadTest, ALineThatIsTooLongIsAnErrorAndStaysThere) {
  for (const std::size_t limit : {1, 3, 100'000}) {
    kernel_.shrink_recvs(limit);
    run(
        [](Connection& c) -> Task<> {
          absl::StatusOr<ByteView> line = co_await c.read_until("\n", 4).result();
          EXPECT_EQ(line.status().code(), absl::StatusCode::kResourceExhausted) << line.status();
          // With the delimiter it is one byte more.
          line = co_await c.read_until("\n", 5).result();
          EXPECT_EQ(line.status().code(), absl::StatusCode::kResourceExhausted) << line.status();
          EXPECT_EQ((co_await c.read_until("\n", 6)).text(), "abcde\n");
        },
        [](Peer& peer) {
          peer.send("abcde\nf");
          peer.half_close();
        });
  }
}

TEST_P(ReadTest, BadArgumentsAreRefused) {
  run(
      [](Connection& c) -> Task<> {
        EXPECT_TRUE(absl::IsInvalidArgument((co_await c.read_until("", 9).result()).status()));
        EXPECT_TRUE(absl::IsInvalidArgument((co_await c.read_some({}).result()).status()));
        Connection none;
        EXPECT_TRUE(absl::IsFailedPrecondition((co_await none.read().result()).status()));
        EXPECT_TRUE(absl::IsFailedPrecondition(co_await none.write("x").result()));
      },
      [](Peer&) {});
}

TEST_P(ReadTest, PeekLeavesWhatIsNotConsumed) {
  kernel_.shrink_recvs(3);
  run(
      [](Connection& c) -> Task<> {
        EXPECT_EQ((co_await c.peek()).text().substr(0, 3), "abc");  // a ring has all of it
        EXPECT_EQ((co_await c.peek(4)).text().substr(0, 4), "abcd");
        c.consume(2);
        EXPECT_EQ((co_await c.peek(2)).text().substr(0, 2), "cd");
        EXPECT_EQ((co_await c.read_exactly(3)).text(), "cde");
        EXPECT_EQ((co_await c.peek()).text().substr(0, 1), "f");
        c.consume(100);
        EXPECT_TRUE((co_await c.peek(5)).empty());
      },
      [](Peer& peer) {
        peer.send("abcdef");
        peer.half_close();
      });
}

// Also behind bytes that were left, where it asks for one more only.
TEST_P(ReadTest, PeekShowsEverythingThatIsThere) {
  absl::Notification seen;
  std::size_t size = 0;
  run(
      [&](Connection& c) -> Task<> {
        const ByteView first = co_await c.peek();
        EXPECT_EQ(first.text(), "abc");
        seen.Notify();
        size = (co_await c.peek(4)).size();
      },
      [&](Peer& peer) {
        peer.send("abc");
        seen.WaitForNotification();
        peer.send(std::string(1000, 'x'));
      });
  EXPECT_EQ(size, 1003u);
}

// As a parser asks that sees only that the bytes are not all there.
TEST_P(ReadTest, PeeksOfOneByteMoreReceiveManyAtOnce) {
  constexpr std::size_t kMuch = 1'000'000;
  std::uint64_t receives = 0;
  run(
      [&](Connection& c) -> Task<> {
        const std::uint64_t before = kernel_.calls(KernelCall::kRecv);
        std::size_t size = 0;
        while (size < kMuch) size = (co_await c.peek(size + 1)).size();
        EXPECT_TRUE((co_await c.peek(kMuch)).text() == pattern(kMuch));
        receives = kernel_.calls(KernelCall::kRecv) - before;
      },
      [](Peer& peer) { peer.send(pattern(kMuch)); });
  EXPECT_LT(receives, 10'000u);
}

// What comes in many pieces is not copied for each of them.
TEST_P(ReadTest, ALineInManyPieces) {
  const std::string line = std::string(100'000, 'x') + "\n";
  kernel_.shrink_recvs(7);
  run(
      [&](Connection& c) -> Task<> {
        EXPECT_TRUE((co_await c.read_until("\n", 200'000)).text() == line);
      },
      [&](Peer& peer) {
        peer.send(line);
        peer.half_close();  // a short read is not the last one then
      });
}

TEST_P(ReadTest, IntoMemoryOfOnesOwn) {
  run(
      [](Connection& c) -> Task<> {
        std::string got;
        std::array<std::byte, 7> buffer;
        EXPECT_EQ((co_await c.read_exactly(3)).text(), pattern(100).substr(0, 3));
        while (const std::size_t count = co_await c.read_some(buffer)) {
          got += ByteView(buffer.data(), count).text();
        }
        EXPECT_EQ(got, pattern(100).substr(3));
      },
      [](Peer& peer) {
        peer.send(pattern(100));
        peer.half_close();
      });
}

// A view stays as it is while the coroutine awaits other things, whatever arrives elsewhere.
TEST_P(ReadTest, AViewIsValidUntilTheNextRead) {
  constexpr int kPeers = 8;
  Runtime runtime(options());
  std::vector<Peer> peers;
  auto handler = [](Connection c) -> Task<> {
    while (ByteView bytes = co_await c.read()) {
      const std::string copy(bytes.text());
      co_await yield();
      co_await sleep_for(absl::Nanoseconds(1));
      EXPECT_EQ(copy, bytes.text());
      co_await c.write(bytes);
    }
  };
  peers.push_back(serve(runtime, handler));
  while (peers.size() < kPeers) peers.emplace_back(*SocketAddress::parse(address()));
  for (unsigned round = 0; round < 20; ++round) {
    for (unsigned i = 0; i < kPeers; ++i) peers[i].send(pattern(100 + 1000 * i, round + i));
    for (unsigned i = 0; i < kPeers; ++i) {
      EXPECT_EQ(peers[i].receive(100 + 1000 * i), pattern(100 + 1000 * i, round + i));
    }
  }
}

TEST_P(ReadTest, ASecondReaderIsRefused) {
  run(
      [](Connection& c) -> Task<> {
        auto second = [](Connection& c) -> Task<> {
          EXPECT_TRUE(absl::IsFailedPrecondition((co_await c.read().result()).status()));
          co_await c.write("go on");
        };
        auto got = co_await all(c.read(), second(c));
        EXPECT_EQ(std::get<0>(got).text(), "x");
      },
      [](Peer& peer) {
        EXPECT_EQ(peer.receive(5), "go on");
        peer.send("x");
      });
}

// What was asked for is overwritten by what was got. So an operation that has a name is not awaited
// again.
TEST_P(ReadTest, AnOperationIsAwaitedOnce) {
  run(
      [](Connection& c) -> Task<> {
        auto line = c.read_until("\n", 9);
        EXPECT_EQ((co_await line).text(), "one\n");
        const auto again = co_await line.result();
        EXPECT_TRUE(absl::IsFailedPrecondition(again.status())) << again.status();
        EXPECT_EQ((co_await c.read_until("\n", 9)).text(), "two\n");
        auto write = c.write("three\n");
        co_await write;
        const absl::Status twice = co_await write.result();
        EXPECT_TRUE(absl::IsFailedPrecondition(twice)) << twice;
      },
      [](Peer& peer) {
        peer.send("one\ntwo\n");
        peer.half_close();
        EXPECT_EQ(peer.receive_all(), "three\n");
      });
}

TEST_P(ReadTest, CallbacksAndCoroutinesDoNotMix) {
  run(
      [](Connection& c) -> Task<> {
        c.on_data([](Connection&, std::span<const std::byte>) { ADD_FAILURE(); });
        co_await yield();  // another run: it was set by mail
        absl::StatusOr<ByteView> bytes = co_await c.read().result();
        EXPECT_TRUE(absl::IsFailedPrecondition(bytes.status())) << bytes.status();
        c.on_data(nullptr);
        co_await yield();
        co_await c.write("ready");
        EXPECT_EQ((co_await c.read_exactly(1)).text(), "x");
        c.on_data([](Connection&, std::span<const std::byte>) { ADD_FAILURE(); });
        EXPECT_EQ((co_await c.read_exactly(1)).text(), "y");
      },
      [](Peer& peer) {
        EXPECT_EQ(peer.receive(5), "ready");
        peer.send("x");
        peer.send("y");
      });
}

// Who sends much and reads nothing is held up, as with callbacks.
TEST_P(ReadTest, WaitsWhileWhatWasSentIsAboveTheHighMark) {
  constexpr std::size_t kTimes = 1000;
  const std::string large = pattern(20'000);
  ListenOptions marks;
  marks.connection.write_high_mark = 100'000;
  marks.connection.write_low_mark = 10'000;
  marks.connection.write_cap = 10'000'000;
  std::atomic<std::size_t> most{0};
  Runtime runtime(options());
  Peer peer = serve(
      runtime,
      [&](Connection c) -> Task<> {
        while (co_await c.read_exactly(1000)) {
          c.send(large);
          most = std::max(most.load(), c.queued_bytes());
        }
      },
      marks);
  std::thread sender([&] {
    for (std::size_t i = 0; i < kTimes; ++i) peer.send(std::string(1000, 'x'));
  });
  while (runtime.counters().read_pauses == 0) std::this_thread::yield();
  EXPECT_EQ(peer.receive(kTimes * large.size()).size(), kTimes * large.size());
  sender.join();
  // It has what one receive has given.
  EXPECT_LT(most.load(), 100'000u + 100 * large.size());
}

// Whoever loses in any() has taken nothing.
TEST_P(ReadTest, ALoserLosesNoByte) {
  run(
      [](Connection& c) -> Task<> {
        co_await c.peek();
        std::array<std::byte, 4> buffer;
        auto first = co_await any(yield(), c.read());
        EXPECT_EQ(first.index(), 1u);
        co_await c.write("1");
        co_await c.peek();
        // Both are complete: the first one wins, and the second gives back.
        auto second = co_await any(c.read_exactly(2), c.read_some(buffer));
        EXPECT_EQ(second.index(), 0u);
        auto third = co_await any(within(absl::Seconds(60), c.read_some(buffer)),
                                  [](Connection& c) -> Task<> { co_await c.write("2"); }(c));
        EXPECT_EQ(third.index(), 1u);
        EXPECT_EQ((co_await c.read_exactly(4)).text(), "efgh");
      },
      [](Peer& peer) {
        peer.send("ab");
        EXPECT_EQ(peer.receive(1), "1");
        peer.send("cd");
        EXPECT_EQ(peer.receive(1), "2");
        peer.send("efgh");
      });
}

TEST_P(ReadTest, AStopThatComesLaterThanTheBytesLosesNothing) {
  run(
      [](Connection& c) -> Task<> {
        for (int i = 0; i < 100; ++i) {
          absl::StatusOr<ByteView> got =
              co_await within(absl::Microseconds(i), c.read_exactly(2)).result();
          if (!got.ok()) {
            EXPECT_TRUE(absl::IsDeadlineExceeded(got.status()));
            got = co_await c.read_exactly(2).result();
          }
          EXPECT_EQ(got->text(), "ab") << i;
          co_await c.write("x");
        }
      },
      [](Peer& peer) {
        for (int i = 0; i < 100; ++i) {
          peer.send("ab");
          EXPECT_EQ(peer.receive(1), "x");
        }
      });
}

// In an order of its own a task uses the connection from afar.
TEST_P(ReadTest, ATaskOfAnotherOrderReadsAndWrites) {
  Runtime runtime(options());
  AsyncEvent ended;
  std::array<std::byte, 3> buffer;
  Job job;
  absl::Notification served;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    job = runtime.spawn([&buffer, &ended, c]() mutable -> Task<> {
      co_await c.write("hello");
      EXPECT_EQ((co_await c.read_exactly(3)).text(), "abc");
      EXPECT_EQ(co_await c.read_some(buffer), 3u);
      absl::StatusOr<ByteView> late = co_await within(absl::Nanoseconds(1), c.read()).result();
      EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
      co_await c.write("more");
      while (ByteView bytes = co_await c.read()) co_await c.write(bytes);
      co_await c.flush();
      ended.set();
    });
    co_await ended.wait();
    served.Notify();
  });
  EXPECT_EQ(peer.receive(5), "hello");
  peer.send("abcdef");
  EXPECT_EQ(peer.receive(4), "more");
  peer.send(pattern(300'000));
  peer.half_close();
  EXPECT_EQ(peer.receive_all(), pattern(300'000));
  served.WaitForNotification();
  EXPECT_TRUE(job.wait().ok()) << job.wait();
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ReadTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
