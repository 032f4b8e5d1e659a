// What the log says of handlers and tasks that end with an error: one line a second at most, for
// the whole process. So these tests have a program of their own, with one test for each kind of
// line.

#include <atomic>
#include <functional>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

constexpr int kTimes = 100;

// One at once, and one more for each second since `begin`.
void expect_one_a_second(int lines, absl::Time begin) {
  EXPECT_GE(lines, 1);
  EXPECT_LE(lines, 2 + absl::ToInt64Seconds(absl::Now() - begin));
}

TEST(ErrorLog, HasOneHandlerASecondAndNoneWhoseConnectionHadFailedBefore) {
  const LogLines lines;
  {
    Runtime runtime;
    const auto listener = runtime.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
      co_await peer.write("x");
      while (ByteView bytes = co_await peer.read()) continue;
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    Peer peer(listener->address());
    peer.receive(1);
    peer.reset();
    while (runtime.counters().handler_errors == 0) std::this_thread::yield();
  }
  EXPECT_EQ(lines.count("the handler of"), 0) << lines.text();

  const absl::Time begin = absl::Now();
  {
    Runtime runtime;
    const auto listener = runtime.listen(
        "127.0.0.1:0", [](Connection) -> Task<> { co_await absl::NotFoundError("no such row"); });
    ASSERT_TRUE(listener.ok()) << listener.status();
    for (int i = 0; i < kTimes; ++i) Peer(listener->address()).end();
    while (runtime.counters().handler_errors < kTimes) std::this_thread::yield();
  }
  expect_one_a_second(lines.count("ended with NOT_FOUND: no such row"), begin);
}

Task<> fails(std::atomic<int>& begun) {
  ++begun;
  co_await absl::NotFoundError("no such file");
}

TEST(ErrorLog, HasOneTaskThatNobodyLooksAtASecondOfAllRuntimes) {
  const LogLines lines;
  const absl::Time begin = absl::Now();
  std::atomic<int> begun = 0;
  {
    Runtime one;
    Runtime other;
    for (int i = 0; i < kTimes; ++i) (void)(i % 2 == 0 ? one : other).spawn(fails, std::ref(begun));
    while (begun < kTimes) std::this_thread::yield();  // or a shutdown stops them before
  }
  expect_one_a_second(lines.count("a task ended with NOT_FOUND: no such file"), begin);
}

}  // namespace
}  // namespace epore
