#include "tests/runtime/runtime_test_base.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "epore/poll/poll.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

constexpr timeval kHangGuard = {60, 0};

bool is_refused(const std::string& engine) {
  const absl::StatusOr<Poll> poll = Poll::create({.selector = engine});
  if (poll.ok()) return false;
  std::cout << "skipped: the modes with the engine " << engine << ", as " << poll.status()
            << std::endl;
  return true;
}

bool are_completions_refused() {
  const Runtime runtime({.dispatch = Dispatch::poll_thread, .selector = "io_uring"});
  const std::string reason = runtime.counters().selector_reason;
  if (!reason.empty())
    std::cout << "skipped: the mode with completions, as " << reason << std::endl;
  return !reason.empty();
}

}  // namespace

std::vector<Mode> not_refused(std::vector<Mode> modes) {
  static const bool has_io_uring = !is_refused("io_uring");  // no system refuses the others
  if (!has_io_uring) {
    std::erase_if(modes, [](const Mode& mode) { return mode.selector == "io_uring"; });
  }
  static const bool has_completions = has_io_uring && !are_completions_refused();
  if (!has_completions) std::erase_if(modes, [](const Mode& mode) { return !reads_by_recv(mode); });
  return modes;
}

std::vector<Mode> all_modes() {
  return not_refused({{Dispatch::adaptive, "epoll"},
                      {Dispatch::workers, "epoll"},
                      {Dispatch::poll_thread, "epoll"},
                      {Dispatch::workers, "poll"},
                      {Dispatch::poll_thread, "poll"},
                      {Dispatch::adaptive, "poll"},
                      {Dispatch::adaptive, "io_uring"},
                      {Dispatch::poll_thread, "io_uring"}});
}

std::vector<Mode> every_mode() {
  std::vector<Mode> modes = all_modes();
  modes.push_back({Dispatch::caller, "epoll"});
  modes.push_back({Dispatch::caller, "poll"});
  modes.push_back({Dispatch::caller, "io_uring"});
  return not_refused(std::move(modes));
}

std::vector<Mode> epoll_modes() {
  return {{Dispatch::adaptive, "epoll"},
          {Dispatch::workers, "epoll"},
          {Dispatch::poll_thread, "epoll"}};
}

bool reads_by_recv(const Mode& mode) {
  return mode.selector != "io_uring" || mode.dispatch != Dispatch::poll_thread;
}

KernelCall wait_call(const Mode& mode) {
  if (mode.selector == "epoll") return KernelCall::kEpollWait;
  return mode.selector == "poll" ? KernelCall::kPoll : KernelCall::kIoUringEnter;
}

std::string mode_name(const testing::TestParamInfo<Mode>& info) {
  return std::string(dispatch_name(info.param.dispatch)) + "_" + info.param.selector;
}

RuntimeOptions RuntimeTest::options() {
  RuntimeOptions options;
  options.workers = 2;
  options.dispatch = GetParam().dispatch;
  options.selector = GetParam().selector;
  options.require_selector = true;
  options.kernel = &kernel_;
  return options;
}

void RuntimeTest::use_small_buffers() {
  kernel_.after(KernelCall::kAccept, [](const FaultKernel::Call& call) {
    if (!call.result.ok()) return;
    const int size = 1;
    PCHECK(::setsockopt(call.result.fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
  });
}

std::uint64_t RuntimeTest::writes() const {
  return kernel_.calls(KernelCall::kSend) + kernel_.calls(KernelCall::kSendmsg);
}

ListenOptions marks(std::size_t low, std::size_t high, std::size_t cap) {
  ListenOptions options;
  options.connection.write_low_mark = low;
  options.connection.write_high_mark = high;
  options.connection.write_cap = cap;
  return options;
}

void expect_lines_of_threads(std::string_view text, int threads, int count,
                             absl::FunctionRef<std::string(int number)> rest) {
  std::vector<int> next(static_cast<std::size_t>(threads));
  for (const std::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    ASSERT_EQ(words.size(), 3u) << line;
    const int number = next.at(std::stoul(words[0]))++;
    ASSERT_EQ(std::stoi(words[1]), number) << line;
    ASSERT_EQ(words[2], rest(number)) << line;
  }
  EXPECT_EQ(next, std::vector<int>(next.size(), count));
}

LoopThread::~LoopThread() {
  if (thread_.joinable()) thread_.join();
}

void LoopThread::start(Runtime& runtime) {
  absl::Notification is_in;
  thread_ = std::thread([&runtime, &is_in] {
    bool is_told = false;
    const absl::Status ended = runtime.run_until([&] {
      if (!std::exchange(is_told, true)) is_in.Notify();
      return false;
    });
    if (!is_told) is_in.Notify();
    CHECK(absl::IsCancelled(ended)) << ended;
  });
  is_in.WaitForNotification();
}

DrivenRuntime::DrivenRuntime(RuntimeOptions options) : Runtime(options) {
  if (options.dispatch == Dispatch::caller && status().ok()) start(*this);
}

std::string pattern(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  unsigned state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Peer::Peer(const SocketAddress& server) {
  fd_ = OwnedFd(::socket(server.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  PCHECK(fd_.is_valid());
  PCHECK(::setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &kHangGuard, sizeof kHangGuard) == 0);
  PCHECK(::setsockopt(fd(), SOL_SOCKET, SO_SNDTIMEO, &kHangGuard, sizeof kHangGuard) == 0);
  is_reset_ = ::connect(fd(), server.data(), server.size()) != 0;
  if (is_reset_ && errno == EINTR) {  // the system goes on, see connect(2)
    pollfd room = {.fd = fd(), .events = POLLOUT, .revents = 0};
    while (::poll(&room, 1, -1) < 0) PCHECK(errno == EINTR);
    socklen_t size = sizeof errno;
    PCHECK(::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &errno, &size) == 0);
    is_reset_ = errno != 0;
  }
  PCHECK(!is_reset_ || errno == ECONNRESET);
}

Peer::Peer(OwnedFd fd) : fd_(std::move(fd)) {
  PCHECK(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kHangGuard, sizeof kHangGuard) == 0);
  PCHECK(::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &kHangGuard, sizeof kHangGuard) == 0);
}

void Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    PCHECK(sent > 0);
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string Peer::receive(std::size_t count) {
  if (is_reset_) return "";
  std::string bytes(count, '\0');
  std::size_t have = 0;
  while (have < count) {
    const ssize_t received = ::recv(fd(), bytes.data() + have, count - have, 0);
    PCHECK(received >= 0 || errno == ECONNRESET);
    if (received <= 0) break;
    have += static_cast<std::size_t>(received);
  }
  bytes.resize(have);
  return bytes;
}

std::string Peer::receive_all() {
  if (is_reset_) return "";
  std::string bytes;
  char buffer[65536];
  for (;;) {
    const ssize_t received = ::recv(fd(), buffer, sizeof buffer, 0);
    PCHECK(received >= 0 || errno == ECONNRESET);
    if (received <= 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(received));
  }
}

int Peer::end() {
  if (is_reset_) return ECONNRESET;
  char buffer[65536];
  for (;;) {
    const ssize_t received = ::recv(fd(), buffer, sizeof buffer, 0);
    if (received == 0) return 0;
    if (received < 0) {
      PCHECK(errno == ECONNRESET);
      return errno;
    }
  }
}

void Peer::half_close() { epore::half_close(fd()); }

void Peer::reset() { epore::reset(fd_); }

// One callback of a connection, on its thread.
class Observer::Call {
 public:
  explicit Call(Observer& observer) : observer_(observer) {
    absl::MutexLock lock(&observer_.mutex_);
    EXPECT_FALSE(std::exchange(observer_.is_in_callback_, true)) << "two callbacks at a time";
    EXPECT_EQ(observer_.closed_, 0) << "a callback after `closed`";
  }
  ~Call() {
    absl::MutexLock lock(&observer_.mutex_);
    observer_.is_in_callback_ = false;
  }

 private:
  Observer& observer_;
};

Observer::~Observer() {
  absl::MutexLock lock(&mutex_);
  EXPECT_LE(closed_, 1);
  EXPECT_LE(read_closed_, 1);
}

void Observer::watch(Connection& connection) {
  connection.on_data([this](Connection& c, std::span<const std::byte> bytes) {
    const Call call(*this);
    if (when_data) when_data(c, as_text(bytes));
    absl::MutexLock lock(&mutex_);
    bytes_ += as_text(bytes);
  });
  connection.on_read_closed([this](Connection& c) {
    const Call call(*this);
    if (when_read_closed) when_read_closed(c);
    absl::MutexLock lock(&mutex_);
    ++read_closed_;
  });
  connection.on_writable([this](Connection& c) {
    const Call call(*this);
    if (when_writable) when_writable(c);
    absl::MutexLock lock(&mutex_);
    ++writable_;
  });
  connection.on_closed([this](Connection& c, const absl::Status& why) {
    const Call call(*this);
    EXPECT_FALSE(c.is_open());
    if (when_closed) when_closed(c, why);
    absl::MutexLock lock(&mutex_);
    ++closed_;
    end_ = why;
  });
}

std::string Observer::await_bytes(std::size_t count) {
  absl::MutexLock lock(&mutex_);
  const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return bytes_.size() >= count; };
  mutex_.Await(absl::Condition(&have));
  return bytes_;
}

void Observer::await_read_closed() {
  absl::MutexLock lock(&mutex_);
  const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return read_closed_ > 0; };
  mutex_.Await(absl::Condition(&have));
}

void Observer::await_writable(int times) {
  absl::MutexLock lock(&mutex_);
  const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return writable_ >= times; };
  mutex_.Await(absl::Condition(&have));
}

absl::Status Observer::await_closed() {
  absl::MutexLock lock(&mutex_);
  const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return closed_ > 0 && !is_in_callback_;
  };
  mutex_.Await(absl::Condition(&have));
  return end_;
}

std::string Observer::bytes() const {
  absl::MutexLock lock(&mutex_);
  return bytes_;
}

int Observer::read_closed() const {
  absl::MutexLock lock(&mutex_);
  return read_closed_;
}

int Observer::writable() const {
  absl::MutexLock lock(&mutex_);
  return writable_;
}

int Observer::closed() const {
  absl::MutexLock lock(&mutex_);
  return closed_;
}

Listener listen_on_loopback(Runtime& runtime, Runtime::AcceptCallback on_accept,
                            const ListenOptions& options) {
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", std::move(on_accept), options);
  CHECK_OK(listener.status());
  return *listener;
}

Link open_link(Runtime& runtime, Observer& observer, const ListenOptions& options,
               std::function<void(Connection&)> first) {
  struct Accepted {
    Connection connection;
    absl::Notification done;
  };
  const auto accepted = std::make_shared<Accepted>();
  Listener listener = listen_on_loopback(
      runtime,
      [accepted, &observer, first = std::move(first)](Connection& connection) {
        const absl::Cleanup notify = [&] { accepted->done.Notify(); };  // also if `first` throws
        observer.watch(connection);
        accepted->connection = connection;
        if (first) first(connection);
      },
      options);
  Peer peer(listener.address());
  accepted->done.WaitForNotification();
  return {listener, std::exchange(accepted->connection, Connection()), std::move(peer)};
}

Link open_link(Runtime& runtime, Observer& observer, const ConnectionOptions& options,
               std::function<void(Connection&)> first) {
  ListenOptions listen;
  listen.connection = options;
  return open_link(runtime, observer, listen, std::move(first));
}

void fence(Connection connection) {
  absl::Notification reached;
  // Also if the connection ends first and the closure is destroyed.
  absl::Cleanup notify = [&] { reached.Notify(); };
  if (!connection.post([notify = std::move(notify)](Connection&) {}).ok()) return;
  reached.WaitForNotification();
}

void fence(Runtime& runtime) {
  Observer observer;
  Link link = open_link(runtime, observer);
  link.peer.send("x");
  observer.await_bytes(1);
  link.listener.close();
  link.peer.close();
  CHECK_OK(observer.await_closed());
}

}  // namespace epore
