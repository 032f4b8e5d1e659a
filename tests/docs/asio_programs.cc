// The programs that docs/coming-from-asio.md shows beside those of epore, on Boost.Asio, in their
// shortest form that is right. They are compiled, and pages_test compares them with the page.
#ifdef EPORE_HAVE_BOOST

#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using namespace std::chrono_literals;

// -- What is neither Asio's nor epore's. --

struct Request {
  std::string path;
  bool keeps = true;
  bool keep_alive() const { return keeps; }
};
std::optional<Request> parse(std::string_view head);
struct Router {
  asio::awaitable<std::string> handle(Request request);
};
std::string error_page(std::exception_ptr error);
struct Shard {};
struct Query {};
using Part = int;
using Parts = std::vector<Part>;
asio::awaitable<Part> ask(const Shard& shard, const Query& query);
struct Cache {
  asio::awaitable<void> reload();
};
void warn(std::exception_ptr error);
std::string reply_to(std::string_view query);

// -- 1. --

asio::awaitable<void> echo(tcp::socket socket) {
  char data[16 * 1024];
  for (;;) {
    std::size_t size = co_await socket.async_read_some(asio::buffer(data));
    co_await asio::async_write(socket, asio::buffer(data, size));
  }
}

asio::awaitable<void> listen(tcp::endpoint endpoint) {
  asio::any_io_executor executor = co_await asio::this_coro::executor;
  tcp::acceptor acceptor(executor, endpoint);
  for (;;) {
    auto [error, socket] =
        co_await acceptor.async_accept(asio::make_strand(executor), asio::as_tuple);
    if (error) continue;
    asio::any_io_executor strand = socket.get_executor();
    asio::co_spawn(strand, echo(std::move(socket)), asio::detached);
  }
}

// -- 2. --

asio::awaitable<void> serve(tcp::socket socket, Router& router) {
  std::string data;
  for (;;) {
    auto [error, size] =
        co_await asio::async_read_until(socket, asio::dynamic_buffer(data, 16 * 1024), "\r\n\r\n",
                                        asio::cancel_after(1min, asio::as_tuple));
    if (error) co_return;  // idle or gone
    std::optional<Request> request = parse(std::string_view(data).substr(0, size));
    if (!request) co_return;
    data.erase(0, size);
    auto [failure, reply] = co_await asio::co_spawn(socket.get_executor(), router.handle(*request),
                                                    asio::cancel_after(5s, asio::as_tuple));
    if (failure) reply = error_page(failure);
    co_await asio::async_write(socket, asio::buffer(reply));
    if (!request->keep_alive()) co_return;
  }
}

// -- 3. --

asio::awaitable<void> pump(tcp::socket& from, tcp::socket& to) {
  char data[16 * 1024];
  for (;;) {
    auto [error, size] = co_await from.async_read_some(asio::buffer(data), asio::as_tuple);
    if (error == asio::error::eof) break;
    if (error) throw boost::system::system_error(error);
    co_await asio::async_write(to, asio::buffer(data, size));
  }
  to.shutdown(tcp::socket::shutdown_send);
}

asio::awaitable<void> proxy(tcp::socket client) {
  using namespace asio::experimental::awaitable_operators;
  tcp::socket origin(client.get_executor());
  co_await origin.async_connect({asio::ip::make_address("127.0.0.1"), 8080},
                                asio::cancel_after(2s));
  co_await (pump(client, origin) && pump(origin, client));
}

// -- 4. --

asio::awaitable<Parts> gather(std::span<const Shard> shards, const Query& query) {
  asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto start = [&](const Shard& shard) {
    return asio::co_spawn(executor, ask(shard, query), asio::deferred);
  };
  std::vector<decltype(start(shards[0]))> asks;
  for (const Shard& shard : shards) asks.push_back(start(shard));
  auto [order, errors, parts] =
      co_await asio::experimental::make_parallel_group(std::move(asks))
          .async_wait(asio::experimental::wait_for_one_error(), asio::deferred);
  for (std::size_t i : order) {
    if (errors[i]) std::rethrow_exception(errors[i]);
  }
  co_return parts;
}

// -- 5. --

asio::awaitable<void> refresh(Cache& cache) {
  asio::any_io_executor executor = co_await asio::this_coro::executor;
  asio::steady_timer minute(executor, std::chrono::steady_clock::now());
  for (;;) {
    minute.expires_at(minute.expiry() + 1min);
    co_await minute.async_wait();
    auto [failure] =
        co_await asio::co_spawn(executor, cache.reload(), asio::cancel_after(30s, asio::as_tuple));
    if (failure) warn(failure);
  }
}

void run(asio::io_context& context, Cache& cache) {
  auto strand = asio::make_strand(context);
  asio::cancellation_signal stop;
  asio::co_spawn(strand, refresh(cache), asio::bind_cancellation_slot(stop.slot(), asio::detached));
  // On any thread:
  asio::post(strand, [&stop] { stop.emit(asio::cancellation_type::terminal); });
  context.run();
}

// -- 6. --

asio::awaitable<void> answer(udp::socket socket) {
  char data[2048];
  udp::endpoint peer;
  for (;;) {
    std::size_t size = co_await socket.async_receive_from(asio::buffer(data), peer);
    const std::string reply = reply_to(std::string_view(data, size));
    co_await socket.async_send_to(asio::buffer(reply), peer, asio::as_tuple);
  }
}

#endif
