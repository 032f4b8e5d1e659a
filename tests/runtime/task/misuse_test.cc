// What compiles, as it is right, and what does not, as it would compile and go wrong: coroutines as
// callbacks, handlers with references, buffers of characters as text. tests/consumers/mistakes.cc
// has the mistakes that the compiler answers with a sentence of a static_assert.

#include <csignal>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"

namespace epore {
namespace {

// -- A coroutine is no callback. --

// A callback that takes anything, and gives an R.
template <typename R>
struct Returns {
  template <typename... Args>
  R operator()(Args&&...);
};

template <typename F, typename C>
concept IsDataCallback = requires(C c, F f) {
  c.on_data(f);
};
template <typename F, typename C>
concept IsReadClosedCallback = requires(C c, F f) {
  c.on_read_closed(f);
};
template <typename F, typename C>
concept IsWritableCallback = requires(C c, F f) {
  c.on_writable(f);
};
template <typename F, typename C>
concept IsClosedCallback = requires(C c, F f) {
  c.on_closed(f);
};
template <typename F, typename C>
concept IsDrainCallback = requires(C c, F f) {
  c.on_drain(f);
};
template <typename F, typename R>
concept IsPosted = requires(R r, F f) {
  r.post(f);
};
template <typename F, typename R>
concept IsPostedLater = requires(R r, F f) {
  r.post_after(absl::ZeroDuration(), f);
};
template <typename F, typename R>
concept IsTimerCallback = requires(R r, F f) {
  r.timer(f);
};
template <typename F, typename R>
concept IsConnectCallback = requires(R& r, F f) {
  r.connect("", f);
};
template <typename F, typename R>
concept IsSignalCallback = requires(R& r, F f) {
  r.on_signal(SIGHUP, f);
};
template <typename F, typename R>
concept IsWatchCallback = requires(R& r, F f) {
  r.watch(0, Interest::readable(), f);
};
template <typename F, typename R>
concept IsUdpCallback = requires(R& r, F f) {
  r.udp("", f);
};
template <typename F, typename R>
concept IsUnixDatagramCallback = requires(R& r, F f) {
  r.unix_datagram("", f);
};
template <typename F, typename R>
concept IsExitCallback = requires(R& r, F f) {
  r.start_child(Command("true"), ChildOptions{}, f);
};

template <typename F>
inline constexpr int kCallbacks =
    IsDataCallback<F, Connection> + IsReadClosedCallback<F, Connection> +
    IsWritableCallback<F, Connection> + IsClosedCallback<F, Connection> +
    IsDrainCallback<F, Connection> + IsPosted<F, Connection> + IsTimerCallback<F, Connection> +
    IsPosted<F, Runtime&> + IsPosted<F, Order> + IsPostedLater<F, Runtime&> +
    IsPostedLater<F, Order> + IsTimerCallback<F, Runtime&> + IsTimerCallback<F, Order> +
    IsConnectCallback<F, Runtime> + IsSignalCallback<F, Runtime> + IsWatchCallback<F, Runtime> +
    IsUdpCallback<F, Runtime> + IsUnixDatagramCallback<F, Runtime> + IsExitCallback<F, Runtime>;
static_assert(kCallbacks<Returns<void>> == 19);
static_assert(kCallbacks<Returns<int>> == 19);
static_assert(kCallbacks<std::nullptr_t> == 19);
static_assert(kCallbacks<Returns<Task<>>> == 0);
static_assert(kCallbacks<Returns<Task<int>>> == 0);

template <typename F, typename O>
concept IsThreadHook = requires(O o, F f) {
  o.on_thread_start = f;
  o.on_thread_stop = std::move(f);
  O{.on_thread_start = f, .on_thread_stop = f};
};
static_assert(IsThreadHook<Returns<void>, RuntimeOptions>);
static_assert(IsThreadHook<Returns<int>, RuntimeOptions>);
static_assert(IsThreadHook<std::nullptr_t, RuntimeOptions>);
static_assert(IsThreadHook<std::function<void(std::string_view)>, RuntimeOptions>);
static_assert(IsThreadHook<void (*)(std::string_view), RuntimeOptions>);
static_assert(!IsThreadHook<Returns<Task<>>, RuntimeOptions>);
static_assert(!IsThreadHook<Task<> (*)(std::string_view), RuntimeOptions>);

// -- A handler that is a coroutine takes its connection by value. --

using ByValue = Task<>(Connection);
using ByReference = Task<>(Connection&);
static_assert(internal::kIsHandler<ByValue*>);
static_assert(!internal::kIsHandler<ByReference*>);

inline constexpr auto lambda_by_value = [](Connection) -> Task<> { co_return; };
inline constexpr auto mutable_lambda = [](Connection) mutable noexcept -> Task<> { co_return; };
inline constexpr auto lambda_of_any_value = [](auto) -> Task<> { co_return; };
inline constexpr auto lambda_by_const = [](const Connection&) -> Task<> { co_return; };
inline constexpr auto lambda_by_rvalue = [](Connection&&) -> Task<> { co_return; };
inline constexpr auto lambda_by_reference = [](Connection&) -> Task<> { co_return; };
inline constexpr auto lambda_of_any_reference = [](auto&) -> Task<> { co_return; };
inline constexpr auto lambda_with_value = [](Connection) -> Task<int> { co_return 1; };
template <const auto& lambda>
inline constexpr bool kServes = internal::kIsHandler<std::remove_cvref_t<decltype(lambda)>>;
static_assert(kServes<lambda_by_value> && kServes<mutable_lambda> && kServes<lambda_of_any_value>);
static_assert(!kServes<lambda_by_const> && !kServes<lambda_by_rvalue>);
static_assert(!kServes<lambda_by_reference> && !kServes<lambda_of_any_reference>);
static_assert(!kServes<lambda_with_value>);

// -- Views and buffers. --

template <typename T>
inline constexpr bool kLasts = internal::kLasts<T>;
static_assert(kLasts<std::string> && kLasts<std::string&> && kLasts<Bytes> && kLasts<int>);
static_assert(kLasts<const char (&)[3]>);                    // "ab"
static_assert(kLasts<std::reference_wrapper<std::string>>);  // the program's word
static_assert(!kLasts<std::string_view> && !kLasts<const std::string_view&>);
static_assert(!kLasts<ByteView> && !kLasts<ByteView&> && !kLasts<std::span<const std::byte>>);
static_assert(!kLasts<const char*> && !kLasts<char* const&> && !kLasts<char (&)[3]>);

template <typename Text>
concept IsSent = requires(Connection c, Text text) {
  c.send(text);
};
template <typename Text>
concept IsWritten = requires(Connection c, Text text) {
  c.write(text);
};
static_assert(IsSent<const char (&)[3]> && IsWritten<const char (&)[3]>);
static_assert(IsSent<std::byte (&)[3]> && IsWritten<std::byte (&)[3]>);
static_assert(!IsSent<char (&)[3]> && !IsWritten<char (&)[3]>);

// -- What they do. --

class MisuseTest : public HandlerTest {
 protected:
  // Whether `handler` writes "text" in the end.
  template <typename F>
  void expect_served(F handler) {
    DrivenRuntime runtime(options());
    Peer peer = serve(runtime, std::move(handler));
    peer.send("x");
    EXPECT_EQ(peer.receive(4), "text");
    EXPECT_EQ(peer.end(), 0);
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, MisuseTest, testing::ValuesIn(all_modes()), mode_name);

struct Server {
  Task<> serve_reference(const Connection& peer) {
    Connection copy = peer;
    co_await copy.read();
    co_await Connection(peer).write(text);
  }

  std::string text = "text";
};

TEST(Hook, IsAStdFunction) {
  int calls = 0;
  RuntimeOptions options = {.on_thread_start = [&calls](std::string_view) { ++calls; }};
  EXPECT_EQ(options.on_thread_stop, nullptr);
  EXPECT_FALSE(options.on_thread_stop);
  const RuntimeOptions copy = options;
  ASSERT_NE(copy.on_thread_start, nullptr);
  const std::function<void(std::string_view)> called = copy.on_thread_start;
  called("name");
  options.on_thread_stop = options.on_thread_start;
  options.on_thread_start = nullptr;
  EXPECT_FALSE(options.on_thread_start);
  const std::function<void(std::string_view)> taken = options.on_thread_stop;
  taken("name");
  EXPECT_EQ(calls, 2);
  options.on_thread_stop = std::function<void(std::string_view)>();
  EXPECT_FALSE(options.on_thread_stop);
  options.on_thread_stop = copy.on_thread_stop;
  options.on_thread_stop = {};
  EXPECT_FALSE(options.on_thread_stop);
  std::function<void(std::string_view)> empty = options.on_thread_stop;  // as for a chain of hooks
  EXPECT_FALSE(empty);
  empty = options.on_thread_start;
  EXPECT_FALSE(empty);
}

TEST_P(MisuseTest, AHandlerOfAnyValue) {
  expect_served([](auto peer) -> Task<> {
    co_await peer.read();
    co_await peer.write("text");
  });
}

// Their parameters cannot be seen, so the connection lives as long as the coroutine.
TEST_P(MisuseTest, AHandlerOfAnyReferenceKeepsTheConnection) {
  expect_served([](auto&& peer) -> Task<> {
    co_await peer.read();
    co_await peer.write("text");
  });
}
TEST_P(MisuseTest, ABoundMethodKeepsTheConnection) {
  Server server;
  expect_served(std::bind_front(&Server::serve_reference, &server));
}

TEST_P(MisuseTest, AGroupHasABodyWithAName) {
  DrivenRuntime runtime(options());
  std::string text;
  const absl::Status status = runtime.run([&]() -> Task<> {
    auto body = [&text, part = std::string("te")](Group& group) mutable -> Task<> {
      part += "xt";
      group.spawn([&]() -> Task<> {
        text = part;
        co_return;
      });
      co_return;
    };
    co_await group(body);
    const auto constant = [&text, part = std::string("s")](Group&) -> Task<> {
      text += part;
      co_return;
    };
    co_await group(constant);
  });
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(text, "texts");
}

TEST_P(MisuseTest, RunTakesViewsAsItWaits) {
  DrivenRuntime runtime(options());
  const std::string text = "text";
  const auto size = [](std::string_view view) -> Task<std::size_t> { co_return view.size(); };
  EXPECT_EQ(runtime.run(size, std::string_view(text)).value_or(0), 4u);
}

}  // namespace
}  // namespace epore
