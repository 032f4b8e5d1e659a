// What becomes of a connection whose handshake finds no memory: each of its allocations fails in
// turn. It never stays open without TLS.

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/tls/tls_connection.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/tls/tls_test_base.h"
#include "tests/support/scarce_memory.h"

namespace epore {
namespace {

class ScarceTls : public TlsTest {
 protected:
  // The handler stays on the thread whose memory is scarce.
  static RuntimeOptions options() { return {.dispatch = Dispatch::poll_thread}; }

  // No TLS, so that the handshake fails at once in any case, and waits for nothing.
  static constexpr std::string_view kPlain = "HTTP/1.1 400 Bad Request\r\n\r\n";

  // Awaits a handshake with `peer` with the k-th allocation failing. Returns whether that came.
  // `open` is no coroutine, whose frame would be one of them.
  template <typename Open>
  static Task<bool> fail(Connection peer, int k, Open open) {
    co_await peer.peek(kPlain.size());
    ScarceMemory::fail(k);
    const absl::StatusOr<TlsConnection> opened = co_await open(peer).result();
    const bool was_reached = ScarceMemory::stop();
    EXPECT_FALSE(opened.ok());
    EXPECT_FALSE(peer.is_open()) << opened.status();
    co_return was_reached;
  }
};

TEST_F(ScarceTls, AnAcceptWithoutMemoryEndsItsConnection) {
  const TlsContext context = server(server_options());
  const auto open = [&context](Connection peer) {
    return TlsConnection::accept(context, std::move(peer));
  };
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    SCOPED_TRACE(k);
    absl::Notification is_over;
    Runtime runtime(options());
    const auto handler = [&](Connection peer) -> Task<> {
      was_reached = co_await fail(peer, k, open);
      is_over.Notify();
    };
    const absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", handler);
    ASSERT_TRUE(listener.ok()) << listener.status();
    Peer client(listener->address());
    client.send(kPlain);
    is_over.WaitForNotification();
    (void)client.end();
  }
}

TEST_F(ScarceTls, AConnectWithoutMemoryEndsItsConnection) {
  const TlsContext context = client(client_options());
  const auto open = [&context](Connection peer) {
    return TlsConnection::connect(context, std::move(peer), "server.example");
  };
  const auto ask = [&open](std::string address, int k) -> Task<bool> {
    const Connection peer = co_await epore::connect(address);
    co_return co_await fail(peer, k, open);
  };
  const auto plain = [](Connection peer) -> Task<> {
    co_await peer.write(kPlain);
    while (co_await peer.read()) {
    }
  };
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    SCOPED_TRACE(k);
    Runtime servers;
    const absl::StatusOr<Listener> listener = servers.listen("127.0.0.1:0", plain);
    ASSERT_TRUE(listener.ok()) << listener.status();
    Runtime runtime(options());
    const absl::StatusOr<bool> asked = runtime.run(ask, listener->address().to_string(), k);
    ASSERT_TRUE(asked.ok()) << asked.status();
    was_reached = *asked;
  }
}

// Under a stop nothing begins.
TEST_F(ScarceTls, AnAcceptThatIsDroppedEndsItsConnection) {
  const TlsContext context = server(server_options());
  Outcome outcome;
  Runtime runtime;
  const auto handler = [&](Connection peer) -> Task<> {
    { const auto dropped = TlsConnection::accept(context, peer); }
    outcome.set(peer.is_open() ? absl::InternalError("it is open") : absl::OkStatus());
    co_return;
  };
  const absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", handler);
  ASSERT_TRUE(listener.ok()) << listener.status();
  Peer client(listener->address());
  EXPECT_TRUE(outcome.await().ok()) << outcome.await();
  EXPECT_NE(client.end(), 0);
}

}  // namespace
}  // namespace epore
