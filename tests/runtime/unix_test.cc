// Streams over Unix sockets: addresses, files, credentials, and what differs from TCP.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/descriptor_messages.h"
#include "tests/support/temporary_directory.h"

namespace epore {
namespace {

using absl::StatusCode;

bool exists(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0;
}

ino_t inode_of(const std::string& path) {
  struct stat status;
  PCHECK(::lstat(path.c_str(), &status) == 0);
  return status.st_ino;
}

// A socket of the test's own that is bound to the address, and listens if there is a backlog.
OwnedFd bound_socket(const std::string& address, int backlog = -1, int type = SOCK_STREAM) {
  const SocketAddress at = SocketAddress::parse(address).value();
  OwnedFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  PCHECK(fd.is_valid());
  PCHECK(::bind(fd.get(), at.data(), at.size()) == 0);
  if (backlog >= 0) PCHECK(::listen(fd.get(), backlog) == 0);
  return fd;
}

Task<> echo(Connection peer) {
  while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

class UnixTest : public RuntimeTest {
 protected:
  const TemporaryDirectory directory_;
  const std::string path_ = directory_.path("x.sock");
  const std::string address_ = "unix:" + path_;
};

absl::StatusOr<Listener> listen_to_nobody(Runtime& runtime, const std::string& address,
                                          const ListenOptions& options = {}) {
  return runtime.listen(
      address, [](Connection&) {}, options);
}

void expect_error(const absl::Status& status, StatusCode code, std::string_view part,
                  std::string_view other_part = "") {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), other_part)) << status;
}

TEST_P(UnixTest, CoroutinesTalk) {
  Runtime runtime(options());
  for (const std::string& address : {address_, absl::StrCat("unix:@", path_)}) {
    const auto listener = runtime.listen(address, echo);
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_EQ(listener->address().to_string(), address);
    const absl::StatusOr<std::string> answer = runtime.run([&address]() -> Task<std::string> {
      Connection server = co_await connect(address);
      co_await server.write("hello");
      co_return std::string(co_await server.read_exactly(5));
    });
    EXPECT_EQ(answer.value_or("none"), "hello");
  }
}

TEST_P(UnixTest, CallbacksTalkAndKnowBothEnds) {
  Observer server;
  Observer client;
  server.when_data = [](Connection& c, std::string_view text) { c.send(text); };
  Runtime runtime(options());
  const auto listener = runtime.listen(address_, [&](Connection& c) {
    EXPECT_EQ(c.local_address().to_string(), address_);
    EXPECT_EQ(c.peer_address().to_string(), "unix:") << "a client without a name";
    server.watch(c);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  runtime.connect(address_, [&](absl::StatusOr<Connection> connection) {
    ASSERT_TRUE(connection.ok()) << connection.status();
    EXPECT_EQ(connection->peer_address().to_string(), address_);
    EXPECT_EQ(connection->local_address().to_string(), "unix:");
    client.watch(*connection);
    connection->send("hello");
    connection->shut_down_write();
  });
  EXPECT_EQ(client.await_bytes(5), "hello");
  EXPECT_TRUE(client.await_closed().ok());
  EXPECT_TRUE(server.await_closed().ok());
}

TEST_P(UnixTest, BothEndsAreToldWhoThePeerIs) {
  const PeerCredentials self = {.pid = ::getpid(), .uid = ::getuid(), .gid = ::getgid()};
  absl::Notification accepted;
  Runtime runtime(options());
  const auto listener = runtime.listen(address_, [&](Connection& c) {
    EXPECT_EQ(c.peer_credentials().value_or(PeerCredentials()), self);
    accepted.Notify();
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  const absl::Status ran = runtime.run([&]() -> Task<> {
    const Connection server = co_await connect(address_);
    EXPECT_EQ(server.peer_credentials().value_or(PeerCredentials()), self);
  });
  EXPECT_TRUE(ran.ok()) << ran;
  accepted.WaitForNotification();
}

TEST_P(UnixTest, CredentialsAreForUnixSockets) {
  Observer observer;
  Runtime runtime(options());
  const Link link = open_link(runtime, observer);
  expect_error(link.connection.peer_credentials().status(), StatusCode::kFailedPrecondition,
               "no connection of a Unix socket");
  expect_error(Connection().peer_credentials().status(), StatusCode::kFailedPrecondition,
               "names no connection");
}

TEST_P(UnixTest, CredentialsThatAreRefusedAreAnError) {
  absl::Notification accepted;
  kernel_.fail(KernelCall::kGetsockopt, ENOPROTOOPT);
  Runtime runtime(options());
  const auto listener = runtime.listen(address_, [&](Connection& c) {
    expect_error(c.peer_credentials().status(), StatusCode::kInvalidArgument, "SO_PEERCRED",
                 "ENOPROTOOPT");
    accepted.Notify();
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  Peer peer(listener->address());
  accepted.WaitForNotification();
}

TEST_P(UnixTest, OptionsOfTcpAreNotSet) {
  ListenOptions listen;
  listen.connection.keep_alive = true;
  ConnectOptions to;
  to.connection.keep_alive = true;
  Runtime runtime(options());
  const auto listener = runtime.listen(address_, echo, listen);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(runtime.run([&]() -> Task<> { (void)co_await connect(address_, to); }).ok());
  EXPECT_EQ(kernel_.calls(KernelCall::kSetsockopt), 0u);
}

TEST_P(UnixTest, SomebodyWhoListensIsNotReplaced) {
  Runtime runtime(options());
  const auto first = listen_to_nobody(runtime, address_);
  ASSERT_TRUE(first.ok()) << first.status();
  const ino_t inode = inode_of(path_);
  expect_error(listen_to_nobody(runtime, address_).status(), StatusCode::kAlreadyExists,
               "bind(" + address_ + "), where somebody listens", "EADDRINUSE");
  EXPECT_EQ(inode_of(path_), inode);
}

TEST_P(UnixTest, NorIsSomebodyWhoseBacklogIsFull) {
  const OwnedFd other = bound_socket(address_, 0);
  Peer waits(SocketAddress::parse(address_).value());
  Runtime runtime(options());
  expect_error(listen_to_nobody(runtime, address_).status(), StatusCode::kAlreadyExists,
               "somebody listens");
}

TEST_P(UnixTest, NorIsASocketOfAnotherKind) {
  const OwnedFd other = bound_socket(address_, -1, SOCK_DGRAM);
  Runtime runtime(options());
  expect_error(listen_to_nobody(runtime, address_).status(), StatusCode::kAlreadyExists,
               "somebody may listen", "EPROTOTYPE");
  EXPECT_TRUE(exists(path_));
}

TEST_P(UnixTest, AnAbstractNameInUseIsRefused) {
  const std::string address = "unix:@" + path_;
  const OwnedFd other = bound_socket(address);
  Runtime runtime(options());
  expect_error(listen_to_nobody(runtime, address).status(), StatusCode::kAlreadyExists,
               "bind(" + address + "): EADDRINUSE");
}

TEST_P(UnixTest, AFileThatIsLeftBehindIsTakenOver) {
  bound_socket(address_, 1).reset();
  Runtime runtime(options());
  const auto listener = runtime.listen(address_, echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(exists(path_));
  Peer peer(listener->address());
  peer.send("x");
  EXPECT_EQ(peer.receive(1), "x");
}

TEST_P(UnixTest, AFileThatIsNoSocketStays) {
  std::ofstream(path_) << "precious";
  const std::string link = directory_.path("link");
  std::filesystem::create_symlink("nowhere", link);
  Runtime runtime(options());
  for (const std::string& path : {path_, link}) {
    expect_error(listen_to_nobody(runtime, "unix:" + path).status(), StatusCode::kAlreadyExists,
                 "where a file is that is no socket", "EADDRINUSE");
    EXPECT_TRUE(exists(path));
  }
}

TEST_P(UnixTest, TheFileGoesWithTheListener) {
  Runtime runtime(options());
  auto listener = listen_to_nobody(runtime, address_);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(exists(path_));
  EXPECT_TRUE(listener->close_and_wait().ok());
  EXPECT_FALSE(exists(path_));
  ASSERT_TRUE(listen_to_nobody(runtime, address_).ok()) << "again";
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(directory_.is_empty());
}

TEST_P(UnixTest, AFileThatHasReplacedItStays) {
  Runtime runtime(options());
  auto listener = listen_to_nobody(runtime, address_);
  ASSERT_TRUE(listener.ok()) << listener.status();
  // It has another inode, because both exist for a moment.
  const OwnedFd other = bound_socket(address_ + ".new", 1);
  std::filesystem::rename(path_ + ".new", path_);
  EXPECT_TRUE(listener->close_and_wait().ok());
  EXPECT_TRUE(exists(path_));
  Peer(SocketAddress::parse(address_).value());
}

TEST_P(UnixTest, SeveralReactorsShareThePath) {
  RuntimeOptions three = options();
  three.reactors = 3;
  Runtime runtime(three);
  auto listener = runtime.listen(address_, echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(listener->addresses().size(), 1u);
  std::vector<Peer> peers;
  for (int i = 0; i < 20; ++i) {
    peers.emplace_back(listener->address()).send("x");
    EXPECT_EQ(peers.back().receive(1), "x");
  }
  EXPECT_TRUE(listener->close_and_wait().ok());
  EXPECT_FALSE(exists(path_));
}

TEST_P(UnixTest, TheFileHasTheModeThatIsAskedFor) {
  const mode_t umask = ::umask(022);
  Runtime runtime(options());
  for (const auto& [asked, has] :
       std::vector<std::pair<unsigned, unsigned>>{{0600, 0600}, {0660, 0640}}) {
    ListenOptions listen;
    listen.unix_mode = asked;
    auto listener = listen_to_nobody(runtime, address_, listen);
    ASSERT_TRUE(listener.ok()) << listener.status();
    struct stat status;
    ASSERT_EQ(::lstat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, has);
    EXPECT_TRUE(listener->close_and_wait().ok());
  }
  ::umask(umask);
  ListenOptions bad;
  bad.unix_mode = 01777;
  expect_error(listen_to_nobody(runtime, address_, bad).status(), StatusCode::kInvalidArgument,
               "unix_mode is 01777 (octal)");
}

TEST_P(UnixTest, ErrorsNameTheCallAndLeaveNothing) {
  Runtime runtime(options());
  const auto refused = [&](const std::string& address, const ListenOptions& options = {}) {
    const ExpectNoFdLeak check;
    return listen_to_nobody(runtime, address, options).status();
  };
  expect_error(refused("unix:"), StatusCode::kInvalidArgument, "no path");
  expect_error(refused("unix:x"), StatusCode::kInvalidArgument, "begins with");
  expect_error(refused("unix:" + directory_.path("no/x")), StatusCode::kNotFound,
               "bind(unix:", "ENOENT");
  kernel_.fail(KernelCall::kSocket, EMFILE);
  expect_error(refused(address_), StatusCode::kResourceExhausted, "socket for " + address_,
               "EMFILE");
  kernel_.fail(KernelCall::kListen, ENOBUFS);
  expect_error(refused(address_), StatusCode::kResourceExhausted, "listen(" + address_, "ENOBUFS");
  kernel_.fail(KernelCall::kBind, EACCES);
  expect_error(refused(address_), StatusCode::kPermissionDenied, "bind(" + address_, "EACCES");
  ListenOptions with_mode;
  with_mode.unix_mode = 0600;
  kernel_.fail(KernelCall::kFchmod, EPERM);
  expect_error(refused(address_, with_mode), StatusCode::kPermissionDenied, "fchmod(", "EPERM");
  EXPECT_TRUE(directory_.is_empty());
}

TEST_P(UnixTest, ErrorsOfATakeOverNameTheCallAndLeaveTheFile) {
  Runtime runtime(options());
  bound_socket(address_, 1).reset();
  const auto refused = [&](KernelCall call, int error, int times = 1) {
    const ExpectNoFdLeak check;
    kernel_.fail(call, error, 1, times);
    const absl::Status status = listen_to_nobody(runtime, address_).status();
    kernel_.fail(call, 0);
    EXPECT_TRUE(exists(path_));
    return status;
  };
  expect_error(refused(KernelCall::kOpen, EACCES), StatusCode::kAlreadyExists, "cannot be locked",
               "EACCES");
  expect_error(refused(KernelCall::kFlock, ENOLCK), StatusCode::kAlreadyExists, "cannot be locked",
               "ENOLCK");
  expect_error(refused(KernelCall::kFlock, EWOULDBLOCK, FaultKernel::kAlways),
               StatusCode::kAlreadyExists, "cannot be locked", "EAGAIN");
  expect_error(refused(KernelCall::kLstat, EACCES), StatusCode::kPermissionDenied, "lstat(");
  expect_error(refused(KernelCall::kConnect, EACCES), StatusCode::kAlreadyExists,
               "somebody may listen", "EACCES");
  expect_error(refused(KernelCall::kUnlink, EROFS), StatusCode::kPermissionDenied, "unlink(",
               "EROFS");
  kernel_.fail(KernelCall::kSocket, EMFILE, 2);
  expect_error(listen_to_nobody(runtime, address_).status(), StatusCode::kResourceExhausted,
               "socket(AF_UNIX)", "EMFILE");
  EXPECT_TRUE(listen_to_nobody(runtime, address_).ok());
}

TEST_P(UnixTest, ALockThatIsHeldIsWaitedFor) {
  bound_socket(address_, 1).reset();
  kernel_.fail(KernelCall::kFlock, EWOULDBLOCK, 1, 3);
  Runtime runtime(options());
  EXPECT_TRUE(listen_to_nobody(runtime, address_).ok());
  EXPECT_EQ(kernel_.calls(KernelCall::kFlock), 4u);
}

TEST_P(UnixTest, OfSeveralThatTakeAFileOverOneListens) {
  constexpr int kRuntimes = 4;
  for (int round = 0; round < 10; ++round) {
    bound_socket(address_, 1).reset();
    std::vector<std::unique_ptr<Runtime>> runtimes;
    for (int i = 0; i < kRuntimes; ++i) runtimes.push_back(std::make_unique<Runtime>(options()));
    absl::Barrier* const start = new absl::Barrier(kRuntimes);
    std::atomic<int> listening{0};
    std::vector<std::thread> threads;
    for (const auto& runtime : runtimes) {
      threads.emplace_back([&, start] {
        if (start->Block()) delete start;
        const auto listener = runtime->listen(address_, echo);
        if (listener.ok()) {
          ++listening;
        } else {
          EXPECT_EQ(listener.status().code(), StatusCode::kAlreadyExists);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(listening.load(), 1);
    Peer peer(SocketAddress::parse(address_).value());
    peer.send("x");
    EXPECT_EQ(peer.receive(1), "x");
  }
}

TEST_P(UnixTest, ConnectTellsWhyItFails) {
  Runtime runtime(options());
  const auto attempt = [&](const std::string& address) {
    return runtime.run([address]() -> Task<> { (void)co_await connect(address); });
  };
  expect_error(attempt(address_), StatusCode::kNotFound, "connect(" + address_ + ")", "ENOENT");
  bound_socket(address_, 1).reset();
  expect_error(attempt(address_), StatusCode::kUnavailable, "connect(" + address_ + ")",
               "ECONNREFUSED");
  expect_error(attempt("unix:"), StatusCode::kInvalidArgument, "no path");
}

TEST_P(UnixTest, ConnectWaitsForAPlaceInTheBacklog) {
  const OwnedFd listener = bound_socket(address_, 0);
  Peer first(SocketAddress::parse(address_).value());
  kernel_.after(KernelCall::kConnect, [&](const FaultKernel::Call& call) {
    EXPECT_EQ(call.result.error(), call.nth <= 3 ? EAGAIN : 0);
    if (call.nth == 3) {  // makes room
      OwnedFd accepted(::accept(listener.get(), nullptr, nullptr));
      PCHECK(accepted.is_valid());
    }
  });
  Runtime runtime(options());
  ConnectOptions to;
  to.connection.linger_timeout = absl::ZeroDuration();  // nobody takes it out of the backlog
  const absl::Status connected =
      runtime.run([&]() -> Task<> { (void)co_await connect(address_, to); });
  EXPECT_TRUE(connected.ok()) << connected;
  EXPECT_EQ(kernel_.calls(KernelCall::kConnect), 4u);
}

TEST_P(UnixTest, AFullBacklogIsToldAtTheDeadline) {
  const OwnedFd listener = bound_socket(address_, 0);
  Peer first(SocketAddress::parse(address_).value());
  absl::Notification tried;
  ClockKernel clock;
  clock.after(KernelCall::kConnect, [&](const FaultKernel::Call& call) {
    EXPECT_EQ(call.result.error(), EAGAIN);
    if (call.nth == 1) tried.Notify();
  });
  RuntimeOptions manual = options();
  manual.kernel = &clock;
  Runtime runtime(manual);
  ConnectOptions brief;
  brief.timeout = absl::Milliseconds(20);
  const Job job = runtime.spawn([&]() -> Task<> { (void)co_await connect(address_, brief); });
  tried.WaitForNotification();
  clock.advance(absl::Milliseconds(20));
  expect_error(job.wait(), StatusCode::kDeadlineExceeded, "not connected within 20ms", "EAGAIN");
}

TEST_P(UnixTest, CloseDeliversEverythingAlthoughBytesAreUnread) {
  const std::string text = pattern(1 << 20);
  Observer server;
  Runtime runtime(options());
  const auto listener = runtime.listen(address_, [&](Connection& c) {
    server.watch(c);
    c.pause_reading();
    c.send(text);
    c.close();
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  Peer peer(listener->address());
  peer.send("nobody reads this");
  EXPECT_TRUE(peer.receive(text.size()) == text);
  EXPECT_EQ(peer.end(), 0) << "an end of file, no reset";
  peer.close();
  EXPECT_TRUE(server.await_closed().ok());
}

TEST_P(UnixTest, AnAbortEndsThePeer) {
  Runtime runtime(options());
  const auto listener = runtime.listen(address_, [&](Connection& c) { c.abort(); });
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(Peer(listener->address()).end(), 0);
}

// The system ends a receive where descriptors were sent, and no event tells of the bytes behind.
TEST_P(UnixTest, F36DescriptorsThatNobodyWantsAreClosedAndHoldNothingUp) {
  for (const bool by_coroutine : {false, true}) {
    absl::Notification is_sent;
    Observer observer;
    std::string read;
    absl::Notification is_read;
    kernel_.before(KernelCall::kAccept,
                   [&](const FaultKernel::Call&) { is_sent.WaitForNotification(); });
    Runtime runtime(options());
    const auto listener = by_coroutine
                              ? runtime.listen(address_,
                                               [&](Connection c) -> Task<> {
                                                 while (read.size() < 9) {
                                                   const ByteView bytes = co_await c.read();
                                                   read += std::string(bytes);
                                                 }
                                                 is_read.Notify();
                                               })
                              : runtime.listen(address_, [&](Connection& c) { observer.watch(c); });
    ASSERT_TRUE(listener.ok()) << listener.status();
    Peer peer(listener->address());
    const std::size_t before = open_fds().size();
    for (const std::string_view text : {"one", "two"})
      send_with_fds(peer.fd(), text, std::vector<int>(5, STDIN_FILENO));
    peer.send("end");
    is_sent.Notify();
    if (by_coroutine) {
      is_read.WaitForNotification();
      EXPECT_EQ(read, "onetwoend");
    } else {
      EXPECT_EQ(observer.await_bytes(9), "onetwoend");
      EXPECT_EQ(open_fds().size(), before + 1) << "the accepted socket";
    }
    peer.close();
    EXPECT_TRUE(runtime.shutdown().ok());
    kernel_.before(KernelCall::kAccept, nullptr);
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, UnixTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
