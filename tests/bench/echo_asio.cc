// The same echo on Boost.Asio, written as its own examples are, and for speed: concrete executors
// instead of any_io_executor, the session handed from handler to handler instead of shared again
// for each, handler memory recycled as Asio does by itself.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"  // Asio's fences: ThreadSanitizer overlooks them
#endif

#include "absl/flags/flag.h"
#include "tests/bench/contender_program.h"

ABSL_FLAG(int, threads, 1, "threads that run one io_context");
ABSL_FLAG(int, contexts, 1,
          "io_contexts with a thread each, connections given to them in turn; not with --threads");
ABSL_FLAG(bool, locking, true,
          "with one thread: false gives BOOST_ASIO_CONCURRENCY_HINT_UNSAFE instead of 1");
ABSL_FLAG(
    bool, partial_reads, false,
    "reactor.reset_edge_on_partial_read: a short read needs no second one that finds nothing");
ABSL_FLAG(
    bool, continuations, false,
    "scheduler.assume_continuation: what a handler starts stays on its thread; with one thread "
    "for each context it is so without this");

#if !defined(EPORE_HAVE_BOOST)

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "An echo server on Boost.Asio (built without Boost).");
  return epore::bench::skip_contender("built without Boost");
}

#elif defined(EPORE_ASIO_URING) && !defined(EPORE_HAVE_LIBURING)

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv,
                                "An echo server on Boost.Asio and io_uring (not built).");
  return epore::bench::skip_contender("built without liburing");
}

#else

#ifdef EPORE_ASIO_URING
#define BOOST_ASIO_HAS_IO_URING 1
#define BOOST_ASIO_DISABLE_EPOLL 1
#endif

#include <sys/socket.h>

#include <array>
#include <boost/asio.hpp>
#include <boost/version.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/contender_work.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;
using SignalSet = asio::basic_signal_set<asio::io_context::executor_type>;

#ifdef BOOST_ASIO_HAS_IO_URING
constexpr char kEngine[] = ", io_uring";
#else
constexpr char kEngine[] = "";
#endif

ContenderWork work;

// A connection: reads what is there, writes it back, and so on. Its operations follow one another,
// so it needs no strand on a context with several threads. Each handler owns the session, and
// whoever starts no further operation ends it.
class Session {
 public:
  explicit Session(Socket socket) : socket_(std::move(socket)) {}

  static void read(std::shared_ptr<Session> self) {
    Session& session = *self;
    session.socket_.async_read_some(
        asio::buffer(session.buffer_),
        [self = std::move(self)](const error_code& error, std::size_t size) mutable {
          if (error) return;
          work.burn_for(self->buffer_[0]);
          if (work.reply == Reply::ten_sends) {
            write_piece(std::move(self), size, 0);
          } else {
            write(std::move(self), size);
          }
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

  // One write at a time is what a stream of Asio allows.
  static void write_piece(std::shared_ptr<Session> self, std::size_t size, std::size_t begin) {
    if (begin == size) return read(std::move(self));
    Session& session = *self;
    const std::size_t left = size - begin;
    const std::size_t tenth = size / 10;
    const std::size_t piece = tenth == 0 || left < 2 * tenth ? left : tenth;
    asio::async_write(
        session.socket_, asio::buffer(session.buffer_.data() + begin, piece),
        [self = std::move(self), size, begin, piece](const error_code& error, std::size_t) mutable {
          if (!error) write_piece(std::move(self), size, begin + piece);
        });
  }

  Socket socket_;
  std::array<char, 16 * 1024> buffer_;
};

// The same with an idle timeout, which is armed anew for each message. On a strand: on several
// threads the timer and the socket could be at work at once.
class TimedSession : public std::enable_shared_from_this<TimedSession> {
 public:
  explicit TimedSession(Socket socket)
      : strand_(socket.get_executor()),
        socket_(std::move(socket)),
        timeout_(socket_.get_executor()) {}

  void start() {
    asio::dispatch(strand_, [self = shared_from_this()] { self->read(); });
  }

 private:
  using Clock = std::chrono::steady_clock;
  using Timer =
      asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, asio::io_context::executor_type>;

  void arm() {
    timeout_.expires_after(*work.idle_timeout);
    timeout_.async_wait(
        asio::bind_executor(strand_, [self = shared_from_this()](const error_code& error) {
          // It may have expired and then been armed anew before this ran.
          if (error || self->timeout_.expiry() > Clock::now()) return;
          error_code ignored;
          self->socket_.close(ignored);
        }));
  }

  void read() {
    arm();
    socket_.async_read_some(
        asio::buffer(buffer_),
        asio::bind_executor(strand_,
                            [self = shared_from_this()](const error_code& error, std::size_t size) {
                              if (error) return self->end();
                              work.burn_for(self->buffer_[0]);
                              self->write(size);
                            }));
  }

  void write(std::size_t size) {
    asio::async_write(socket_, asio::buffer(buffer_.data(), size),
                      asio::bind_executor(strand_, [self = shared_from_this()](
                                                       const error_code& error, std::size_t) {
                        if (error) return self->end();
                        self->read();
                      }));
  }

  void end() { timeout_.cancel(); }

  asio::strand<asio::io_context::executor_type> strand_;
  Socket socket_;
  Timer timeout_;
  std::array<char, 16 * 1024> buffer_;
};

// A connection of a broadcast, which may be written to at any time: all that concerns it runs on
// its strand.
class Member : public std::enable_shared_from_this<Member> {
 public:
  using Message = std::shared_ptr<const std::string>;

  // All of them.
  class Hub {
   public:
    void add(std::shared_ptr<Member> member) {
      const std::lock_guard lock(mutex_);
      members_.push_back(std::move(member));
    }
    void remove(const Member* member) {
      const std::lock_guard lock(mutex_);
      std::erase_if(members_, [&](const auto& other) { return other.get() == member; });
    }
    void send(const Message& message) {
      const std::lock_guard lock(mutex_);
      for (const std::shared_ptr<Member>& member : members_) {
        asio::post(member->strand_, [member, message] { member->deliver(message); });
      }
    }

   private:
    std::mutex mutex_;
    std::vector<std::shared_ptr<Member>> members_;
  };

  Member(Socket socket, Hub& hub)
      : strand_(socket.get_executor()), socket_(std::move(socket)), hub_(hub) {}

  void start() {
    hub_.add(shared_from_this());
    asio::dispatch(strand_, [self = shared_from_this()] { self->read(); });
  }

 private:
  void read() {
    socket_.async_read_some(
        asio::buffer(buffer_),
        asio::bind_executor(
            strand_, [self = shared_from_this()](const error_code& error, std::size_t size) {
              if (error) return self->hub_.remove(self.get());
              work.burn_for(self->buffer_[0]);
              self->hub_.send(std::make_shared<const std::string>(self->buffer_.data(), size));
              self->read();
            }));
  }

  void deliver(const Message& message) {
    outbox_.push_back(message);
    if (outbox_.size() == 1) write();
  }

  void write() {
    asio::async_write(socket_, asio::buffer(*outbox_.front()),
                      asio::bind_executor(strand_, [self = shared_from_this()](
                                                       const error_code& error, std::size_t) {
                        if (error) return;  // the read finds out as well
                        self->outbox_.pop_front();
                        if (!self->outbox_.empty()) self->write();
                      }));
  }

  asio::strand<asio::io_context::executor_type> strand_;
  Socket socket_;
  Hub& hub_;
  std::deque<Message> outbox_;
  std::array<char, 16 * 1024> buffer_;
};

// What --partial_reads and --continuations are for is younger than io_context itself.
absl::StatusOr<std::unique_ptr<asio::io_context>> make_context(int hint) {
  const bool has_partial_reads = absl::GetFlag(FLAGS_partial_reads);
  const bool has_continuations = absl::GetFlag(FLAGS_continuations);
  if (!has_partial_reads && !has_continuations) return std::make_unique<asio::io_context>(hint);
#if BOOST_ASIO_VERSION >= 103800
  std::string options = absl::StrCat("scheduler.concurrency_hint=", hint, "\n");
  if (has_partial_reads) options += "reactor.reset_edge_on_partial_read=1\n";
  if (has_continuations) options += "scheduler.assume_continuation=1\n";
  return std::make_unique<asio::io_context>(asio::config_from_string(options));
#else
  return absl::UnimplementedError("this Asio has no such options");
#endif
}

class Server {
 public:
  Server(std::vector<std::unique_ptr<asio::io_context>>& contexts,
         const asio::ip::tcp::endpoint& endpoint)
      : contexts_(contexts), acceptor_(*contexts.front(), endpoint, /*reuse_addr=*/true) {
    accept();
  }

  asio::ip::tcp::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }

 private:
  void accept() {
    asio::io_context& context = *contexts_[next_++ % contexts_.size()];
    acceptor_.async_accept(context, [this](const error_code& error, Socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) start(std::move(socket));
      accept();
    });
  }

  void start(Socket socket) {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    if (work.reply == Reply::broadcast) {
      std::make_shared<Member>(std::move(socket), hub_)->start();
      return;
    }
    if (work.idle_timeout) {
      std::make_shared<TimedSession>(std::move(socket))->start();
      return;
    }
    const asio::io_context::executor_type executor = socket.get_executor();
    auto session = std::make_shared<Session>(std::move(socket));
    // On its own context's thread from the first operation on.
    asio::dispatch(executor,
                   [session = std::move(session)]() mutable { Session::read(std::move(session)); });
  }

  std::vector<std::unique_ptr<asio::io_context>>& contexts_;
  std::size_t next_ = 0;
  Acceptor acceptor_;
  Member::Hub hub_;
};

absl::Status serve() {
  const absl::StatusOr<ContenderWork> flags = ContenderWork::from_flags();
  if (!flags.ok()) return flags.status();
  work = *flags;
  const int threads = absl::GetFlag(FLAGS_threads);
  const int contexts = absl::GetFlag(FLAGS_contexts);
  const bool is_locking = absl::GetFlag(FLAGS_locking);
  if (work.idle_timeout && work.reply != Reply::echo) {
    return absl::UnimplementedError("it has idle timeouts only with --reply=echo");
  }
  if (threads < 1 || contexts < 1) {
    return absl::InvalidArgumentError("--threads and --contexts must be at least 1");
  }
  if ((threads > 1) + (contexts > 1) + !is_locking > 1) {
    return absl::InvalidArgumentError("--threads, --contexts and --nolocking exclude each other");
  }
  if (!is_locking && (absl::GetFlag(FLAGS_partial_reads) || absl::GetFlag(FLAGS_continuations))) {
    return absl::InvalidArgumentError("--nolocking goes with no other option of Asio's");
  }
  const absl::StatusOr<Endpoint> endpoint = Endpoint::parse(contender_address());
  if (!endpoint.ok()) return endpoint.status();

  std::vector<std::unique_ptr<asio::io_context>> all;
  const int hint = is_locking ? threads : BOOST_ASIO_CONCURRENCY_HINT_UNSAFE;
  for (int i = 0; i < contexts; ++i) {
    absl::StatusOr<std::unique_ptr<asio::io_context>> context = make_context(hint);
    if (!context.ok()) return context.status();
    all.push_back(*std::move(context));
  }
  SignalSet signals(*all.front(), SIGTERM);
  signals.async_wait([&all](const error_code&, int) {
    for (auto& context : all) context->stop();
  });
  Server server(
      all, asio::ip::tcp::endpoint(asio::ip::address_v4(ntohl(endpoint->address.sin_addr.s_addr)),
                                   ntohs(endpoint->address.sin_port)));
  // Contexts without connections have nothing to do yet and would return.
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards;
  for (auto& context : all) guards.push_back(asio::make_work_guard(*context));

  announce_contender(
      absl::StrCat(server.local_endpoint().address().to_string(), ":",
                   server.local_endpoint().port()),
      absl::StrCat(BOOST_ASIO_VERSION / 100000, ".", BOOST_ASIO_VERSION / 100 % 1000, ".",
                   BOOST_ASIO_VERSION % 100, " (Boost ", BOOST_VERSION / 100000, ".",
                   BOOST_VERSION / 100 % 1000, ".", BOOST_VERSION % 100, ")", kEngine));

  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&all] { all.front()->run(); });
  for (int i = 1; i < contexts; ++i) others.emplace_back([&all, i] { all[i]->run(); });
  all.front()->run();
  for (std::thread& thread : others) thread.join();
  return absl::OkStatus();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "An echo server on Boost.Asio.");
  try {
    const absl::Status status = epore::bench::serve();
    if (absl::IsUnimplemented(status)) return epore::bench::skip_contender(status.message());
    return status.ok() ? 0 : epore::bench::fail_contender(status);
  } catch (const boost::system::system_error& error) {
#ifdef BOOST_ASIO_HAS_IO_URING
    if (error.code() == boost::system::errc::operation_not_permitted ||
        error.code() == boost::system::errc::function_not_supported) {
      return epore::bench::skip_contender("io_uring is refused here");
    }
#endif
    return epore::bench::fail_contender(absl::UnknownError(error.what()));
  } catch (const std::exception& error) {
    return epore::bench::fail_contender(absl::UnknownError(error.what()));
  }
}

#endif  // EPORE_HAVE_BOOST
