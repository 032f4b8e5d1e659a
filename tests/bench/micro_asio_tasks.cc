// Coroutines of Boost.Asio at their best: awaitables with a concrete executor, whose frames and
// operations Asio recycles, channels without a lock where one thread is enough, and cancel_after()
// where Asio has it.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"  // Asio's fences: ThreadSanitizer overlooks them
#endif

#ifdef EPORE_HAVE_BOOST

#include "tests/bench/micro_asio_tasks.h"

#include <array>
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <tuple>
#include <utility>

#include "absl/log/check.h"
#include "absl/synchronization/notification.h"

namespace epore::bench {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Context = asio::io_context;
using Executor = Context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
template <typename T = void>
using Awaitable = asio::awaitable<T, Executor>;
using Channel = asio::experimental::channel<Executor, void(error_code, int)>;
using SharedChannel = asio::experimental::concurrent_channel<Executor, void(error_code, int)>;

constexpr asio::use_awaitable_t<Executor> kAwait;

#if BOOST_ASIO_VERSION >= 103100
template <typename Start>
auto within(Executor, std::chrono::seconds limit, Start start) {
  return start(asio::cancel_after(limit, kAwait));
}
#else
template <typename Start>
Awaitable<> within(Executor executor, std::chrono::seconds limit, Start start) {
  using namespace asio::experimental::awaitable_operators;
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, Executor>
      timer(executor, limit);
  (void)co_await (start(kAwait) || timer.async_wait(kAwait));
}
#endif

Awaitable<> nothing() { co_return; }

Awaitable<> nested(int levels) {
  if (levels > 1) co_await nested(levels - 1);
}

Awaitable<> empty_children(Executor, int count) {
  for (int i = 0; i < count; ++i) co_await nothing();
}

// On its own thread dispatch() completes at once, in a nested call: a post() now and then unwinds
// the stack.
Awaitable<> ready_awaits(Executor executor, int count) {
  constexpr int kNested = 1000;
  for (int i = 0; i < count; ++i) {
    if (i % kNested == 0) co_await asio::post(executor, kAwait);
    co_await asio::dispatch(executor, kAwait);
  }
}

Awaitable<> yields(Executor executor, int count) {
  for (int i = 0; i < count; ++i) co_await asio::post(executor, kAwait);
}

Awaitable<> eight_deep(Executor, int count) {
  for (int i = 0; i < count; ++i) co_await nested(kDepth);
}

template <typename C>
Awaitable<> send_to(C& channel, int count) {
  for (int i = 0; i < count; ++i) co_await channel.async_send(error_code(), i, kAwait);
}

template <typename C>
Awaitable<> receive_from(C& channel, int count) {
  for (int i = 0; i < count; ++i) (void)co_await channel.async_receive(kAwait);
}

Awaitable<> receive_within(Channel& channel, int count) {
  const Executor executor = channel.get_executor();
  for (int i = 0; i < count; ++i) {
    co_await within(executor, std::chrono::seconds(60),
                    [&](auto token) { return channel.async_receive(token); });
  }
}

Awaitable<> ready_reads(Executor executor, int count) {
  asio::basic_socket_acceptor<asio::ip::tcp, Executor> acceptor(
      executor, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  Socket peer(executor);
  Socket socket(executor);
  peer.connect(acceptor.local_endpoint());
  acceptor.accept(socket);
  static constexpr std::array<char, kMessage* kMessagesAtOnce> kBytes = {};
  std::array<char, kMessage> message;
  for (int i = 0; i < count; ++i) {
    if (i % kMessagesAtOnce == 0) asio::write(peer, asio::buffer(kBytes));
    (void)co_await socket.async_read_some(asio::buffer(message), kAwait);
  }
}

Awaitable<> ready_messages(Executor executor, int count) {
  asio::basic_socket_acceptor<asio::ip::tcp, Executor> acceptor(
      executor, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  Socket peer(executor);
  Socket socket(executor);
  peer.connect(acceptor.local_endpoint());
  acceptor.accept(socket);
  static constexpr std::array<char, kMessage* kMessagesAtOnce> kBytes = {};
  std::array<char, kMessage> message;
  for (int i = 0; i < count; ++i) {
    if (i % kMessagesAtOnce == 0) asio::write(peer, asio::buffer(kBytes));
    (void)co_await asio::async_read(socket, asio::buffer(message), kAwait);
  }
}

// Tasks that are started one after the other.
class SpawnLoad {
 public:
  SpawnLoad(Context& context, int count) : context_(context), left_(count) {}

  void next() {
    if (left_-- <= 0) {
      done_.Notify();
      return;
    }
    asio::co_spawn(context_.get_executor(), task(), asio::detached);
  }

  void wait() { done_.WaitForNotification(); }

 private:
  Awaitable<> task() {
    for (int i = 0; i < kYields; ++i) co_await asio::post(context_.get_executor(), kAwait);
    next();
  }

  Context& context_;
  int left_;
  absl::Notification done_;
};

Stopwatch::Time spawn(Context& context, int count) {
  SpawnLoad load(context, count);
  const Stopwatch watch;
  asio::post(context, [&load] { load.next(); });
  load.wait();
  return watch.so_far();
}

// Ends the program if one of them fails.
template <typename... Works>
Stopwatch::Time timed(Works... works) {
  absl::Notification done[sizeof...(Works)];
  std::size_t next = 0;
  const Stopwatch watch;
  const auto start = [&](auto& work) {
    absl::Notification& ended = done[next++];
    asio::co_spawn(work.first, std::move(work.second), [&ended](const std::exception_ptr& error) {
      CHECK(!error);
      ended.Notify();
    });
  };
  (start(works), ...);
  for (absl::Notification& one : done) one.WaitForNotification();
  return watch.so_far();
}

Stopwatch::Time hand_over(Context& context, int room, int count) {
  Channel channel(context.get_executor(), static_cast<std::size_t>(room));
  return timed(std::pair(context.get_executor(), receive_from(channel, count)),
               std::pair(context.get_executor(), send_to(channel, count)));
}

Stopwatch::Time within_waits(Context& context, int count) {
  Channel channel(context.get_executor(), 0);
  return timed(std::pair(context.get_executor(), receive_within(channel, count)),
               std::pair(context.get_executor(), send_to(channel, count)));
}

Stopwatch::Time hand_over_threads(Context& from, Context& to, int count) {
  SharedChannel channel(from.get_executor(), kChannelRoom);
  return timed(std::pair(to.get_executor(), receive_from(channel, count)),
               std::pair(from.get_executor(), send_to(channel, count)));
}

Stopwatch::Time timed(Context& context, Awaitable<> (*work)(Executor, int), int count) {
  return timed(std::pair(context.get_executor(), work(context.get_executor(), count)));
}

Awaitable<> echo(Socket socket) {
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const std::size_t size = co_await socket.async_read_some(asio::buffer(buffer), kAwait);
    co_await asio::async_write(socket, asio::buffer(buffer.data(), size), kAwait);
  }
}

// Holds no buffer while it waits. Ends where the echo would have to wait.
Awaitable<> echo_within(Socket socket) {
  static thread_local std::array<char, 64 * 1024> buffer;
  socket.non_blocking(true);
  const Executor executor = socket.get_executor();
  for (;;) {
    co_await within(executor, std::chrono::hours(1), [&](auto token) {
      return socket.async_wait(asio::socket_base::wait_read, token);
    });
    error_code error;
    const std::size_t size = socket.read_some(asio::buffer(buffer), error);
    if (error == asio::error::would_block) continue;
    if (!error) asio::write(socket, asio::buffer(buffer.data(), size), error);
    if (error) co_return;
  }
}

}  // namespace

Stopwatch::Time run_asio_tasks(Context& context, Context& other, TaskWork work, int count) {
  switch (work) {
    case TaskWork::empty_child:
      return timed(context, empty_children, count);
    case TaskWork::ready_await:
      return timed(context, ready_awaits, count);
    case TaskWork::yield:
      return timed(context, yields, count);
    case TaskWork::spawn_ten_yields:
      return spawn(context, count);
    case TaskWork::eight_deep:
      return timed(context, eight_deep, count);
    case TaskWork::hand_over:
      return hand_over(context, kChannelRoom, count);
    case TaskWork::rendezvous:
      return hand_over(context, 0, count);
    case TaskWork::hand_over_threads:
      return hand_over_threads(context, other, count);
    case TaskWork::within_wait:
      return within_waits(context, count);
    case TaskWork::ready_read:
      return timed(context, ready_reads, count);
    case TaskWork::ready_message:
      return timed(context, ready_messages, count);
  }
  return {};
}

void serve_asio_task(Socket socket, bool has_timeout) {
  const Executor executor = socket.get_executor();
  asio::co_spawn(executor, has_timeout ? echo_within(std::move(socket)) : echo(std::move(socket)),
                 asio::detached);
}

}  // namespace epore::bench

#endif  // EPORE_HAVE_BOOST
