// A callback that is null is refused where it is given, and never called.

#include <signal.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "absl/base/log_severity.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

using NullCallbackTest = RuntimeTest;

INSTANTIATE_TEST_SUITE_P(Everywhere, NullCallbackTest, testing::ValuesIn(epoll_modes()), mode_name);

TEST_P(NullCallbackTest, WhatReturnsAStatusSaysSo) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  for (const absl::Status& status :
       {runtime.listen("127.0.0.1:0", nullptr).status(), runtime.post(nullptr),
        runtime.on_signal(SIGUSR1, nullptr), link.connection.post(nullptr)}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "null")) << status;
  }
  fence(link.connection);
  EXPECT_EQ(runtime.counters().callback_exceptions, 0u);
}

TEST_P(NullCallbackTest, ATimerThatWouldHaveNoneNamesNoneAndTheLogSaysSo) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  LogLines errors(absl::LogSeverity::kError);
  Timer timers[] = {runtime.timer(nullptr), runtime.post_after(absl::ZeroDuration(), nullptr),
                    link.connection.timer(nullptr)};
  for (Timer& timer : timers) {
    timer.arm(absl::ZeroDuration());
    EXPECT_FALSE(timer.is_armed());
    timer.arm_every(absl::Nanoseconds(1));
    EXPECT_FALSE(timer.is_armed());
  }
  EXPECT_TRUE(errors.has("timer: the callback is null")) << errors.text();
  EXPECT_TRUE(errors.has("Connection::timer")) << errors.text();
  fence(runtime);
}

TEST_P(NullCallbackTest, AConnectThatWouldTellNobodyStartsNothing) {
  Runtime runtime(options());
  LogLines errors(absl::LogSeverity::kError);
  const std::uint64_t sockets = kernel_.calls(KernelCall::kSocket);
  runtime.connect("127.0.0.1:1", nullptr);
  EXPECT_TRUE(errors.has("on_connected is null")) << errors.text();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(kernel_.calls(KernelCall::kSocket), sockets);
}

TEST_P(NullCallbackTest, AnEmptyStdFunctionIsNull) {
  const std::function<void(Connection&)> none;
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  LogLines errors(absl::LogSeverity::kError);
  const absl::Status posted = link.connection.post(none);
  EXPECT_EQ(posted.code(), absl::StatusCode::kInvalidArgument) << posted;
  EXPECT_FALSE(link.connection.timer(none).arm(absl::ZeroDuration()));
  EXPECT_TRUE(errors.has("Connection::timer: the callback is null")) << errors.text();
  fence(link.connection);
  EXPECT_EQ(runtime.counters().callback_exceptions, 0u);
}

// As null, it takes a callback away, also the one that says how the connection has ended.
TEST_P(NullCallbackTest, AnEmptyStdFunctionRemovesEachCallbackOfAConnection) {
  const std::function<void(Connection&)> none;
  const std::function<void(Connection&, const absl::Status&)> no_closed;
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.on_data(std::function<void(Connection&, std::span<const std::byte>)>());
  link.connection.on_writable(none);
  link.connection.on_read_closed(none);
  link.connection.on_drain(none);
  link.connection.on_closed(no_closed);
  link.peer.send("x");
  link.peer.half_close();
  fence(link.connection);
  EXPECT_TRUE(link.connection.is_open());
  EXPECT_TRUE(runtime.shutdown().ok());  // without on_drain it closes
  EXPECT_EQ(runtime.counters().callback_exceptions, 0u);
}

TEST_P(NullCallbackTest, OfAConnectionItMeansNone) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.on_data(nullptr);
  link.connection.on_writable(nullptr);
  link.connection.on_read_closed(nullptr);
  link.connection.on_drain(nullptr);
  fence(link.connection);
  // Without on_data nobody listens: the byte waits in the system, and the end of file behind it.
  link.peer.send("x");
  link.peer.half_close();
  fence(link.connection);
  EXPECT_TRUE(link.connection.is_open());
  link.connection.close();
  EXPECT_EQ(link.peer.end(), 0);
  EXPECT_TRUE(observer.await_closed().ok());
}

}  // namespace
}  // namespace epore
