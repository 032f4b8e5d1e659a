// No source leaves a descriptor open, in 10,000 uses within one runtime. (child_test has children.)

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/base/config.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/poll/events.h"
#include "epore/poll/owned_fd.h"
#include "epore/poll/poll.h"
#include "epore/poll/registry.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/open_fds.h"
#include "tests/support/temporary_file.h"

namespace epore {
namespace {

#ifdef ABSL_HAVE_THREAD_SANITIZER
constexpr int kUses = 1'000;
#else
constexpr int kUses = 10'000;
#endif

constexpr int kAtOnce = 100;  // uses between two looks at what is open

// Calls use(i) kUses times. Now and then, all that these have opened must be closed, but for at
// most `kept` descriptors. What closes later than a call returns is waited for.
void expect_none_left(const std::function<void(int)>& use, std::size_t kept = 0) {
  const std::size_t before = open_fds().size();
  for (int i = 0; i < kUses; ++i) {
    use(i);
    if (i % kAtOnce != kAtOnce - 1) continue;
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (open_fds().size() > before + kept) {
      ASSERT_LT(absl::Now(), deadline) << "after " << i + 1 << " uses there are still\n"
                                       << absl::StrJoin(open_fds(), "\n");
      std::this_thread::yield();
    }
  }
}

class DescriptorsTest : public testing::Test {
 protected:
  // Makes the calls in one task.
  template <typename F>
  void expect_no_task_leaves_any(Runtime& runtime, F use, std::size_t kept = 0) {
    expect_none_left(
        [&](int i) {
          const absl::Status status = runtime.run([&use, i]() -> Task<> { return use(i); });
          ASSERT_TRUE(status.ok()) << status;
        },
        kept);
  }

  const ExpectNoFdLeak no_leak_;
};

Task<> read_all(Connection peer) {
  while (ByteView bytes = co_await peer.read()) continue;
}

std::string listen(Runtime& runtime, std::string_view address, Runtime::Handler handler) {
  const absl::StatusOr<Listener> listener = runtime.listen(address, std::move(handler));
  CHECK_OK(listener);
  return listener->address().to_string();
}

struct Pipe {
  Pipe() {
    int ends[2];
    PCHECK(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    out = OwnedFd(ends[0]);
    in = OwnedFd(ends[1]);
  }

  OwnedFd out;
  OwnedFd in;
};

// Ends a connection in each of the ways.
Task<> connect_and_end(std::string_view address, int i) {
  Connection c = co_await connect(address);
  if (i % 2 == 0) co_await c.write("text");
  if (i % 3 == 0) c.close();
  if (i % 3 == 1) c.abort();
  if (i % 3 != 2 && i % 5 == 0) (void)co_await c.closed().result();
}

TEST_F(DescriptorsTest, Connections) {
  Runtime runtime;
  const std::string address = listen(runtime, "127.0.0.1:0", read_all);
  expect_no_task_leaves_any(runtime, [&](int i) { return connect_and_end(address, i); });
}

// Nobody listens at the first address of the name.
TEST_F(DescriptorsTest, ConnectionsByName) {
  Runtime runtime({.hosts = {{"service.example", {"127.0.0.2:0", "127.0.0.1:0"}}}});
  std::string address = listen(runtime, "127.0.0.1:0", read_all);
  address = absl::StrCat("service.example", address.substr(address.rfind(':')));
  expect_no_task_leaves_any(runtime, [&](int i) { return connect_and_end(address, i); });
}

TEST_F(DescriptorsTest, ConnectionsThatAreRefused) {
  const OwnedFd bound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));  // and does not listen
  sockaddr_in any = {};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof any;
  PCHECK(::bind(bound.get(), reinterpret_cast<sockaddr*>(&any), size) == 0);
  PCHECK(::getsockname(bound.get(), reinterpret_cast<sockaddr*>(&any), &size) == 0);
  const std::string address = absl::StrCat("127.0.0.1:", ntohs(any.sin_port));
  Runtime runtime;
  expect_no_task_leaves_any(runtime, [&](int) -> Task<> {
    const auto connected = co_await connect(address).result();
    EXPECT_TRUE(absl::IsUnavailable(connected.status())) << connected.status();
  });
}

TEST_F(DescriptorsTest, AttemptsToConnectThatAreCancelled) {
  Runtime runtime;
  const std::string address = listen(runtime, "127.0.0.1:0", read_all);
  expect_none_left([&](int) {
    runtime
        .connect(address,
                 [](absl::StatusOr<Connection> c) {
                   if (c.ok()) c->abort();
                 })
        .cancel();
  });
}

TEST_F(DescriptorsTest, UnixSockets) {
  std::string folder = std::filesystem::temp_directory_path() / "epore_XXXXXX";
  PCHECK(::mkdtemp(folder.data()) != nullptr);
  {
    Runtime runtime;
    const std::string named = listen(runtime, absl::StrCat("unix:", folder, "/named"), read_all);
    const std::string abstract = absl::StrCat("unix:@", folder);
    (void)listen(runtime, abstract, read_all);
    expect_no_task_leaves_any(
        runtime, [&](int i) { return connect_and_end(i % 4 < 2 ? named : abstract, i / 2); });
  }
  std::filesystem::remove_all(folder);
}

TEST_F(DescriptorsTest, Listeners) {
  std::string folder = std::filesystem::temp_directory_path() / "epore_XXXXXX";
  PCHECK(::mkdtemp(folder.data()) != nullptr);
  {
    Runtime runtime;
    expect_none_left([&](int i) {
      const std::string address =
          i % 4 == 0 ? absl::StrCat("unix:", folder, "/", i) : std::string("127.0.0.1:0");
      absl::StatusOr<Listener> listener =
          i % 2 == 0 ? runtime.listen(address, read_all) : runtime.listen(address);
      ASSERT_TRUE(listener.ok()) << listener.status();
      listener->close();
    });
  }
  std::filesystem::remove_all(folder);
}

TEST_F(DescriptorsTest, UdpSockets) {
  Runtime runtime;
  expect_no_task_leaves_any(runtime, [&](int i) -> Task<> {
    auto socket = runtime.udp("127.0.0.1:0");
    EXPECT_TRUE(socket.ok()) << socket.status();
    if (i % 2 == 0) {
      EXPECT_TRUE(socket->send("text", socket->address()).ok());
      (void)co_await socket->receive();
    }
    if (i % 3 == 0) socket->close();  // otherwise by its last handle
  });
}

TEST_F(DescriptorsTest, UdpSocketsWithACallback) {
  Runtime runtime;
  expect_none_left([&](int) {
    auto socket =
        runtime.udp("127.0.0.1:0", [](UdpSocket&, absl::StatusOr<std::span<const Datagram>>) {});
    ASSERT_TRUE(socket.ok()) << socket.status();
    (void)socket->send("text", socket->address());
    socket->close();
  });
}

TEST_F(DescriptorsTest, Watches) {
  Runtime runtime;
  expect_none_left([&](int i) {
    const Pipe pipe;
    const auto watch =
        runtime.watch(pipe.out.get(), Interest::readable(),
                      [](Watch& watch, const absl::StatusOr<Readiness>&) { watch.cancel(); });
    ASSERT_TRUE(watch.ok()) << watch.status();
    if (i % 2 == 0) PCHECK(::write(pipe.in.get(), "x", 1) == 1);
    Watch(*watch).cancel();
  });
}

TEST_F(DescriptorsTest, TasksThatWaitForADescriptor) {
  Runtime runtime;
  expect_no_task_leaves_any(runtime, [&](int i) -> Task<> {
    const Pipe pipe;
    if (i % 2 == 0) PCHECK(::write(pipe.in.get(), "x", 1) == 1);
    (void)co_await within(absl::Microseconds(1), readable(pipe.out.get())).result();
  });
}

TEST_F(DescriptorsTest, Timers) {
  Runtime runtime;
  expect_no_task_leaves_any(runtime, [&](int i) -> Task<> {
    Timer timer = runtime.timer([] {});
    timer.arm(absl::Hours(1));
    if (i % 2 == 0) timer.cancel();
    co_await sleep_for(absl::ZeroDuration());
  });
}

TEST_F(DescriptorsTest, Files) {
  const TemporaryFile made("text");
  Runtime runtime;
  const absl::StatusOr<Lane> lane = runtime.lane();
  ASSERT_TRUE(lane.ok()) << lane.status();
  expect_no_task_leaves_any(runtime, [&](int i) -> Task<> {
    File file = made.open();
    if (i % 2 == 0) file = File();
    const std::string text = co_await read_file(made.path(), *lane);
    EXPECT_EQ(text, "text");
    co_await write_file(made.path(), "text", *lane);
  });
}

TEST_F(DescriptorsTest, FilesThatAreSent) {
  const TemporaryFile made(std::string(10'000, 'x'));
  Runtime runtime;
  const std::string address = listen(runtime, "127.0.0.1:0", [&](Connection c) -> Task<> {
    co_await c.write(made.open(), 0, 10'000);
  });
  expect_no_task_leaves_any(runtime, [&](int i) -> Task<> {
    Connection c = co_await connect(address);
    if (i % 2 == 0) co_await c.read_exactly(10'000);  // otherwise it goes before the end
  });
}

// A thread keeps a few pipes for the next time.
TEST_F(DescriptorsTest, PipesOfSplice) {
  constexpr std::size_t kKept = 4 * 2;
  const std::string much(100'000, 'x');
  Runtime runtime({.dispatch = Dispatch::poll_thread});
  const std::string sink = listen(runtime, "127.0.0.1:0", read_all);
  const std::string address = listen(runtime, "127.0.0.1:0", [&](Connection c) -> Task<> {
    Connection to = co_await connect(sink);
    co_await splice(c, to);
  });
  expect_no_task_leaves_any(
      runtime,
      [&](int i) -> Task<> {
        Connection c = co_await connect(address);
        co_await c.write(much);
        if (i % 3 == 0) c.abort();
        c.close();
        (void)co_await c.closed().result();
      },
      kKept);
  EXPECT_GT(runtime.counters().bytes_spliced, 0u);
}

// Some are taken, some are left, and some are never sent.
TEST_F(DescriptorsTest, DescriptorsThatArePassed) {
  const std::string much(300'000, 'x');
  Runtime runtime;
  ListenOptions options;
  options.connection.max_descriptors = 10;
  std::string name = std::filesystem::temp_directory_path() / "epore_XXXXXX";
  PCHECK(::mkdtemp(name.data()) != nullptr);
  const absl::StatusOr<Listener> listener = runtime.listen(
      absl::StrCat("unix:@", name),
      [](Connection c) -> Task<> {
        const ByteView bytes = co_await c.read();
        if (bytes.text() == "take") (void)c.take_descriptors();
      },
      options);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = listener->address().to_string();
  expect_no_task_leaves_any(runtime, [&](int i) -> Task<> {
    Pipe pipe;
    Connection c = co_await connect(address);
    if (i % 3 == 2) c.send(much);
    co_await c.write(i % 3 == 0 ? "take" : "leave", std::move(pipe.out));
    c.send("again", std::move(pipe.in));
    if (i % 3 == 2) c.abort();
  });
  std::filesystem::remove_all(name);
}

TEST_F(DescriptorsTest, Polls) {
  expect_none_left([](int) {
    absl::StatusOr<Poll> poll = Poll::create();
    ASSERT_TRUE(poll.ok()) << poll.status();
    const Pipe pipe;
    ASSERT_TRUE(poll->registry()->register_fd(pipe.out.get(), Token{1}, Interest::readable()).ok());
  });
}

TEST_F(DescriptorsTest, Runtimes) {
  expect_none_left([](int i) {
    Runtime runtime({.dispatch = Dispatch::caller});
    ASSERT_TRUE(runtime.listen("127.0.0.1:0").ok());
    if (i % 2 == 0) {
      ASSERT_TRUE(runtime.on_signal(SIGUSR1).ok());
      ASSERT_TRUE(runtime.catch_signals().ok());
    }
  });
}

}  // namespace
}  // namespace epore
