// Who is let in, who is not, and what both sides are told.

#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/join.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/testing/manual_clock.h"
#include "epore/runtime/tls/tls_connection.h"
#include "epore/runtime/until.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/tls/tls_test_base.h"

namespace epore {
namespace {

void expect(const absl::Status& status, absl::StatusCode code, std::string_view text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), text)) << status;
}

class TlsHandshake : public TlsTest {
 protected:
  // A handshake with each other: what it is for both.
  struct Both {
    absl::Status client;
    absl::Status server;
  };
  Both meet(const TlsServerOptions& of_server, const TlsClientOptions& of_client,
            const std::string& name = "server.example") {
    Outcome outcome;
    Runtime runtime;
    const Listener listener = serve(runtime, server(of_server), nothing, &outcome);
    const auto ask = [](TlsContext context, std::string address,
                        std::string whom) -> Task<std::string> {
      const TlsConnection tls = co_await dial(context, address, whom);
      co_return co_await read_all(tls);
    };
    const absl::StatusOr<std::string> asked =
        runtime.run(ask, client(of_client), listener.address().to_string(), name);
    return {asked.status(), outcome.await()};
  }

  // What a server says of a peer that sends `bytes` and no more, and what that gets.
  absl::Status meet(std::string_view bytes, std::string* answer = nullptr) {
    Outcome outcome;
    Runtime runtime;
    const Listener listener = serve(runtime, server(server_options()), nothing, &outcome);
    Peer peer(listener.address());
    peer.send(bytes);
    peer.half_close();
    std::string all = peer.receive_all();
    if (answer != nullptr) *answer = std::move(all);
    return outcome.await();
  }
};

TEST_F(TlsHandshake, ANameAndANumberOfTheCertificateAreGood) {
  for (const char* name : {"server.example", "SERVER.example.", "127.0.0.1"}) {
    const Both both = meet(server_options(), client_options(), name);
    EXPECT_TRUE(both.client.ok()) << name << both.client;
    EXPECT_TRUE(both.server.ok()) << name << both.server;
  }
}

TEST_F(TlsHandshake, AWrongNameIsRefused) {
  const Both both = meet(server_options(), client_options(), "other.example");
  expect(both.client, absl::StatusCode::kUnauthenticated, "hostname mismatch");
  expect(both.client, absl::StatusCode::kUnauthenticated, "server.example");
  expect(both.client, absl::StatusCode::kUnauthenticated, "TlsConnection::connect(127.0.0.1:");
  expect(both.server, absl::StatusCode::kUnavailable, "the peer's alert: ");
  expect(both.server, absl::StatusCode::kUnavailable, "TlsConnection::accept(127.0.0.1:");
}

TEST_F(TlsHandshake, AWrongNumberIsRefused) {
  const Both both = meet(server_options(), client_options(), "127.0.0.2");
  expect(both.client, absl::StatusCode::kUnauthenticated, "IP address mismatch");
}

TEST_F(TlsHandshake, ANameIsNotAPartOfAnother) {
  const TlsServerOptions options =
      server_options({.names = "DNS:*.site.example,DNS:w*.example.org"});
  EXPECT_TRUE(meet(options, client_options(), "one.site.example").client.ok());
  for (const char* name : {"one.two.site.example", "www.example.org", "site.example"}) {
    expect(meet(options, client_options(), name).client, absl::StatusCode::kUnauthenticated,
           "hostname mismatch");
  }
}

TEST_F(TlsHandshake, SelfSignedIsRefused) {
  const Both both = meet(server_options({.is_self_signed = true}), client_options());
  expect(both.client, absl::StatusCode::kUnauthenticated, "self-signed certificate");
  expect(both.server, absl::StatusCode::kUnavailable, "unknown CA");
}

TEST_F(TlsHandshake, AnotherAuthorityIsRefused) {
  const Authority other;
  TlsClientOptions options = client_options();
  options.authorities_file = other.file();
  const Both both = meet(server_options(), options);
  expect(both.client, absl::StatusCode::kUnauthenticated, "");
  options.authorities_file.clear();  // those of the system
  expect(meet(server_options(), options).client, absl::StatusCode::kUnauthenticated,
         "unable to get local issuer certificate");
}

TEST_F(TlsHandshake, ExpiredIsRefusedAndSoIsNotYet) {
  const TlsServerOptions old =
      server_options({.from = -absl::Hours(48), .until = -absl::Hours(24)});
  const Both both = meet(old, client_options());
  expect(both.client, absl::StatusCode::kUnauthenticated, "certificate has expired");
  expect(both.server, absl::StatusCode::kUnavailable, "certificate expired");
  const TlsServerOptions early =
      server_options({.from = absl::Hours(24), .until = absl::Hours(48)});
  expect(meet(early, client_options()).client, absl::StatusCode::kUnauthenticated, "not yet valid");
}

TEST_F(TlsHandshake, AClientMayBelieveMore) {
  TlsClientOptions options = client_options();
  options.verify = TlsVerify::authority;
  EXPECT_TRUE(meet(server_options(), options, "other.example").client.ok());
  EXPECT_TRUE(meet(server_options(), options, "").client.ok());
  const TlsServerOptions own = server_options({.is_self_signed = true});
  expect(meet(own, options).client, absl::StatusCode::kUnauthenticated, "self-signed");
  options.verify = TlsVerify::nothing;
  EXPECT_TRUE(meet(own, options, "other.example").client.ok());
}

TEST_F(TlsHandshake, ANameThatCannotBeVerifiedIsRefusedAtOnce) {
  const std::string long_name(300, 'a');
  for (const std::string& name :
       {std::string(), std::string("."), std::string("a\0b", 3), long_name}) {
    const Both both = meet(server_options(), client_options(), name);
    expect(both.client, absl::StatusCode::kInvalidArgument, "the name is ");
    EXPECT_FALSE(both.server.ok());
  }
}

// OpenSSL takes a name with a dot in front for everything below it.
TEST_F(TlsHandshake, ANameWithAnEmptyLabelIsRefusedAtOnce) {
  for (const char* name : {".example", "server..example", "server.example..", "..", ".127.0.0.1"}) {
    const Both both = meet(server_options(), client_options(), name);
    expect(both.client, absl::StatusCode::kInvalidArgument, "the name has an empty label");
    EXPECT_FALSE(both.server.ok());
  }
  TlsClientOptions options = client_options();
  options.verify = TlsVerify::authority;  // it would be told to the server
  expect(meet(server_options(), options, ".example").client, absl::StatusCode::kInvalidArgument,
         "the name has an empty label");
}

// The common name of its subject is a text for people (RFC 9525).
TEST_F(TlsHandshake, TheSubjectOfACertificateIsNoName) {
  const Both both = meet(server_options({.names = "IP:127.0.0.1"}), client_options());
  expect(both.client, absl::StatusCode::kUnauthenticated, "hostname mismatch");
}

TEST_F(TlsHandshake, TheServersPreferenceIsTheProtocol) {
  TlsServerOptions of_server = server_options();
  of_server.alpn = {"h2", "http/1.1"};
  std::string at_server;
  std::string at_client;
  {
    Runtime runtime;
    const auto use = [&at_server](TlsConnection tls) -> Task<> {
      at_server = tls.alpn() + " " + tls.server_name() + " " + tls.version() + tls.peer_subject();
      tls.close();
      co_return;
    };
    const Listener listener = serve(runtime, server(of_server), use);
    TlsClientOptions of_client = client_options();
    of_client.alpn = {"spdy/1", "http/1.1", "h2"};
    const auto ask = [&at_client](TlsContext context, std::string address) -> Task<> {
      const TlsConnection tls = co_await dial(context, address);
      at_client =
          tls.alpn() + " " + tls.server_name() + " " + tls.version() + " " + tls.peer_subject();
      co_await read_all(tls);
      tls.close();
    };
    EXPECT_TRUE(runtime.run(ask, client(of_client), listener.address().to_string()).ok());
  }
  EXPECT_EQ(at_server, "h2 server.example TLSv1.3");
  EXPECT_EQ(at_client, "h2 server.example TLSv1.3 CN = server.example");
}

TEST_F(TlsHandshake, WithoutACommonProtocolItFailsForBoth) {
  TlsServerOptions of_server = server_options();
  of_server.alpn = {"h2"};
  TlsClientOptions of_client = client_options();
  of_client.alpn = {"http/1.1"};
  const Both both = meet(of_server, of_client);
  expect(both.client, absl::StatusCode::kUnavailable, "the peer's alert: no application protocol");
  expect(both.server, absl::StatusCode::kUnavailable, "no application protocol");
  of_client.alpn.clear();  // who names none is not asked
  EXPECT_TRUE(meet(of_server, of_client).client.ok());
}

TEST_F(TlsHandshake, AServerMayWantACertificateOfTheClient) {
  TlsServerOptions of_server = server_options();
  of_server.client_authorities_file = authority_->file();
  TlsClientOptions of_client = client_options();
  const Both without = meet(of_server, of_client);
  expect(without.server, absl::StatusCode::kUnavailable, "peer did not return a certificate");
  expect(without.client, absl::StatusCode::kUnavailable, "alert certificate required");

  const CertificateFiles own = authority_->make({.subject = "a client", .is_self_signed = true});
  of_client.certificate_file = own.certificate;
  of_client.key_file = own.key;
  const Both bad = meet(of_server, of_client);
  expect(bad.server, absl::StatusCode::kUnauthenticated, "self-signed certificate (CN = a client)");
  expect(bad.client, absl::StatusCode::kUnavailable, "the peer's alert: unknown CA");

  const CertificateFiles good = authority_->make({.subject = "a client"});
  of_client.certificate_file = good.certificate;
  of_client.key_file = good.key;
  EXPECT_TRUE(meet(of_server, of_client).client.ok());
}

TEST_F(TlsHandshake, APeerThatSpeaksPlainHttpIsToldAndRefused) {
  std::string answer;
  expect(meet("GET / HTTP/1.0\r\n\r\n", &answer), absl::StatusCode::kUnavailable, "http request");
  expect(meet(std::string(100, 'x')), absl::StatusCode::kUnavailable, "wrong version number");
}

TEST_F(TlsHandshake, AServerThatSpeaksPlainHttpIsRefused) {
  Runtime runtime;
  const auto plain = [](Connection peer) -> Task<> {
    co_await peer.write("HTTP/1.1 400 No\r\n\r\n");
  };
  const auto listener = runtime.listen("127.0.0.1:0", plain);
  ASSERT_TRUE(listener.ok());
  const auto dialled = runtime.run(dial, client(client_options()), listener->address().to_string(),
                                   std::string("server.example"));
  expect(dialled.status(), absl::StatusCode::kUnavailable, "wrong version number");
}

TEST_F(TlsHandshake, AnEndInTheMiddleIsAnError) {
  constexpr std::string_view kBegin = "\x16\x03\x01\x00\xf0\x01\x00";  // of a ClientHello
  for (std::size_t size = 0; size <= kBegin.size(); ++size) {
    expect(meet(kBegin.substr(0, size)), absl::StatusCode::kUnavailable,
           "the peer ended the connection during the handshake");
  }
}

TEST_F(TlsHandshake, OneThatStallsEndsAtItsDeadline) {
  Outcome outcome;
  ManualClock clock;
  Runtime runtime({.kernel = clock.kernel()});
  const Listener listener = serve(runtime, server(server_options()), nothing, &outcome);
  Peer peer(listener.address());
  peer.send("\x16");
  clock.await_idle();
  clock.advance(absl::Seconds(9));
  peer.send("\x03");  // bytes now and then do not help
  clock.await_idle();
  clock.advance(absl::Milliseconds(999));
  EXPECT_EQ(runtime.counters().connections, 1u);
  clock.advance(absl::Milliseconds(1));
  expect(outcome.await(), absl::StatusCode::kDeadlineExceeded, "TlsConnection::accept(127.0.0.1:");
  EXPECT_NE(peer.end(), 0);  // a reset
}

TEST_F(TlsHandshake, AClientHasADeadlineToo) {
  Outcome outcome;
  absl::Notification is_there;
  ManualClock clock;
  Runtime runtime({.kernel = clock.kernel()});
  const auto silent = [&is_there](Connection peer) -> Task<> {
    while (co_await peer.read()) {
      if (!is_there.HasBeenNotified()) is_there.Notify();
    }
  };
  const auto listener = runtime.listen("127.0.0.1:0", silent);
  ASSERT_TRUE(listener.ok());
  TlsClientOptions options = client_options();
  options.handshake_timeout = absl::Seconds(3);
  const auto ask = [&outcome](TlsContext context, std::string address) -> Task<> {
    const auto tls = co_await dial(context, address).result();
    outcome.set(tls.status());
  };
  Job job = runtime.spawn(ask, client(options), listener->address().to_string());
  is_there.WaitForNotification();
  clock.await_idle();
  clock.advance(absl::Seconds(3));
  expect(outcome.await(), absl::StatusCode::kDeadlineExceeded, "3s");
  EXPECT_TRUE(job.wait().ok());
}

TEST_F(TlsHandshake, AStopEndsIt) {
  Outcome outcome;
  Runtime runtime;
  const auto handler = [&outcome, context = server(server_options())](Connection peer) -> Task<> {
    std::stop_source source;
    const auto accept = [&]() -> Task<> {
      const auto tls =
          co_await until(source.get_token(), TlsConnection::accept(context, peer)).result();
      outcome.set(tls.status());
    };
    const auto stop = [&source]() -> Task<> {
      co_await yield();
      source.request_stop();
    };
    co_await all(accept(), stop());
  };
  const auto listener = runtime.listen("127.0.0.1:0", handler);
  ASSERT_TRUE(listener.ok());
  Peer peer(listener->address());
  expect(outcome.await(), absl::StatusCode::kCancelled, "TlsConnection::accept(127.0.0.1:");
  EXPECT_NE(peer.end(), 0);
}

TEST_F(TlsHandshake, ALaneComputesIt) {
  Runtime runtime;
  const absl::StatusOr<Lane> lane = runtime.lane({.name = "tls", .threads = 1});
  ASSERT_TRUE(lane.ok());
  TlsServerOptions of_server = server_options();
  of_server.handshake_lane = *lane;
  TlsClientOptions of_client = client_options();
  of_client.handshake_lane = *lane;
  const Listener listener = serve(runtime, server(of_server), echo);
  const auto ask = [](TlsContext context, std::string address) -> Task<std::string> {
    const TlsConnection tls = co_await dial(context, address);
    co_await tls.write("hello");
    co_await tls.shut_down_write();
    std::string all = co_await read_all(tls);
    tls.close();
    co_return all;
  };
  const TlsContext context = client(of_client);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(runtime.run(ask, context, listener.address().to_string()).value_or(""), "hello");
  }
}

TEST_F(TlsHandshake, ContextsAreForOneSide) {
  Outcome outcome;
  Runtime runtime;
  const Listener wrong = serve(runtime, client(client_options()), nothing, &outcome);
  Peer peer(wrong.address());
  expect(outcome.await(), absl::StatusCode::kFailedPrecondition, "the context is that of a client");
  const Listener listener = serve(runtime, server(server_options()), nothing);
  const auto dialled = runtime.run(dial, server(server_options()), listener.address().to_string(),
                                   std::string("server.example"));
  expect(dialled.status(), absl::StatusCode::kFailedPrecondition,
         "the context is that of a server");
}

TEST_F(TlsHandshake, AConnectionThatIsNoneIsRefused) {
  Runtime runtime;
  const auto accepted = runtime.run(&TlsConnection::accept, server(server_options()), Connection());
  expect(accepted.status(), absl::StatusCode::kFailedPrecondition, "names no connection");
}

// A first line without TLS, as in STARTTLS. What comes behind it is the handshake.
TEST_F(TlsHandshake, BytesThatWereNotConsumedBelongToIt) {
  Runtime runtime;
  const auto upgrade = [context = server(server_options())](Connection peer) -> Task<> {
    const ByteView line = co_await peer.read_until("\n", 100);
    EXPECT_EQ(line.text(), "STARTTLS\n");
    const TlsConnection tls = co_await TlsConnection::accept(context, peer);
    co_await echo(tls);
  };
  const auto listener = runtime.listen("127.0.0.1:0", upgrade);
  ASSERT_TRUE(listener.ok());
  const auto ask = [](TlsContext context, std::string address) -> Task<std::string> {
    Connection peer = co_await epore::connect(address);
    co_await peer.write("STARTTLS\n");
    const TlsConnection tls = co_await TlsConnection::connect(context, peer, "server.example");
    co_await tls.write("hello");
    co_await tls.shut_down_write();
    std::string all = co_await read_all(tls);
    tls.close();
    co_return all;
  };
  const std::string address = listener->address().to_string();
  EXPECT_EQ(runtime.run(ask, client(client_options()), address).value_or(""), "hello");
}

TEST_F(TlsHandshake, ThousandConnectionsLeakNothing) {
  Runtime runtime;
  const Listener listener = serve(runtime, server(server_options()), echo);
  const auto ask = [](TlsContext context, std::string address) -> Task<int> {
    int good = 0;
    for (int i = 0; i < 1000; ++i) {
      const TlsConnection tls = co_await dial(context, address);
      co_await tls.write("x");
      const ByteView bytes = co_await tls.read();
      if (bytes.text() == "x") ++good;
      if (i % 3 == 0) tls.close();
      if (i % 3 == 1) tls.connection().abort();
    }
    co_return good;
  };
  const std::string address = listener.address().to_string();
  EXPECT_EQ(runtime.run(ask, client(client_options()), address).value_or(0), 1000);
}

}  // namespace
}  // namespace epore
