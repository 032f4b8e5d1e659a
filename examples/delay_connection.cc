#include "examples/delay_connection.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "examples/delay_route.h"

namespace examples {
namespace {

using epore::Connection;

constexpr absl::Duration kIdleTimeout = absl::Seconds(5);
constexpr absl::Duration kRequestTimeout = absl::Seconds(5);
constexpr std::size_t kMaxInput = 16 * 1024;  // unparsed bytes above which reading pauses

// 2^64 ms do not fit into a Duration's 64 bits of seconds from now; 292 million years do.
absl::Duration to_duration(std::uint64_t milliseconds) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return absl::Milliseconds(static_cast<std::int64_t>(std::min(milliseconds, kMost)));
}

}  // namespace

void DelayConnection::serve(Connection& peer, const DelayService& service) {
  const std::shared_ptr<DelayConnection> self(new DelayConnection(service));
  peer.on_data([self](Connection& c, std::span<const std::byte> bytes) {
    self->on_data(c, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  });
  peer.on_read_closed([self](Connection& c) { self->on_read_closed(c); });
  peer.on_writable([self](Connection& c) { self->on_writable(c); });
  peer.on_drain([self](Connection& c) { self->on_drain(c); });
  // Not `self`, which owns the timer: the callbacks above outlive the connection's timers.
  self->timer_ = peer.timer([raw = self.get()](Connection& c) { raw->on_timer(c); });
  self->enter(Phase::idle, kIdleTimeout);
}

void DelayConnection::on_data(Connection& peer, std::string_view bytes) {
  const bool is_answering = phase_ >= Phase::delay;
  if (draining_ && is_answering) return;  // came after the announcement that there is no more
  input_.append(bytes);
  if (!is_answering) advance(peer);
  if (input().size() > kMaxInput && !is_paused_) {
    is_paused_ = true;
    peer.pause_reading();
  }
}

void DelayConnection::on_read_closed(Connection& peer) {
  reading_ended_ = true;
  if (phase_ < Phase::delay) close(peer);
}

void DelayConnection::on_writable(Connection& peer) {
  if (phase_ != Phase::blocked) return;
  enter(Phase::idle, kIdleTimeout);
  advance(peer);
}

void DelayConnection::on_drain(Connection& peer) {
  draining_ = true;
  if (phase_ == Phase::idle) close(peer);
}

void DelayConnection::on_timer(Connection& peer) {
  switch (phase_) {
    case Phase::idle:
      return close(peer);
    case Phase::head:
    case Phase::body:
      return refuse(peer, 408);
    case Phase::delay:
      answer(peer, 200, absl::StrCat(std::exchange(message_, {}), service_.fill));
      return advance(peer);
    case Phase::blocked:
    case Phase::closed:
      return;
  }
}

// Goes on with the input until a request has to wait for something.
void DelayConnection::advance(Connection& peer) {
  while (phase_ < Phase::delay && !input().empty()) {
    input_at_ += parser_.feed(input());
    switch (parser_.state()) {
      case HttpRequestParser::State::empty:
        break;
      case HttpRequestParser::State::head:
        if (phase_ != Phase::head) enter(Phase::head, kRequestTimeout);
        break;
      case HttpRequestParser::State::body:
        if (phase_ != Phase::body) enter(Phase::body, kRequestTimeout);
        break;
      case HttpRequestParser::State::complete:
        take_request(peer);
        break;
      case HttpRequestParser::State::bad:
        return refuse(peer, 400);
      case HttpRequestParser::State::too_large:
        return refuse(peer, 431);
    }
  }
  if (phase_ < Phase::delay && (reading_ended_ || (draining_ && phase_ == Phase::idle))) {
    return close(peer);
  }
  // Taken bytes are erased only when there are many, so that 1,000 small requests cost no 1,000
  // moves of what is behind them.
  if (input().empty() || input_at_ > kMaxInput) input_.erase(0, std::exchange(input_at_, 0));
  if (is_paused_ && input().size() <= kMaxInput) {
    is_paused_ = false;
    peer.resume_reading();
  }
}

void DelayConnection::take_request(Connection& peer) {
  DelayRoute route = route_delay(parser_.request().method, parser_.request().target);
  if (!route.delay) return answer(peer, 404, route.not_found_text);
  service_.log->arrived(route.delay->milliseconds, route.delay->message);
  message_ = std::move(route.delay->message);
  enter(Phase::delay, to_duration(route.delay->milliseconds));
}

void DelayConnection::answer(Connection& peer, int status, std::string_view text) {
  const ConnectionHeader header = connection_header();
  const bool keep = header == ConnectionHeader::keep_alive ||
                    (header == ConnectionHeader::none && !parser_.request().is_http_1_0);
  std::string response = http_response_head(status, text.size(), header, absl::Now());
  response += text;
  const bool is_high = peer.send(response) == epore::SendResult::high;
  parser_.next();
  if (!keep) {
    close(peer);
  } else if (is_high) {
    enter(Phase::blocked, absl::InfiniteDuration());
  } else {
    enter(Phase::idle, kIdleTimeout);
  }
}

// An answer to what is no request that could be answered, and the end of it.
void DelayConnection::refuse(Connection& peer, int status) {
  peer.send(http_response_head(status, 0, ConnectionHeader::close, absl::Now()));
  close(peer);
}

void DelayConnection::enter(Phase phase, absl::Duration time_limit) {
  phase_ = phase;
  timer_.arm(time_limit);
}

void DelayConnection::close(Connection& peer) {
  phase_ = Phase::closed;
  timer_.cancel();
  peer.close();
}

ConnectionHeader DelayConnection::connection_header() const {
  const HttpRequest& request = parser_.request();
  if (request.says_close || (draining_ && input().empty())) return ConnectionHeader::close;
  if (request.is_http_1_0 && request.says_keep_alive) return ConnectionHeader::keep_alive;
  return ConnectionHeader::none;
}

}  // namespace examples
