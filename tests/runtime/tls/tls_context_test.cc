#include "epore/runtime/tls/tls_context.h"

#include <fstream>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "epore/runtime/tls/tls_options.h"
#include "gtest/gtest.h"
#include "tests/runtime/tls/tls_test_base.h"

namespace epore {
namespace {

void expect_bad(const absl::Status& status, std::string_view text) {
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), text)) << status;
}

TEST(TlsOptions, AreChecked) {
  TlsServerOptions server;
  expect_bad(server.check(), "TlsServerOptions::certificate_file is empty");
  server.certificate_file = "a.pem";
  expect_bad(server.check(), "TlsServerOptions::key_file is empty");
  server.key_file = std::string("a\0b", 3);
  expect_bad(server.check(), "TlsServerOptions::key_file has a zero byte");
  server.key_file = "a.key";
  EXPECT_TRUE(server.check().ok());
  server.handshake_timeout = absl::ZeroDuration();
  expect_bad(server.check(), "TlsServerOptions::handshake_timeout is 0, must be more than zero");
  server.handshake_timeout = absl::InfiniteDuration();
  EXPECT_TRUE(server.check().ok());
  server.alpn = {"h2", ""};
  expect_bad(server.check(), "TlsServerOptions::alpn[1] has 0 bytes, must have 1 to 255");
  server.alpn = {std::string(256, 'x')};
  expect_bad(server.check(), "TlsServerOptions::alpn[0] has 256 bytes");
  server.alpn.assign(300, std::string(255, 'x'));
  expect_bad(server.check(), "TlsServerOptions::alpn takes 76800 bytes");

  TlsClientOptions client;
  EXPECT_TRUE(client.check().ok());
  client.key_file = "a.key";
  expect_bad(client.check(), "certificate_file and key_file need each other");
  client.key_file.clear();
  client.verify = static_cast<TlsVerify>(7);
  expect_bad(client.check(), "TlsClientOptions::verify");
}

// Where there is no OpenSSL.
TEST(TlsContextWithout, SaysWhatIsMissing) {
  if (Authority::is_possible()) GTEST_SKIP() << "built with OpenSSL";
  const absl::Status status = TlsContext::client().status();
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "libssl-dev")) << status;
}

class TlsContextTest : public TlsTest {};

TEST_F(TlsContextTest, FilesThatAreNoneAreNamed) {
  TlsServerOptions options = server_options();
  options.certificate_file = authority_->path("none");
  expect_bad(TlsContext::server(options).status(), "TlsServerOptions::certificate_file \"" +
                                                       options.certificate_file +
                                                       "\": No such file or directory");
  options = server_options();
  options.key_file = authority_->path("none");
  expect_bad(TlsContext::server(options).status(), "TlsServerOptions::key_file");
  options = server_options();
  options.client_authorities_file = authority_->path("none");
  expect_bad(TlsContext::server(options).status(), "TlsServerOptions::client_authorities_file");
  TlsClientOptions of_client;
  of_client.authorities_file = authority_->path("none");
  expect_bad(TlsContext::client(of_client).status(), "TlsClientOptions::authorities_file");
}

TEST_F(TlsContextTest, FilesWithSomethingElseAreNamed) {
  const std::string path = authority_->path("text");
  std::ofstream(path) << "no certificate\n";
  TlsServerOptions options = server_options();
  options.certificate_file = path;
  expect_bad(TlsContext::server(options).status(), "no start line");
  options = server_options();
  options.key_file = path;
  expect_bad(TlsContext::server(options).status(), "TlsServerOptions::key_file");
  options = server_options();
  options.key_file = server_options().key_file;
  expect_bad(TlsContext::server(options).status(), "key values mismatch");
}

// OpenSSL would ask at the terminal, and wait.
TEST_F(TlsContextTest, AKeyWithAPasswordIsRefused) {
  expect_bad(TlsContext::server(server_options({.has_password = true})).status(),
             "TlsServerOptions::key_file");
}

TEST_F(TlsContextTest, TheSystemsAuthoritiesAreTheDefault) {
  EXPECT_TRUE(TlsContext::client().ok());
}

}  // namespace
}  // namespace epore
