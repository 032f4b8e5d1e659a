// An HTTP/1.1 server that says hello, over connections that stay and with requests in a pipeline.

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/http_request_parser.h"
#include "examples/server_flags.h"

namespace {

constexpr std::string_view kHelp = R"(http_hello [flags]

Answers every request with hello. Listens on 127.0.0.1:8080 by default.
)";

using Parser = examples::HttpRequestParser;

epore::Task<> read_request(epore::Connection& peer, Parser& parser) {
  while (parser.state() < Parser::State::complete) {
    const epore::ByteView bytes = co_await peer.peek();
    if (bytes.empty()) co_await absl::CancelledError("the client sends no more");
    peer.consume(parser.feed(bytes));
    if (parser.waits_for_continue()) {
      co_await peer.write(examples::kHttpContinue);
      parser.allow_body();
    }
  }
}

std::string_view status_of(Parser::State state) {
  if (state == Parser::State::complete) return "200 OK";
  return state == Parser::State::unmet ? "417 Expectation Failed" : "400 Bad Request";
}

epore::Task<> serve(epore::Connection peer) {
  Parser parser;
  for (bool keep = true; keep; parser.next()) {
    const absl::Status read =
        co_await epore::within(absl::Seconds(10), read_request(peer, parser)).result();
    if (!read.ok()) co_return;  // idle, gone, or draining
    const bool is_good = parser.state() == Parser::State::complete;
    keep = is_good && !parser.request().says_close && !parser.request().is_http_1_0;
    const std::string_view body = is_good && parser.request().method != "HEAD" ? "hello\n" : "";
    co_await peer.write(absl::StrCat("HTTP/1.1 ", status_of(parser.state()), "\r\n",
                                     "content-length: ", is_good ? 6 : 0, "\r\n",
                                     keep ? "" : "connection: close\r\n", "\r\n", body));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (!flags.arguments.empty()) examples::usage_error("unexpected argument");
  epore::Runtime runtime(flags.options);
  const absl::StatusOr<epore::Listener> listener =
      runtime.listen(flags.address.empty() ? "127.0.0.1:8080" : flags.address, serve);
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener);
}
