// An HTTPS server that says hello, over connections that stay: http_hello over TLS.

#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/tls/tls_connection.h"
#include "epore/runtime/tls/tls_context.h"
#include "examples/command_line.h"
#include "examples/http_request_parser.h"
#include "examples/server_flags.h"

ABSL_FLAG(std::string, cert, "", "the certificate and its chain, PEM");
ABSL_FLAG(std::string, key, "", "the private key, PEM");

namespace {

constexpr std::string_view kHelp = R"(https_hello --cert=FILE --key=FILE [flags]

Answers every request with hello, over TLS. Listens on 127.0.0.1:8443 by default.

  --cert=FILE  the certificate and what is between it and its root, PEM
  --key=FILE   its private key, PEM
)";

using Parser = examples::HttpRequestParser;

std::string_view status_of(Parser::State state) {
  if (state == Parser::State::complete) return "200 OK";
  return state == Parser::State::unmet ? "417 Expectation Failed" : "400 Bad Request";
}

epore::Task<> read_request(epore::TlsConnection& tls, Parser& parser, epore::ByteView& rest) {
  while (parser.state() < Parser::State::complete) {
    if (rest.empty()) rest = co_await tls.read();
    if (rest.empty()) co_await absl::CancelledError("the client sends no more");
    rest = rest.subspan(parser.feed(rest));
    if (parser.waits_for_continue()) {
      co_await tls.write(examples::kHttpContinue);
      parser.allow_body();
    }
  }
}

epore::Task<> serve_tls(epore::TlsContext context, epore::Connection peer) {
  epore::TlsConnection tls = co_await epore::TlsConnection::accept(context, peer);
  Parser parser;
  epore::ByteView rest;
  for (bool keep = true; keep; parser.next()) {
    const absl::Status read =
        co_await epore::within(absl::Seconds(10), read_request(tls, parser, rest)).result();
    if (!read.ok()) {  // idle, gone, or draining
      if (parser.state() == Parser::State::empty) tls.close();
      co_return;
    }
    const bool is_good = parser.state() == Parser::State::complete;
    keep = is_good && !parser.request().says_close && !parser.request().is_http_1_0;
    const std::string_view body = is_good && parser.request().method != "HEAD" ? "hello\n" : "";
    co_await tls.write(absl::StrCat("HTTP/1.1 ", status_of(parser.state()), "\r\n",
                                    "content-length: ", is_good ? 6 : 0, "\r\n",
                                    keep ? "" : "connection: close\r\n", "\r\n", body));
  }
  tls.close();
}

}  // namespace

int main(int argc, char** argv) {
  const examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (!flags.arguments.empty()) examples::usage_error("unexpected argument");
  epore::TlsServerOptions options;
  options.certificate_file = absl::GetFlag(FLAGS_cert);
  options.key_file = absl::GetFlag(FLAGS_key);
  options.alpn = {"http/1.1", "http/1.0"};
  const absl::StatusOr<epore::TlsContext> context = epore::TlsContext::server(options);
  if (!context.ok()) return epore::report(context.status());
  epore::Runtime runtime(flags.options);
  const absl::StatusOr<epore::Listener> listener =
      runtime.listen(flags.address.empty() ? "127.0.0.1:8443" : flags.address,
                     [context](epore::Connection peer) { return serve_tls(*context, peer); });
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener);
}
