// The snippets of docs/guide/unix-sockets.md, as they stand there. pages_test compares them.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace {

epore::Task<> serve(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

epore::Task<std::string> ask(std::string address) {
  epore::Connection server = co_await epore::connect(address);  // "unix:/run/echo.sock"
  co_await server.write("hello");
  co_return std::string((co_await server.read()).text());
}

// A test may not have /run for itself.
[[maybe_unused]] absl::Status listen(epore::Runtime& runtime) {
  auto listener = runtime.listen("unix:/run/echo.sock", serve);
  return listener.status();
}

TEST(UnixSnippets, Mode) {
  epore::Runtime runtime;
  const std::string address = absl::StrCat("unix:@epore-unix-snippets-", ::getpid());
  epore::ListenOptions options;
  options.unix_mode = 0660;
  auto listener = runtime.listen(address, serve, options);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(*runtime.run(ask, address), "hello");
}

epore::Task<> serve_own_user(epore::Connection peer) {
  absl::StatusOr<epore::PeerCredentials> client = peer.peer_credentials();
  if (!client.ok() || client->uid != ::getuid()) co_return;  // closes the connection
  co_await peer.write("welcome");
}

TEST(UnixSnippets, Credentials) {
  epore::Runtime runtime;
  const std::string address = absl::StrCat("unix:@epore-unix-snippets-", ::getpid());
  auto listener = runtime.listen(address, serve_own_user);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(*runtime.run(ask, address), "welcome");
}

epore::Task<> lend_memory(epore::Connection peer) {
  epore::OwnedFd memory(::memfd_create("frame", MFD_CLOEXEC));
  co_await peer.write("1 frame\n", std::move(memory));  // with callbacks: peer.send(...)
}

epore::Task<std::size_t> map_memory(std::string address) {
  epore::Connection lender = co_await epore::connect(address, {.max_descriptors = 4});
  co_await lender.read_until("\n", 100);
  std::vector<epore::OwnedFd> frames = lender.take_descriptors();
  co_return frames.size();
}

TEST(UnixSnippets, Descriptors) {
  epore::Runtime runtime;
  const std::string address = absl::StrCat("unix:@epore-unix-snippets-", ::getpid());
  auto listener = runtime.listen(address, lend_memory);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(runtime.run(map_memory, address).value_or(0), 1u);
}

epore::Task<> hand_over(epore::Connection successor, epore::Listener listener) {
  std::vector<epore::OwnedFd> sockets = co_await listener.descriptors();
  co_await successor.write("listener\n", std::move(sockets));
  if (co_await successor.read()) listener.close();  // no bytes: it has failed
}

epore::Task<> take_over(epore::Runtime& runtime, std::string address) {
  epore::Connection old_one = co_await epore::connect(address, {.max_descriptors = 253});
  co_await old_one.read_until("\n", 100);
  const std::vector<epore::OwnedFd> sockets = old_one.take_descriptors();
  for (const epore::OwnedFd& socket : sockets) {
    co_await runtime.listen(absl::StrCat("fd://", socket.get()), serve).status();
  }
  co_await old_one.write("listening\n");
}

TEST(UnixSnippets, AListenerIsHandedOver) {
  const std::string control = absl::StrCat("unix:@epore-unix-control-", ::getpid());
  const std::string address = absl::StrCat("unix:@epore-unix-snippets-", ::getpid());
  epore::Runtime successor;
  {
    epore::Runtime runtime;
    auto listener = runtime.listen(address, serve_own_user);
    ASSERT_TRUE(listener.ok()) << listener.status();
    auto asked = runtime.listen(
        control, [&](epore::Connection peer) { return hand_over(std::move(peer), *listener); });
    ASSERT_TRUE(asked.ok()) << asked.status();
    const absl::Status taken = successor.run(take_over, std::ref(successor), control);
    ASSERT_TRUE(taken.ok()) << taken;
  }
  EXPECT_EQ(*successor.run(ask, address), "hello");
}

epore::Task<> answer_all(epore::UnixDatagramSocket socket) {
  while (true) {
    for (const epore::Datagram& datagram : co_await socket.receive()) {
      (void)socket.send(datagram.bytes, datagram.peer);
    }
  }
}

epore::Task<std::string> ask_by_datagram(epore::Runtime& runtime, epore::SocketAddress server) {
  epore::UnixDatagramSocket socket = co_await runtime.unix_datagram("", {.peer = server});
  co_await socket.send("time?");
  auto answer = co_await socket.receive();
  co_return std::string(answer[0].bytes.text());
}

TEST(UnixSnippets, Datagrams) {
  const std::string path = absl::StrCat("@epore-unix-datagrams-", ::getpid());
  epore::Runtime runtime;
  auto server = runtime.unix_datagram("unix:" + path);  // its file is as that of a listener
  ASSERT_TRUE(server.ok()) << server.status();
  epore::Job job = runtime.spawn(answer_all, *server);
  absl::StatusOr<std::string> answer = runtime.run(
      [&]() -> epore::Task<std::string> { return ask_by_datagram(runtime, server->address()); });
  EXPECT_EQ(answer.value_or("?"), "time?");
  job.stop();
}

}  // namespace
