// What only a peer does that sets OpenSSL up in another way than epore does.

#include "epore/runtime/tls/open_ssl_engine.h"

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/tls/tls_engine.h"
#include "epore/runtime/tls/tls_options.h"
#include "gtest/gtest.h"
#include "tests/runtime/tls/certificates.h"

#ifdef EPORE_HAVE_OPEN_SSL

namespace epore::internal {
namespace {

using Step = TlsEngine::Step;

// A server whose tickets take two records each.
class LongTickets {
 public:
  explicit LongTickets(const CertificateFiles& files) : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX* const context = context_.get();
    CHECK_EQ(SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()), 1);
    CHECK_EQ(SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM), 1);
    CHECK_EQ(SSL_CTX_set_max_send_fragment(context, 512), 1);
    CHECK_EQ(SSL_CTX_set_session_ticket_cb(context, fill, accept, nullptr), 1);
    ssl_.reset(SSL_new(context));
    SSL_set_accept_state(ssl_.get());
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  }

  bool handshake() { return SSL_do_handshake(ssl_.get()) == 1; }

  void feed(const std::string& bytes) {
    CHECK_EQ(BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size())),
             static_cast<int>(bytes.size()));
  }
  std::string take_output() {
    std::string bytes(100'000, '\0');
    const int size =
        BIO_read(SSL_get_wbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
  }
  std::string read() {
    std::string bytes(1000, '\0');
    std::size_t size = 0;
    if (SSL_read_ex(ssl_.get(), bytes.data(), bytes.size(), &size) != 1) size = 0;
    bytes.resize(size);
    return bytes;
  }

 private:
  static int fill(SSL* ssl, void*) {
    constexpr std::array<char, 700> kLong = {};
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), kLong.data(), kLong.size());
  }
  static SSL_TICKET_RETURN accept(SSL*, SSL_SESSION*, const unsigned char*, size_t,
                                  SSL_TICKET_STATUS, void*) {
    return SSL_TICKET_RETURN_IGNORE;
  }

  const OpenSslPtr<SSL_CTX> context_;
  OpenSslPtr<SSL> ssl_;
};

TEST(OpenSslEngine, WritesNothingInTheMiddleOfATicket) {
  Authority authority;
  LongTickets server(authority.make());
  TlsClientOptions options;
  options.authorities_file = authority.file();
  const auto factory = open_ssl_client(options);
  ASSERT_TRUE(factory.ok()) << factory.status();
  const auto made = (*factory)->make("server.example");
  ASSERT_TRUE(made.ok()) << made.status();
  TlsEngine& client = **made;

  ASSERT_EQ(client.handshake(), Step::wants_input);
  server.feed(client.take_output());
  ASSERT_FALSE(server.handshake());
  const std::string flight = server.take_output();
  client.feed(flight);
  ASSERT_EQ(client.handshake(), Step::done) << client.error();
  server.feed(client.take_output());
  ASSERT_TRUE(server.handshake());

  const std::string tickets = server.take_output();
  constexpr std::size_t kHeader = 5;
  ASSERT_GT(tickets.size(), 2 * 512u);
  const std::size_t first = kHeader + (static_cast<std::size_t>(tickets[3] & 0xff) << 8) +
                            static_cast<std::size_t>(tickets[4] & 0xff);
  std::array<std::byte, TlsEngine::kRecord> bytes;
  std::size_t count = 0;
  client.feed(ByteView(tickets).first(first));
  EXPECT_EQ(client.read(bytes, count), Step::wants_input);
  EXPECT_EQ(client.write("hello"), Step::wants_input);
  EXPECT_EQ(client.end(), Step::wants_input);
  EXPECT_EQ(client.take_output(), "");
  EXPECT_TRUE(client.error().ok()) << client.error();

  client.feed(ByteView(tickets).subspan(first));
  EXPECT_EQ(client.write("hello"), Step::done) << client.error();
  server.feed(client.take_output());
  EXPECT_EQ(server.read(), "hello");
  EXPECT_EQ(client.read(bytes, count), Step::wants_input);
  EXPECT_EQ(client.end(), Step::done) << client.error();
}

// A close_notify without a key. Whoever writes then would take it for done.
TEST(OpenSslEngine, OnlyAReadTakesTheEndOfThePeer) {
  Authority authority;
  TlsClientOptions options;
  options.authorities_file = authority.file();
  const auto factory = open_ssl_client(options);
  ASSERT_TRUE(factory.ok()) << factory.status();
  using Call = Step (*)(TlsEngine&);
  for (const Call call : {Call([](TlsEngine& client) { return client.handshake(); }),
                          Call([](TlsEngine& client) { return client.write("hello"); }),
                          Call([](TlsEngine& client) { return client.end(); })}) {
    const auto made = (*factory)->make("server.example");
    ASSERT_TRUE(made.ok()) << made.status();
    TlsEngine& client = **made;
    ASSERT_EQ(client.handshake(), Step::wants_input);
    client.feed(std::string_view("\x15\x03\x03\0\x02\x01\0", 7));
    EXPECT_EQ(call(client), Step::failed);
    EXPECT_EQ(client.error(), absl::UnavailableError("the peer has ended TLS"));
  }
}

}  // namespace
}  // namespace epore::internal

#else

TEST(OpenSslEngine, WritesNothingInTheMiddleOfATicket) { GTEST_SKIP() << "built without OpenSSL"; }

TEST(OpenSslEngine, OnlyAReadTakesTheEndOfThePeer) { GTEST_SKIP() << "built without OpenSSL"; }

#endif
