// The snippets of docs/guide/unix-sockets.md, as they stand there. pages_test compares them.

#include <unistd.h>

#include <string>

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
