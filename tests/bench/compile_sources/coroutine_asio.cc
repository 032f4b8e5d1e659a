// The echo of Asio's documentation, with a coroutine for each connection, and one that accepts.

#include <boost/asio.hpp>
#include <cstdio>
#include <utility>

using boost::asio::awaitable;
using boost::asio::co_spawn;
using boost::asio::detached;
using boost::asio::use_awaitable;
using boost::asio::ip::tcp;

awaitable<void> echo(tcp::socket socket) {
  try {
    char data[16 * 1024];
    for (;;) {
      const std::size_t size =
          co_await socket.async_read_some(boost::asio::buffer(data), use_awaitable);
      co_await async_write(socket, boost::asio::buffer(data, size), use_awaitable);
    }
  } catch (const std::exception& error) {
    std::printf("echo: %s\n", error.what());
  }
}

awaitable<void> listen() {
  const auto executor = co_await boost::asio::this_coro::executor;
  tcp::acceptor acceptor(executor, {boost::asio::ip::make_address("127.0.0.1"), 7000});
  for (;;) {
    tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
    co_spawn(executor, echo(std::move(socket)), detached);
  }
}

int main() {
  try {
    boost::asio::io_context context(1);
    boost::asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](auto, auto) { context.stop(); });
    co_spawn(context, listen(), detached);
    context.run();
  } catch (const std::exception& error) {
    std::printf("error: %s\n", error.what());
    return 1;
  }
}
