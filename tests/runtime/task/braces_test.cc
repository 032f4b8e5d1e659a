// Options in braces, in the expression that awaits: gcc 12 copies the bytes of members with
// destructors there, and destroys both. What is made is destroyed once all the same.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace epore {
namespace {

using internal::OrderState;
using internal::Ref;

constexpr int kTimes = 20;

class BracesTest : public testing::Test {
 protected:
  // Runs the task `kTimes` times. Then there are as many references to order() as before: each was
  // dropped once. More are there meanwhile, so that a drop too many frees nothing.
  template <typename F>
  void expect_balanced(F task) {
    constexpr int kMore = 1000;
    Ref<OrderState> state;
    {
      Runtime runtime;
      order_ = runtime.order();
      state = *OrderState::share(order_, "test");
      for (int i = 0; i < kMore; ++i) state->add_ref();
      for (int i = 0; i < kTimes; ++i) {
        const absl::Status done = runtime.run([&] { return task(runtime); });
        EXPECT_TRUE(done.ok()) << done;
      }
      EXPECT_TRUE(runtime.shutdown().ok());
      order_ = Order();
    }
    int more = 0;
    while (!state->is_only_reference()) {
      state->drop_ref();
      ++more;
    }
    EXPECT_EQ(more, kMore);
  }

  Order order_;
};

TEST_F(BracesTest, OfUdp) {
  expect_balanced([&](Runtime& runtime) -> Task<> {
    const SocketAddress peer = *SocketAddress::parse("127.0.0.1:9");
    UdpSocket socket = co_await runtime.udp("127.0.0.1:0", {.order = order_});
    UdpSocket connected = co_await runtime.udp("", {.peer = peer, .order = runtime.order()});
    UdpSocket called =
        co_await runtime.udp("127.0.0.1:0", [](UdpSocket&, auto) {}, {.batch = 4, .order = order_});
    called.close();
    const auto failed = runtime.udp("nonsense", {.order = order_});
    EXPECT_TRUE(absl::IsInvalidArgument(failed.status())) << failed.status();
  });
}

TEST_F(BracesTest, OfListenAndConnect) {
  expect_balanced([&](Runtime& runtime) -> Task<> {
    Listener tasks = co_await runtime.listen("127.0.0.1:0", {.backlog = 8, .order = order_});
    Listener called = co_await runtime.listen("127.0.0.1:0", [](Connection&) {}, {.order = order_});
    Listener served = co_await runtime.listen(
        "127.0.0.1:0", [](Connection) -> Task<> { co_return; }, {.order = order_});
    const std::string address = tasks.address().to_string();
    auto both = co_await all(connect(address, ConnectOptions{.order = order_}),
                             connect(address, {.no_delay = false}));
    Connection accepted = co_await tasks.accept();
    const std::vector<SocketAddress> addresses(2, tasks.address());
    auto again = co_await all(connect(addresses, ConnectOptions{.order = order_}),
                              connect(addresses, {.no_delay = false}));
    Connection last = co_await connect(co_await resolve(address), {.no_delay = false});
    tasks.close();
    called.close();
    served.close();
  });
}

// The error ends the coroutine, with the braces in the frame.
TEST_F(BracesTest, OfACallThatFails) {
  expect_balanced([&](Runtime& runtime) -> Task<> {
    const auto fails = [&]() -> Task<> {
      const Order order = order_;
      UdpSocket socket = co_await runtime.udp("nonsense", {.order = order});
    };
    EXPECT_TRUE(absl::IsInvalidArgument(co_await fails().result()));
  });
}

TEST_F(BracesTest, OfALane) {
  Runtime runtime;
  const std::string name = "a name that is longer than a thread's";
  const absl::Status done = runtime.run([&]() -> Task<> {
    for (int i = 0; i < kTimes; ++i) {
      const Lane disk = co_await runtime.lane({.name = "disk", .threads = 1});
      const Lane named = co_await runtime.lane({.name = name + std::to_string(i)});
      EXPECT_FALSE(disk == named);
    }
  });
  EXPECT_TRUE(done.ok()) << done;
}

TEST(LaneNameTest, KeepsTheFirstThirtyOneCharacters) {
  const std::string text = "0123456789012345678901234567890123456789";
  const LaneName name = text;
  EXPECT_EQ(std::string_view(name), text.substr(0, 31));
  EXPECT_EQ(std::string(name.c_str()), text.substr(0, 31));
  EXPECT_EQ(name, LaneName(text.substr(0, 31)));
  EXPECT_FALSE(name == LaneName("0"));
  const LaneOptions bad{.name = std::string_view("a\0b", 3)};
  EXPECT_TRUE(absl::IsInvalidArgument(bad.check())) << bad.check();
}

// An order in options is one like any other.
TEST(OrderOptionTest, IsAnOrder) {
  Runtime runtime;
  const Order order = runtime.order();
  UdpOptions options;
  EXPECT_EQ(options.order, Order());
  options.order = order;
  EXPECT_EQ(options.order, order);
  UdpOptions copy = options;
  options = UdpOptions();
  EXPECT_EQ(options.order, Order());
  EXPECT_EQ(copy.order, order);
  Order moved = std::move(copy.order);
  EXPECT_EQ(moved, order);
  EXPECT_TRUE(moved.post([] {}).ok());
}

}  // namespace
}  // namespace epore
