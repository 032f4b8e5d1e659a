#ifndef EPORE_TESTS_RUNTIME_TLS_TLS_TEST_BASE_H_
#define EPORE_TESTS_RUNTIME_TLS_TLS_TEST_BASE_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/tls/tls_connection.h"
#include "epore/runtime/tls/tls_context.h"
#include "gtest/gtest.h"
#include "tests/runtime/tls/certificates.h"
#include "tests/support/open_fds.h"

namespace epore {

// What became of a task. It outlives the runtime.
class Outcome {
 public:
  void set(absl::Status status) {
    status_ = std::move(status);
    done_.Notify();
  }
  const absl::Status& await() const {
    done_.WaitForNotification();
    return status_;
  }

 private:
  absl::Notification done_;
  absl::Status status_;
};

// Skips the test where there is no OpenSSL, and checks that it leaves no descriptor open.
class TlsTest : public testing::Test {
 protected:
  using Use = std::function<Task<>(TlsConnection)>;

  void SetUp() override {
    if (!Authority::is_possible()) GTEST_SKIP() << "built without OpenSSL";
    authority_.emplace();
  }

  // Of one whom everybody trusts.
  TlsServerOptions server_options(const CertificateOptions& certificate = {}) {
    const CertificateFiles files = authority_->make(certificate);
    TlsServerOptions options;
    options.certificate_file = files.certificate;
    options.key_file = files.key;
    return options;
  }
  TlsClientOptions client_options() const {
    TlsClientOptions options;
    options.authorities_file = authority_->file();
    return options;
  }

  static TlsContext server(const TlsServerOptions& options) {
    const absl::StatusOr<TlsContext> context = TlsContext::server(options);
    CHECK_OK(context);
    return *context;
  }
  static TlsContext client(const TlsClientOptions& options) {
    const absl::StatusOr<TlsContext> context = TlsContext::client(options);
    CHECK_OK(context);
    return *context;
  }

  // Accepts in the order of the connection, and then calls `use`.
  static Task<> accept_and(TlsContext context, Connection peer, Use use) {
    const TlsConnection tls = co_await TlsConnection::accept(context, peer);
    co_await use(tls);
  }
  static Task<> accept_once(TlsContext context, Connection peer, Use use, Outcome& outcome) {
    outcome.set(co_await accept_and(context, peer, use).result());
  }

  // Listens for connections; `outcome`, if there is one, is for one connection only.
  static Listener serve(Runtime& runtime, const TlsContext& context, const Use& use,
                        Outcome* outcome = nullptr, const ListenOptions& options = {}) {
    const auto handler = [context, use, outcome](Connection peer) {
      return outcome != nullptr ? accept_once(context, peer, use, *outcome)
                                : accept_and(context, peer, use);
    };
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", handler, options);
    CHECK_OK(listener);
    return *std::move(listener);
  }

  static Task<TlsConnection> dial(TlsContext context, std::string address,
                                  std::string name = "server.example") {
    const Connection peer = co_await epore::connect(address);
    co_return co_await TlsConnection::connect(context, peer, name);
  }

  // Everything up to the end.
  static Task<std::string> read_all(TlsConnection tls) {
    std::string all;
    while (const ByteView bytes = co_await tls.read()) all += bytes.text();
    co_return all;
  }

  static Task<> echo(TlsConnection tls) {
    while (const ByteView bytes = co_await tls.read()) co_await tls.write(bytes);
    tls.close();
  }

  static Task<> nothing(TlsConnection tls) {
    tls.close();
    co_return;
  }

  const ExpectNoFdLeak no_leak_;
  std::optional<Authority> authority_;
};

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_TLS_TLS_TEST_BASE_H_
