// A guest in an io_context of Asio, on one thread, for programs that move to epore step by step:
// what is still Asio's and what is epore's already serve side by side.

#include "gtest/gtest.h"

#ifndef EPORE_HAVE_BOOST

TEST(InAsio, ServesBesideAsio) { GTEST_SKIP() << "built without Boost"; }

#else

#include <unistd.h>

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "tests/examples/client.h"

namespace examples {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Runs the turns of a runtime in an io_context, until the runtime is shut down.
class Guest {
 public:
  // Asio closes the descriptor of the object that waits for it, so that has one of its own.
  Guest(epore::Runtime& runtime, asio::io_context& host, int poll_fd)
      : runtime_(runtime), queue_(host, ::dup(poll_fd)), timer_(host) {
    wait();
    turn();
  }

 private:
  void wait() {
    queue_.async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code error) {
      if (!error && turn()) wait();
    });
  }

  bool turn() {
    const absl::Status turned = runtime_.run_once(absl::ZeroDuration());
    timer_.cancel();
    if (!turned.ok()) {
      EXPECT_TRUE(absl::IsCancelled(turned)) << turned;
      queue_.close();
      return false;
    }
    const absl::Duration timeout = runtime_.poll_timeout();
    if (timeout == absl::InfiniteDuration()) return true;
    timer_.expires_after(absl::ToChronoNanoseconds(timeout));
    timer_.async_wait([this](error_code error) {
      if (!error) turn();
    });
    return true;
  }

  epore::Runtime& runtime_;
  asio::posix::stream_descriptor queue_;
  asio::steady_timer timer_;
};

// Asio's echo, for one client.
class AsioEcho {
 public:
  explicit AsioEcho(asio::io_context& host)
      : acceptor_(host, tcp::endpoint(asio::ip::address_v4::loopback(), 0)), socket_(host) {
    acceptor_.async_accept(socket_, [this](error_code error) {
      if (!error) read();
    });
  }
  std::string address() const {
    return absl::StrCat("127.0.0.1:", acceptor_.local_endpoint().port());
  }

 private:
  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [this](error_code error, std::size_t size) {
      if (error) return;
      asio::async_write(socket_, asio::buffer(buffer_, size),
                        [this](error_code failed, std::size_t) {
                          if (!failed) read();
                        });
    });
  }

  tcp::acceptor acceptor_;
  tcp::socket socket_;
  char buffer_[1024];
};

epore::Task<> echo(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

void ping(Client& client, std::string_view word) {
  ASSERT_TRUE(client.send(word));
  EXPECT_EQ(client.read_exactly(word.size()), word);
}

TEST(InAsio, ServesBesideAsio) {
  asio::io_context host(1);
  epore::Runtime runtime({.dispatch = epore::Dispatch::caller});
  absl::StatusOr<int> fd = runtime.poll_fd();
  if (absl::IsUnimplemented(fd.status())) GTEST_SKIP() << fd.status();
  ASSERT_TRUE(fd.ok()) << fd.status();
  absl::StatusOr<epore::Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  AsioEcho asio_echo(host);
  std::atomic<bool> is_done{false};
  epore::Timer timer = runtime.timer([&] {
    if (is_done) runtime.request_shutdown();
  });
  timer.arm_every(absl::Milliseconds(1));
  std::thread clients([&] {
    Client of_asio(asio_echo.address());
    Client of_epore(listener->address().to_string());
    for (int i = 0; i < 100; ++i) {
      ping(of_asio, "asio");
      ping(of_epore, "epore");
    }
    is_done = true;
    EXPECT_TRUE(of_epore.is_at_end());  // the drain closes it
  });
  Guest guest(runtime, host, *fd);
  host.run();  // ends when neither has anything left
  clients.join();
}

}  // namespace
}  // namespace examples

#endif
