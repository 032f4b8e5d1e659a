// examples/https_hello, where the machine has OpenSSL. With curl and openssl where it has them.

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/examples/server.h"
#include "tests/examples/tool.h"
#include "tests/runtime/tls/certificates.h"

namespace examples {
namespace {

class HttpsHello : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!epore::Authority::is_possible()) GTEST_SKIP() << "built without OpenSSL";
    authority_.emplace();
    const epore::CertificateFiles files =
        authority_->make({.subject = "localhost", .names = "DNS:localhost,IP:127.0.0.1"});
    server_.emplace("https_hello",
                    std::vector<std::string>{"--address=127.0.0.1:0", "--cert=" + files.certificate,
                                             "--key=" + files.key});
  }

  // What curl gets and says of this URL.
  static Tool::Result curl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--silent", "--noproxy", "*", "--max-time", "20"});
    return Tool("curl").run(arguments);
  }
  std::string url(const std::string& host) const {
    return absl::StrCat("https://", host, ":", server_->port(), "/");
  }

  std::optional<epore::Authority> authority_;
  std::optional<Server> server_;
};

TEST_F(HttpsHello, ServesCurl) {
  const Tool tool("curl");
  if (tool.is_missing()) GTEST_SKIP() << tool.why_missing();
  // Two requests over one connection.
  const Tool::Result result = curl({"--cacert", authority_->file(), "--resolve",
                                    "localhost:" + server_->port() + ":127.0.0.1", "--write-out",
                                    "%{http_code} %{num_connects} %{ssl_verify_result}\n",
                                    url("localhost"), url("localhost")});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "hello\n200 1 0\nhello\n200 0 0\n");
  EXPECT_EQ(curl({"--cacert", authority_->file(), url("127.0.0.1")}).output, "hello\n");
  EXPECT_EQ(curl({"--cacert", authority_->file(), "--tls-max", "1.2", url("127.0.0.1")}).output,
            "hello\n");
  EXPECT_EQ(curl({"--cacert", authority_->file(), "--http1.0", url("127.0.0.1")}).output,
            "hello\n");
}

// curl waits for much longer than the test may take.
TEST_F(HttpsHello, ServesCurlThatWaitsWithItsBody) {
  const Tool tool("curl");
  if (tool.is_missing()) GTEST_SKIP() << tool.why_missing();
  EXPECT_EQ(curl({"--cacert", authority_->file(), "--expect100-timeout", "1000", "-H",
                  "expect: 100-continue", "-d", "body", "--http1.1", url("127.0.0.1")})
                .output,
            "hello\n");
}

// It has ten seconds for all of it, and this one would take half a minute.
TEST_F(HttpsHello, ARequestHasADeadlineHoweverItsBytesCome) {
  const Tool tool("curl");
  if (tool.is_missing()) GTEST_SKIP() << tool.why_missing();
  const Tool::Result result =
      curl({"--cacert", authority_->file(), "--limit-rate", "4k", "-H", "expect:", "-d",
            std::string(120'000, 'x'), "--http1.1", url("127.0.0.1")});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.exit_code, 28) << "curl's own limit of 20 s ended it";
}

TEST_F(HttpsHello, CurlRefusesWhomItDoesNotKnow) {
  const Tool tool("curl");
  if (tool.is_missing()) GTEST_SKIP() << tool.why_missing();
  EXPECT_EQ(curl({url("127.0.0.1")}).exit_code, 60);  // the certificate cannot be verified
  EXPECT_EQ(curl({"--cacert", authority_->file(), url("127.0.0.1")}).output, "hello\n");
}

TEST_F(HttpsHello, OldVersionsAreRefused) {
  const Tool openssl("openssl");
  if (openssl.is_missing()) GTEST_SKIP() << openssl.why_missing();
  bool has_old = true;
  for (const char* version : {"-tls1", "-tls1_1"}) {
    // It says on stderr what alert it got.
    const Tool::Result result = Tool("sh").run(
        {"-c", absl::StrCat("exec ", openssl.path, " s_client ", version,
                            " -cipher ALL:@SECLEVEL=0 -connect ", server_->address, " 2>&1")});
    EXPECT_NE(result.exit_code, 0) << result.output;
    if (!absl::StrContains(result.output, "CONNECTED") ||
        absl::StrContains(result.output, "no protocols available")) {
      has_old = false;  // nothing was sent
    } else {
      EXPECT_TRUE(absl::StrContains(result.output, "alert protocol version")) << result.output;
    }
  }
  // The protocol that both speak.
  const Tool::Result result = openssl.run({"s_client", "-tls1_2", "-alpn", "h2,http/1.1", "-CAfile",
                                           authority_->file(), "-connect", server_->address});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(result.output, "ALPN protocol: http/1.1")) << result.output;
  EXPECT_TRUE(absl::StrContains(result.output, "Verification: OK")) << result.output;
  if (!has_old) GTEST_SKIP() << "openssl has no TLS 1.0 or 1.1 to try";
}

TEST_F(HttpsHello, AServerWithoutACertificateSaysSo) {
  ChildProcess process = start_program("https_hello");
  const std::string line = process.read_error_line().value_or("");
  EXPECT_TRUE(absl::StrContains(line, "certificate_file is empty")) << line;
  EXPECT_EQ(process.wait().value_or(-1), 1);
}

TEST_F(HttpsHello, SigtermEndsIt) { EXPECT_EQ(server_->terminate(), 0); }

}  // namespace
}  // namespace examples
