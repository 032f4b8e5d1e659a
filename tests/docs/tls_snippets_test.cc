// The snippets of docs/guide/tls.md, where the machine has OpenSSL.

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/tls/tls_connection.h"
#include "epore/runtime/tls/tls_context.h"
#include "gtest/gtest.h"
#include "tests/runtime/tls/tls_test_base.h"

namespace {

absl::StatusOr<epore::TlsContext> server_context(const std::string& certificate,
                                                 const std::string& key) {
  epore::TlsServerOptions options;
  options.certificate_file = certificate;  // PEM: its own first, then those between it and the root
  options.key_file = key;                  // PEM, without a password
  options.alpn = {"echo/2", "echo/1"};     // what it speaks, the best first; may be empty
  return epore::TlsContext::server(options);
}

epore::Task<> echo(epore::TlsContext context, epore::Connection peer) {
  epore::TlsConnection tls = co_await epore::TlsConnection::accept(context, peer);
  while (epore::ByteView bytes = co_await tls.read()) co_await tls.write(bytes);
  tls.close();
}

epore::Task<std::string> ask(epore::TlsContext context, std::string address, std::string name) {
  epore::Connection peer = co_await epore::connect(address);
  epore::TlsConnection tls = co_await epore::TlsConnection::connect(context, peer, name);
  co_await tls.write("hello");
  co_await tls.shut_down_write();
  std::string answer;
  while (epore::ByteView bytes = co_await tls.read()) answer += bytes.text();
  tls.close();
  co_return answer;
}

absl::StatusOr<epore::TlsContext> client_context(const std::string& authorities) {
  epore::TlsClientOptions options;
  options.authorities_file = authorities;  // empty: those of the system
  options.alpn = {"echo/1"};
  return epore::TlsContext::client(options);
}

epore::Task<std::string> first_line(epore::TlsConnection& tls) {
  const epore::ByteView bytes = co_await epore::within(absl::Seconds(5), tls.read());
  co_return std::string(bytes.text());
}

absl::StatusOr<epore::TlsContext> with_lane(epore::Runtime& runtime,
                                            epore::TlsServerOptions options) {
  absl::StatusOr<epore::Lane> lane = runtime.lane({.name = "tls", .threads = 2, .queue = 100});
  if (!lane.ok()) return lane.status();
  options.handshake_lane = *lane;
  return epore::TlsContext::server(options);
}

class TlsSnippets : public epore::TlsTest {
 protected:
  // Serves `use`, and asks.
  static void expect_echo(epore::Runtime& runtime, const epore::TlsContext& server,
                          const epore::TlsContext& client) {
    auto listener = runtime.listen(
        "127.0.0.1:0", [server](epore::Connection peer) { return ::echo(server, peer); });
    ASSERT_TRUE(listener.ok()) << listener.status();
    const std::string address = listener->address().to_string();
    const std::string name = "server.example";
    EXPECT_EQ(runtime.run(ask, client, address, name).value_or(""), "hello");
  }
};

TEST_F(TlsSnippets, AServerAndAClient) {
  const epore::CertificateFiles files = authority_->make();
  const auto server = server_context(files.certificate, files.key);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto client = client_context(authority_->file());
  ASSERT_TRUE(client.ok()) << client.status();
  epore::Runtime runtime;
  expect_echo(runtime, *server, *client);
}

TEST_F(TlsSnippets, ALane) {
  epore::Runtime runtime;
  const auto server = with_lane(runtime, server_options());
  ASSERT_TRUE(server.ok()) << server.status();
  expect_echo(runtime, *server, client(client_options()));
}

TEST_F(TlsSnippets, ADeadline) {
  std::string line;
  {
    epore::Runtime runtime;
    const auto read_line = [&line](epore::TlsConnection tls) -> epore::Task<> {
      line = co_await first_line(tls);
      tls.close();
    };
    const epore::Listener listener = serve(runtime, server(server_options()), read_line);
    const std::string address = listener.address().to_string();
    const std::string name = "server.example";
    EXPECT_TRUE(runtime.run(ask, client(client_options()), address, name).ok());
  }
  EXPECT_EQ(line, "hello");
}

}  // namespace
