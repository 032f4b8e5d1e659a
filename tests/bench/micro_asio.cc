// Boost.Asio's side of micro, at its best: one thread with the concurrency hint 1, concrete
// executors, handlers' memory recycled as Asio does by itself, and connections that hold no buffer
// while they are idle.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"  // Asio's fences: ThreadSanitizer overlooks them
#endif

#include "tests/bench/micro_side.h"

#ifndef EPORE_HAVE_BOOST

namespace epore::bench {

std::unique_ptr<MicroSide> make_asio_side() { return nullptr; }

}  // namespace epore::bench

#else

#include <array>
#include <boost/asio.hpp>
#include <boost/version.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/bench/clock.h"
#include "tests/bench/micro_asio_tasks.h"
#include "tests/bench/micro_load.h"

namespace epore::bench {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Executor = asio::io_context::executor_type;
using Clock = std::chrono::steady_clock;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

// Echoes, with a buffer of its own and no timeout.
class Session {
 public:
  explicit Session(Socket socket) : socket_(std::move(socket)) {}

  static void read(std::shared_ptr<Session> self) {
    Session& session = *self;
    session.socket_.async_read_some(
        asio::buffer(session.buffer_),
        [self = std::move(self)](const error_code& error, std::size_t size) mutable {
          if (!error) write(std::move(self), size);
        });
  }

 private:
  static void write(std::shared_ptr<Session> self, std::size_t size) {
    Session& session = *self;
    asio::async_write(session.socket_, asio::buffer(session.buffer_.data(), size),
                      [self = std::move(self)](const error_code& error, std::size_t) mutable {
                        if (!error) read(std::move(self));
                      });
  }

  Socket socket_;
  std::array<char, 16 * 1024> buffer_;
};

// Echoes with an idle timeout: waits until there is something to read, and reads it into a buffer
// of the thread's. Closes where the echo would have to wait.
class IdleSession {
 public:
  explicit IdleSession(Socket socket)
      : socket_(std::move(socket)), timeout_(socket_.get_executor()) {
    socket_.non_blocking(true);
  }

  static void wait(std::shared_ptr<IdleSession> self) {
    IdleSession& session = *self;
    session.timeout_.expires_after(std::chrono::hours(1));
    session.timeout_.async_wait([self](const error_code& error) {
      if (!error) self->socket_.close();
    });
    session.socket_.async_wait(asio::socket_base::wait_read,
                               [self = std::move(self)](const error_code& error) mutable {
                                 if (!error) echo(std::move(self));
                               });
  }

 private:
  static void echo(std::shared_ptr<IdleSession> self) {
    static thread_local std::array<char, 64 * 1024> buffer;
    error_code error;
    const std::size_t size = self->socket_.read_some(asio::buffer(buffer), error);
    if (!error) {
      asio::write(self->socket_, asio::buffer(buffer.data(), size), error);
    }
    if (error && error != asio::error::would_block) {
      self->timeout_.cancel();
      return;
    }
    wait(std::move(self));
  }

  Socket socket_;
  Timer timeout_;
};

class AsioSide final : public MicroSide {
  // First, as their types are deduced.
  auto poster() {
    return [this](auto closure) { asio::post(context_, closure); };
  }
  auto strand_poster() {
    return [this](auto closure) { asio::post(strand_, closure); };
  }

 public:
  ~AsioSide() override {
    context_.stop();
    other_.stop();
    if (thread_.joinable()) thread_.join();
    if (other_thread_.joinable()) other_thread_.join();
  }

  std::string name() const override { return "asio"; }
  std::string version() const override {
    return absl::StrCat(BOOST_ASIO_VERSION / 100000, ".", BOOST_ASIO_VERSION / 100 % 1000, ".",
                        BOOST_ASIO_VERSION % 100, " (Boost ", BOOST_VERSION / 100000, ".",
                        BOOST_VERSION / 100 % 1000, "), one thread, concurrency hint 1");
  }

  absl::Status start() override {
    thread_ = std::thread([this] { context_.run(); });
    return absl::OkStatus();
  }

  Stopwatch::Time post_burst(int count, int burst) override {
    return run_burst_load(count, burst, poster());
  }
  Stopwatch::Time post_from(int threads, int count) override {
    return run_thread_load(threads, count, poster());
  }
  Stopwatch::Time post_in_order_burst(int count, int burst) override {
    return run_burst_load(count, burst, strand_poster());
  }
  Stopwatch::Time post_in_order_from(int threads, int count) override {
    return run_thread_load(threads, count, strand_poster());
  }

  void hold_timers(int count) override {
    run_batches(1, 1, poster(), [this, count](int) {
      held_.reserve(static_cast<std::size_t>(count));
      while (held_.size() < static_cast<std::size_t>(count)) {
        held_.emplace_back(context_.get_executor());
        held_.back().expires_after(std::chrono::hours(1) +
                                   std::chrono::milliseconds(scatter_.below(3'600'000)));
        held_.back().async_wait([](const error_code&) {});
      }
    });
  }

  Stopwatch::Time arm_and_cancel(int count) override {
    return run_batches(count, kTimersAtOnce, poster(), [this](int size) {
      for (int i = 0; i < size; ++i) {
        timer_.expires_after(std::chrono::milliseconds(60'000 + scatter_.below(600'000)));
        timer_.async_wait([](const error_code&) {});
        timer_.cancel();
      }
    });
  }

  Stopwatch::Time rearm(int count) override {
    return run_batches(count, kTimersAtOnce, poster(), [this](int size) {
      for (int i = 0; i < size; ++i) {
        held_[next_held_].expires_after(std::chrono::hours(2));
        held_[next_held_].async_wait([](const error_code&) {});
        if (++next_held_ == held_.size()) next_held_ = 0;
      }
    });
  }

  Stopwatch::Time expire(int count) override {
    Countdown left(count);
    absl::Notification done;
    std::vector<Timer> timers;
    timers.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) timers.emplace_back(context_.get_executor());
    const std::uint64_t due = now_ns() + 20'000'000 + static_cast<std::uint64_t>(count) * 2'000;
    run_batches(1, 1, poster(), [&](int) {
      for (Timer& timer : timers) {
        const std::uint64_t deadline = due - scatter_.below(100'000);
        timer.expires_after(std::chrono::nanoseconds(deadline - now_ns()));
        timer.async_wait([&left, &done](const error_code&) {
          if (left.one_less() == 0) done.Notify();
        });
      }
    });
    const std::uint64_t begin = now_ns();
    const Stopwatch watch;
    done.WaitForNotification();
    Stopwatch::Time time = watch.so_far();
    time.wall_ns -= static_cast<double>(due - begin);
    return time;
  }

  Stopwatch::Time run_tasks(TaskWork work, int count) override {
    if (!other_thread_.joinable()) other_thread_ = std::thread([this] { other_.run(); });
    return run_asio_tasks(context_, other_, work, count);
  }

  absl::StatusOr<std::string> serve(Server server) override {
    error_code error;
    acceptors_.push_back(std::make_unique<Acceptor>(context_));
    Acceptor& acceptor = *acceptors_.back();
    const asio::ip::tcp::endpoint any(asio::ip::address_v4::loopback(), 0);
    acceptor.open(any.protocol(), error);
    if (!error) acceptor.bind(any, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return absl::UnavailableError(absl::StrCat("asio: listen: ", error.message()));
    const std::uint16_t port = acceptor.local_endpoint().port();
    asio::post(context_, [this, &acceptor, server] { accept(acceptor, server); });
    return absl::StrCat("127.0.0.1:", port);
  }

 private:
  void accept(Acceptor& acceptor, Server server) {
    acceptor.async_accept([this, &acceptor, server](const error_code& error, Socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        error_code ignored;
        socket.set_option(asio::ip::tcp::no_delay(true), ignored);
        if (server.is_coroutine) {
          serve_asio_task(std::move(socket), server.has_timeout);
        } else if (server.has_timeout) {
          IdleSession::wait(std::make_shared<IdleSession>(std::move(socket)));
        } else {
          Session::read(std::make_shared<Session>(std::move(socket)));
        }
      }
      accept(acceptor, server);
    });
  }

  asio::io_context context_{1};
  asio::executor_work_guard<Executor> guard_{context_.get_executor()};
  asio::strand<Executor> strand_{context_.get_executor()};
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  Timer timer_{context_};
  std::vector<Timer> held_;
  std::size_t next_held_ = 0;
  Scatter scatter_;
  std::thread thread_;

  // Has a thread that nobody else's tasks are on.
  asio::io_context other_{1};
  asio::executor_work_guard<Executor> other_guard_{other_.get_executor()};
  std::thread other_thread_;
};

}  // namespace

std::unique_ptr<MicroSide> make_asio_side() { return std::make_unique<AsioSide>(); }

}  // namespace epore::bench

#endif  // EPORE_HAVE_BOOST
