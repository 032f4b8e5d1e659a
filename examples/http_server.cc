// An HTTP/1.1 server of the files of a folder.
//
// Small files stay in memory for a second. Large ones go from the file to the socket without a
// copy, in pieces, each while the client takes the one before. blocking() opens them, so a slow
// folder holds up nobody else. Who has a file already is told so (304), if it names the time that
// it was given with it.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/http_request_parser.h"
#include "examples/http_response.h"
#include "examples/server_flags.h"
#include "examples/static_files.h"

namespace {

using File = std::shared_ptr<const examples::StaticFile>;
using Parser = examples::HttpRequestParser;

constexpr std::string_view kHelp = R"(http_server FOLDER [flags]

Serves the files of FOLDER to GET and HEAD. Listens on 127.0.0.1:8080 by default.
)";

constexpr absl::Duration kRequestTimeout = absl::Seconds(10);

// The line of the moment. It is made once a second.
std::string_view date_line(absl::Time now) {
  static thread_local std::int64_t second = -1;
  static thread_local std::string line;
  if (second != absl::ToUnixSeconds(now)) {
    second = absl::ToUnixSeconds(now);
    line = absl::StrCat("date: ", examples::http_date(now), "\r\n");
  }
  return line;
}

std::string_view status_line(const absl::Status& status) {
  if (status.ok()) return "200 OK";
  if (absl::IsNotFound(status)) return "404 Not Found";
  if (absl::IsPermissionDenied(status)) return "403 Forbidden";
  if (absl::IsInvalidArgument(status)) return "400 Bad Request";
  if (absl::IsUnimplemented(status)) return "405 Method Not Allowed";
  if (absl::IsResourceExhausted(status)) return "431 Request Header Fields Too Large";
  if (absl::IsFailedPrecondition(status)) return "417 Expectation Failed";
  if (absl::IsDeadlineExceeded(status)) return "408 Request Timeout";
  return "500 Internal Server Error";
}

// What is wrong with a request. Its head is all that this looks at.
absl::Status check(const Parser& parser) {
  if (parser.state() == Parser::State::unmet) return absl::FailedPreconditionError("");
  if (parser.state() == Parser::State::too_large) return absl::ResourceExhaustedError("");
  if (parser.state() == Parser::State::bad) return absl::InvalidArgumentError("");
  const examples::HttpRequest& request = parser.request();
  if (!request.has_host && !request.is_http_1_0) return absl::InvalidArgumentError("");
  const std::string& method = request.method;
  return method == "GET" || method == "HEAD" ? absl::OkStatus() : absl::UnimplementedError("");
}

// Reads a request. A client that waits with its body need not send it if the head is wrong.
epore::Task<> read_request(epore::Connection& peer, Parser& parser) {
  while (parser.state() < Parser::State::complete) {
    const epore::ByteView bytes = co_await peer.peek();
    if (bytes.empty()) co_await absl::CancelledError("the client sends no more");
    peer.consume(parser.feed(bytes));
    if (!parser.waits_for_continue()) continue;
    if (!check(parser).ok()) co_return;
    co_await peer.write(examples::kHttpContinue);
    parser.allow_body();
  }
}

epore::Task<> serve(epore::Connection peer, examples::StaticFiles& files) {
  Parser parser;
  for (bool keep = true; keep; parser.next()) {
    const absl::Status read =
        co_await epore::within(kRequestTimeout, read_request(peer, parser)).result();
    if (!read.ok() && (parser.state() == Parser::State::empty || !absl::IsDeadlineExceeded(read))) {
      co_return;  // idle, gone, or draining
    }
    absl::StatusOr<File> file = File();
    if (absl::Status bad = read.ok() ? check(parser) : read; !bad.ok()) file = std::move(bad);
    const bool is_whole = parser.state() == Parser::State::complete;
    const examples::HttpRequest& request = parser.request();
    const absl::Time now = absl::Now();
    if (file.ok()) file = files.find(request.target, now);
    if (file.ok() && *file == nullptr) {
      file = co_await epore::blocking(&examples::StaticFiles::open, std::ref(files), request.target)
                 .result();
    }
    keep = is_whole && !request.says_close && (!request.is_http_1_0 || request.says_keep_alive);
    // Files have no entity tags, so If-None-Match matches nothing. It goes before the time (RFC
    // 9110, 13.1.3).
    const bool is_known =
        file.ok() && !request.has_if_none_match && request.if_modified_since == (*file)->modified;
    const bool has_body = file.ok() && !is_known && request.method != "HEAD";
    std::string_view headers = "content-length: 0\r\n";
    if (is_known) headers = "";
    if (file.ok() && !is_known) headers = (*file)->headers;
    std::string response = absl::StrCat(
        "HTTP/1.1 ", is_known ? "304 Not Modified" : status_line(file.status()), "\r\n", headers,
        date_line(now),
        keep ? (request.is_http_1_0 ? "connection: keep-alive\r\n" : "") : "connection: close\r\n",
        absl::IsUnimplemented(file.status()) ? "allow: GET, HEAD\r\n" : "", "\r\n");
    // They leave together. A client that takes nothing for a minute loses its connection, see
    // ConnectionOptions::write_stall_timeout.
    co_await peer.write(response);
    if (!has_body) continue;
    if ((*file)->file.is_open()) {
      co_await peer.write((*file)->file, 0, (*file)->size);
    } else {
      co_await peer.write((*file)->body);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (flags.arguments.size() != 1) examples::usage_error("there must be one FOLDER");
  examples::StaticFiles files(flags.arguments[0]);  // before the runtime: it outlives the handlers
  epore::Runtime runtime(flags.options);
  const absl::StatusOr<epore::Listener> listener =
      runtime.listen(flags.address.empty() ? "127.0.0.1:8080" : flags.address,
                     [&files](epore::Connection peer) { return serve(peer, files); });
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener);
}
