// Each call that takes a callback, with all that is none: it says so where it is given, or it means
// that there is none. It is never called. A Connection's calls are in null_callback_test.cc.

#include <signal.h>
#include <sys/eventfd.h>

#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/log_severity.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/base/callable.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

// Converts to each kind of a callback, and is none.
struct Default {
  template <typename Signature>
  static absl::AnyInvocable<Signature> of() {
    return {};
  }
};
struct Null {
  template <typename Signature>
  static std::nullptr_t of() {
    return nullptr;
  }
};
struct NullPointer {
  template <typename Signature>
  static Signature* of() {
    return nullptr;
  }
};
struct EmptyFunction {
  template <typename Signature>
  static std::function<Signature> of() {
    return {};
  }
};

class EmptyCallbackTest : public RuntimeTest {
 protected:
  template <typename None>
  void expect_told() {
    LogLines errors(absl::LogSeverity::kError);
    Runtime runtime(options());
    const Order order = runtime.order();
    const OwnedFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const SocketAddress address = *SocketAddress::parse("127.0.0.1:1");
    const auto on_data = None::template of<void(UdpSocket&, Received)>;
    const struct {
      std::string_view call;
      absl::Status status;
    } cases[] = {
        {"listen", runtime.listen("127.0.0.1:0", None::template of<void(Connection&)>()).status()},
        {"post", runtime.post(None::template of<void()>())},
        {"Order::post", order.post(None::template of<void()>())},
        {"on_signal", runtime.on_signal(SIGUSR1, None::template of<void()>())},
        {"watch", runtime
                      .watch(event.get(), Interest::readable(),
                             None::template of<void(Watch&, absl::StatusOr<Readiness>)>())
                      .status()},
        {"udp", runtime.udp("127.0.0.1:0", on_data()).status()},
        {"unix_datagram", runtime.unix_datagram("", on_data()).status()},
    };
    for (const auto& one : cases) {
      EXPECT_EQ(one.status.code(), absl::StatusCode::kInvalidArgument) << one.call;
      EXPECT_TRUE(absl::StrContains(one.status.message(), one.call)) << one.status;
      EXPECT_TRUE(absl::StrContains(one.status.message(), "null")) << one.status;
    }
    for (Timer timer :
         {runtime.timer(None::template of<void()>()), order.timer(None::template of<void()>()),
          runtime.post_after(absl::ZeroDuration(), None::template of<void()>()),
          order.post_after(absl::ZeroDuration(), None::template of<void()>())}) {
      EXPECT_FALSE(timer.arm(absl::ZeroDuration()));
    }
    EXPECT_EQ(errors.count("timer: the callback is null"), 4) << errors.text();
    runtime.connect("127.0.0.1:1", None::template of<void(absl::StatusOr<Connection>)>());
    runtime.connect(std::span<const SocketAddress>(&address, 1),
                    None::template of<void(absl::StatusOr<Connection>)>());
    EXPECT_EQ(errors.count("on_connected is null"), 2) << errors.text();
    const absl::StatusOr<Child> child =
        runtime.start_child({{"true"}}, {}, None::template of<void(absl::StatusOr<ExitStatus>)>());
    EXPECT_TRUE(child.ok()) << child.status();
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_EQ(runtime.counters().callback_exceptions, 0u);
    EXPECT_EQ(kernel_.calls(KernelCall::kConnect), 0u);
  }

 private:
  using Received = absl::StatusOr<std::span<const Datagram>>;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, EmptyCallbackTest, testing::ValuesIn(epoll_modes()),
                         mode_name);

TEST_P(EmptyCallbackTest, WithoutAFunction) { expect_told<Default>(); }
TEST_P(EmptyCallbackTest, WithNull) { expect_told<Null>(); }
TEST_P(EmptyCallbackTest, WithANullPointer) { expect_told<NullPointer>(); }
TEST_P(EmptyCallbackTest, WithAnEmptyStdFunction) { expect_told<EmptyFunction>(); }

TEST_P(EmptyCallbackTest, AHandlerThatIsNone) {
  Runtime runtime(options());
  for (const absl::Status& status :
       {runtime.listen("127.0.0.1:0", std::function<Task<>(Connection)>()).status(),
        runtime.listen("127.0.0.1:0", static_cast<Task<> (*)(Connection)>(nullptr)).status(),
        runtime.listen("127.0.0.1:0", Runtime::Handler()).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "null")) << status;
  }
}

TEST_P(EmptyCallbackTest, AnOnceThatComputesNothing) {
  Runtime runtime(options());
  Once<int> empty{std::function<Task<int>()>()};
  Once<int> null(nullptr);
  for (Once<int>* const once : {&empty, &null}) {
    const absl::Status status = runtime.run([&]() -> Task<> { co_await once->get(); });
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "Once")) << status;
  }
}

TEST(CallableTest, WhatIsAFunctionStaysOne) {
  using Function = absl::AnyInvocable<int()>;
  const auto call = [](internal::Callable<Function> callable) {
    EXPECT_TRUE(callable);
    return std::move(callable).take()();
  };
  int (*const pointer)() = [] { return 3; };
  const std::function<int()> function = [] { return 2; };
  EXPECT_EQ(call([] { return 1; }), 1);
  EXPECT_EQ(call(function), 2);
  EXPECT_EQ(call(pointer), 3);
  EXPECT_EQ(call(*pointer), 3);
  EXPECT_EQ(call(Function([] { return 4; })), 4);
}

}  // namespace
}  // namespace epore
