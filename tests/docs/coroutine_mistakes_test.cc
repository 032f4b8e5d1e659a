// What really happens to the mistakes that docs/guide/coroutines.md names, in its words.

#include <cstddef>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

// The page without its line breaks.
const std::string& page() {
  static const std::string* const text = [] {
    std::ifstream file("docs/guide/coroutines.md");
    auto* words = new std::string;
    for (std::string word; file >> word;) *words += word + " ";
    return words;
  }();
  return *text;
}

// Whether the page quotes this status, with connection 7 for whichever it is about.
testing::AssertionResult is_quoted(const absl::Status& status) {
  std::string quote =
      absl::StatusCodeToString(status.code()) + ": " + std::string(status.message());
  constexpr std::string_view kName = "peer of connection ";
  if (const std::size_t found = quote.find(kName); found != std::string::npos) {
    const std::size_t begin = found + kName.size();
    quote.replace(begin, quote.find_first_not_of("0123456789", begin) - begin, "7");
  }
  if (page().find(quote) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "the page does not say \"" << quote << '"';
}

std::string address_of(const absl::StatusOr<Listener>& listener) {
  return listener->address().to_string();
}

// Sends what it is told, and then waits for the end.
Task<> talk(Connection peer, std::string text) {
  co_await peer.write(text);
  peer.shut_down_write();
  while (ByteView bytes = co_await peer.read()) continue;
}

// A peer that says `text`, and a task with a connection to it.
template <typename F>
absl::Status with_peer(std::string text, F client) {
  Runtime runtime;
  auto listener =
      runtime.listen("127.0.0.1:0", [text](Connection peer) -> Task<> { return talk(peer, text); });
  EXPECT_TRUE(listener.ok()) << listener.status();
  return runtime.run([&]() -> Task<> {
    Connection peer = co_await connect(address_of(listener));
    co_await client(peer);
  });
}

TEST(CoroutineMistakes, TwoReadersAtOnce) {
  EXPECT_TRUE(is_quoted(with_peer("", [](Connection peer) -> Task<> {
    co_await all(peer.read_exactly(1), peer.read_exactly(1));
  })));
}

TEST(CoroutineMistakes, AReadThatHasANameTwice) {
  EXPECT_TRUE(is_quoted(with_peer("a\nb\n", [](Connection peer) -> Task<> {
    auto line = peer.read_until("\n", 9);
    co_await line;
    co_await line;
  })));
}

TEST(CoroutineMistakes, ShortMessage) {
  EXPECT_TRUE(is_quoted(
      with_peer("abc", [](Connection peer) -> Task<> { co_await peer.read_exactly(4); })));
  EXPECT_TRUE(is_quoted(
      with_peer("abcdefgh", [](Connection peer) -> Task<> { co_await peer.read_until("\n", 8); })));
}

TEST(CoroutineMistakes, ReadAfterClose) {
  EXPECT_TRUE(is_quoted(with_peer("x", [](Connection peer) -> Task<> {
    peer.close();
    co_await peer.read();
  })));
}

TEST(CoroutineMistakes, AcceptBesideAHandler) {
  Runtime runtime;
  auto listener =
      runtime.listen("127.0.0.1:0", [](Connection peer) -> Task<> { return talk(peer, ""); });
  EXPECT_TRUE(is_quoted(runtime.run([&]() -> Task<> { co_await listener->accept(); })));
}

TEST(CoroutineMistakes, AcceptAfterClose) {
  Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0");
  listener->close();
  EXPECT_TRUE(is_quoted(runtime.run([&]() -> Task<> { co_await listener->accept(); })));
}

TEST(CoroutineMistakes, Exception) {
  Runtime runtime;
  EXPECT_TRUE(is_quoted(runtime.run([]() -> Task<> {
    throw std::out_of_range("no such row");
    co_return;
  })));
}

TEST(CoroutineMistakes, AwaitTwice) {
  Runtime runtime;
  EXPECT_TRUE(is_quoted(runtime.run([]() -> Task<> {
    Task<> task = []() -> Task<> { co_return; }();
    co_await std::move(task);
    co_await std::move(task);
  })));
}

TEST(CoroutineMistakes, OkStatusAsTheEndOfATaskWithAValue) {
  Runtime runtime;
  EXPECT_TRUE(is_quoted(runtime.run([]() -> Task<int> { co_return absl::OkStatus(); }).status()));
}

TEST(CoroutineMistakes, Deadline) {
  ClockKernel kernel;
  Runtime runtime({.kernel = &kernel});
  Job job = runtime.spawn([]() -> Task<> {
    co_await within(absl::Milliseconds(5), sleep_for(absl::InfiniteDuration()));
  });
  kernel.await_waiters();
  kernel.advance(absl::Milliseconds(5));
  EXPECT_TRUE(is_quoted(job.wait()));
}

TEST(CoroutineMistakes, GoingOnUnderAStop) {
  Runtime runtime;
  absl::Notification began;
  int refused = 0;
  Job job = runtime.spawn([&]() -> Task<> {
    began.Notify();
    absl::Status slept = co_await sleep_for(absl::Hours(1)).result();
    EXPECT_TRUE(absl::IsCancelled(slept)) << slept;
    for (; refused < 3; ++refused) {
      slept = co_await sleep_for(absl::Hours(1)).result();
      EXPECT_TRUE(absl::IsCancelled(slept)) << slept;
    }
    // Its own time, and nothing else, ends what is under a shield.
    slept = co_await shield(within(absl::Nanoseconds(1), sleep_for(absl::Hours(1)))).result();
    EXPECT_TRUE(absl::IsDeadlineExceeded(slept)) << slept;
    co_await slept;
  });
  began.WaitForNotification();
  job.stop();
  EXPECT_TRUE(absl::IsDeadlineExceeded(job.wait())) << job.wait();
  EXPECT_EQ(refused, 3);
}

TEST(CoroutineMistakes, Stop) {
  Runtime runtime;
  Job job = runtime.spawn([]() -> Task<> { co_await sleep_for(absl::InfiniteDuration()); });
  job.stop();
  EXPECT_TRUE(is_quoted(job.wait()));
}

TEST(CoroutineMistakes, WaitForAJobInATask) {
  Runtime runtime;
  EXPECT_TRUE(is_quoted(runtime.run([&]() -> Task<> {
    Job job = runtime.spawn([]() -> Task<> { co_return; });
    co_await job.wait();
  })));
  EXPECT_TRUE(is_quoted(
      runtime.run([&]() -> Task<> { co_await runtime.run([]() -> Task<> { co_return; }); })));
}

TEST(CoroutineMistakes, SpawnAfterShutdown) {
  Runtime runtime;
  ASSERT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(is_quoted(runtime.spawn([]() -> Task<> { co_return; }).wait()));
}

TEST(CoroutineMistakes, ShutdownEndsWhatWaits) {
  Runtime runtime;
  absl::Notification began;
  Job job = runtime.spawn([&]() -> Task<> {
    began.Notify();
    co_await sleep_for(absl::InfiniteDuration());
  });
  began.WaitForNotification();
  ASSERT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
  EXPECT_TRUE(is_quoted(job.wait()));
}

TEST(CoroutineMistakes, LockTwice) {
  Runtime runtime;
  EXPECT_TRUE(absl::IsDeadlineExceeded(runtime.run([]() -> Task<> {
    AsyncMutex mutex;
    AsyncLock lock = co_await mutex.lock();
    AsyncLock again = co_await within(absl::Nanoseconds(1), mutex.lock());
  })));
}

TEST(CoroutineMistakes, ClosedChannel) {
  Runtime runtime;
  Channel<int> channel(1);
  channel.close();
  EXPECT_TRUE(is_quoted(runtime.run([&]() -> Task<> { co_await channel.send(1); })));
  EXPECT_TRUE(is_quoted(runtime.run([&]() -> Task<> { co_await channel.receive(); })));
}

Task<> wait_forever(absl::Status& how) {
  how = co_await sleep_for(absl::InfiniteDuration()).result();
}

TEST(CoroutineMistakes, OtherPartsOfAllAreCancelled) {
  Runtime runtime;
  absl::Status other;
  absl::Status first = runtime.run([&]() -> Task<> {
    co_await all(wait_forever(other),
                 [](int) -> Task<> { co_await absl::NotFoundError("no such shard"); }(0));
  });
  EXPECT_TRUE(absl::IsNotFound(first)) << first;
  EXPECT_TRUE(is_quoted(other));
}

TEST(CoroutineMistakes, ErrorOfAHandlerIsLogged) {
  LogLines log;
  Runtime runtime;
  auto listener = runtime.listen(
      "127.0.0.1:0", [](Connection) -> Task<> { co_await absl::NotFoundError("no such row"); });
  EXPECT_FALSE(runtime
                   .run([&]() -> Task<> {
                     Connection peer = co_await connect(address_of(listener));
                     co_await peer.read_exactly(1);
                   })
                   .ok());
  LOG(INFO) << log.await("no such row");
}

TEST(CoroutineMistakes, ErrorOfAForgottenJobIsLogged) {
  LogLines log;
  Runtime runtime;
  runtime.spawn([]() -> Task<> { co_await absl::NotFoundError("no such row"); });
  LOG(INFO) << log.await("no such row");
}

TEST(CoroutineMistakes, CompletionThatNobodyCompletes) {
  Runtime runtime;
  EXPECT_TRUE(is_quoted(runtime.run([]() -> Task<> {
    Completion<int> reply;
    { const Completer<int> dropped = reply.completer(); }
    co_await reply.wait();
  })));
}

TEST(CoroutineMistakes, AHandleThatNamesNothing) {
  Runtime runtime;
  EXPECT_TRUE(is_quoted(runtime.run([]() -> Task<> { co_await Connection().read(); })));
}

}  // namespace
}  // namespace epore
