// An echo of datagrams on Boost.Asio, for services.sh: one thread and its concurrency hint, a
// concrete executor, and an answer that is sent at once and dropped where the socket is full, as
// examples/udp_echo.cc does.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"  // Asio's fences: ThreadSanitizer overlooks them
#endif

#include <cstdio>

#if !defined(EPORE_HAVE_BOOST)

int main() {
  std::puts("SKIP built without Boost");
  return 0;
}

#else

#include <array>
#include <boost/asio.hpp>
#include <cstddef>

namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using boost::system::error_code;
using Socket = asio::basic_datagram_socket<udp, asio::io_context::executor_type>;

class Echo {
 public:
  explicit Echo(asio::io_context& context)
      : socket_(context, udp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    socket_.non_blocking(true);
  }

  unsigned port() const { return socket_.local_endpoint().port(); }

  void receive() {
    socket_.async_receive_from(asio::buffer(bytes_), peer_,
                               [this](error_code error, std::size_t size) {
                                 if (!error) {
                                   socket_.send_to(asio::buffer(bytes_, size), peer_, 0, error);
                                 }
                                 receive();
                               });
  }

 private:
  Socket socket_;
  udp::endpoint peer_;
  std::array<std::byte, 65536> bytes_;
};

}  // namespace

int main() {
  asio::io_context context(1);
  Echo echo(context);
  echo.receive();
  std::printf("LISTEN 127.0.0.1:%u\n", echo.port());
  std::fflush(stdout);
  context.run();
}

#endif
