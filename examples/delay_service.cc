#include "examples/delay_service.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/join.h"
#include "epore/runtime/sleep.h"
#include "epore/runtime/within.h"
#include "examples/delay_route.h"
#include "examples/http_request_parser.h"
#include "examples/http_response.h"

namespace examples {
namespace {

using epore::ByteView;
using epore::Connection;
using epore::Task;
using epore::within;
using State = HttpRequestParser::State;

constexpr absl::Duration kIdleTimeout = absl::Seconds(5);
constexpr absl::Duration kRequestTimeout = absl::Seconds(5);
constexpr std::size_t kMaxInput = 16 * 1024;  // bytes that are read ahead

// 2^64 ms do not fit into a Duration's 64 bits of seconds from now; 292 million years do.
absl::Duration to_duration(std::uint64_t milliseconds) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return absl::Milliseconds(static_cast<std::int64_t>(std::min(milliseconds, kMost)));
}

// Gives the parser what the client sends, for as long as it is in `state`. Ends with Cancelled when
// the client sends no more.
Task<> feed(Connection& peer, HttpRequestParser& parser, State state) {
  while (parser.state() == state) {
    const ByteView bytes = co_await peer.peek();
    if (bytes.empty()) co_await absl::CancelledError("the client sends no more");
    peer.consume(parser.feed(bytes));
  }
}

bool is_served(const HttpRequest& request) {
  return route_delay(request.method, request.target).delay.has_value();
}

// Reads the rest of a request that has begun. Gives 200, or the status to refuse it with.
Task<int> read_rest(Connection& peer, HttpRequestParser& parser) {
  absl::Status fed = co_await within(kRequestTimeout, feed(peer, parser, State::head)).result();
  if (fed.ok() && parser.waits_for_continue()) {
    if (!is_served(parser.request())) co_return 404;  // the body need not come
    co_await peer.write(kHttpContinue);
    parser.allow_body();
  }
  if (fed.ok()) fed = co_await within(kRequestTimeout, feed(peer, parser, State::body)).result();
  if (absl::IsDeadlineExceeded(fed)) co_return 408;
  co_await fed;
  if (parser.state() == State::bad) co_return 400;
  if (parser.state() == State::too_large) co_return 431;
  if (parser.state() == State::unmet) co_return 417;
  co_return 200;
}

// Waits for ever, or with an error until the client is gone. Reads ahead, as that shows it.
Task<> stay_with(Connection& peer) {
  co_await peer.peek(kMaxInput);
  co_await epore::sleep_for(absl::InfiniteDuration());
}

// Whether bytes of the client are there already.
Task<bool> has_more(Connection& peer) {
  const auto first = co_await epore::any(peer.peek(), epore::yield());
  co_return first.index() == 0 && !std::get<0>(first).empty();
}

ConnectionHeader connection_header(const HttpRequest& request, bool is_last) {
  if (request.says_close || is_last) return ConnectionHeader::close;
  if (request.is_http_1_0 && request.says_keep_alive) return ConnectionHeader::keep_alive;
  return ConnectionHeader::none;
}

}  // namespace

Task<> serve_delays(Connection peer, const DelayService& service) {
  HttpRequestParser parser;
  bool is_draining = false;
  peer.on_drain([&](Connection& c) {  // without it, reads would end where nothing has arrived
    is_draining = true;
    if (parser.state() == State::empty) c.close();  // between requests
  });

  for (bool keep = true; keep; parser.next()) {
    if (is_draining && !co_await has_more(peer)) co_return;
    const absl::Status begun =
        co_await within(kIdleTimeout, feed(peer, parser, State::empty)).result();
    if (!begun.ok()) co_return;  // idle, gone, or draining

    const int read = co_await read_rest(peer, parser);
    if (read != 200) {
      co_await peer.write(http_response_head(read, 0, ConnectionHeader::close, absl::Now()));
      co_return;
    }
    const HttpRequest& request = parser.request();
    DelayRoute route = route_delay(request.method, request.target);
    std::string text = std::move(route.not_found_text);
    if (route.delay) {
      service.log->arrived(route.delay->milliseconds, route.delay->message);
      const absl::Duration delay = to_duration(route.delay->milliseconds);
      const absl::Status waited = co_await within(delay, stay_with(peer)).result();
      if (!absl::IsDeadlineExceeded(waited)) co_await waited;
      text = absl::StrCat(route.delay->message, service.fill);
    }

    const bool is_last = is_draining && !co_await has_more(peer);
    const ConnectionHeader header = connection_header(request, is_last);
    keep = header == ConnectionHeader::keep_alive ||
           (header == ConnectionHeader::none && !request.is_http_1_0);
    const int status = route.delay ? 200 : 404;
    std::string response = http_response_head(status, text.size(), header, absl::Now());
    response += text;
    co_await peer.write(response);
  }
}

}  // namespace examples
