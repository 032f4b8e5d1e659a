// The shortest echo with callbacks that Asio's documentation would approve of.

#include <array>
#include <boost/asio.hpp>
#include <cstdio>
#include <memory>
#include <utility>

using boost::asio::ip::tcp;
using boost::system::error_code;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : socket_(std::move(socket)) {}

  void read() {
    socket_.async_read_some(boost::asio::buffer(buffer_),
                            [self = shared_from_this()](error_code error, std::size_t size) {
                              if (!error) self->write(size);
                            });
  }

 private:
  void write(std::size_t size) {
    boost::asio::async_write(socket_, boost::asio::buffer(buffer_, size),
                             [self = shared_from_this()](error_code error, std::size_t) {
                               if (!error) self->read();
                             });
  }

  tcp::socket socket_;
  std::array<char, 16 * 1024> buffer_;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
    if (!error) std::make_shared<Session>(std::move(socket))->read();
    accept(acceptor);
  });
}

int main() {
  try {
    boost::asio::io_context context(1);
    tcp::acceptor acceptor(context, {boost::asio::ip::make_address("127.0.0.1"), 7000});
    boost::asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&context](error_code, int) { context.stop(); });
    accept(acceptor);
    context.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
