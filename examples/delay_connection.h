#ifndef EPORE_EXAMPLES_DELAY_CONNECTION_H_
#define EPORE_EXAMPLES_DELAY_CONNECTION_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/timer.h"
#include "examples/delay_log.h"
#include "examples/http_request_parser.h"
#include "examples/http_response.h"

namespace examples {

// What all connections of a delay server share. Must outlive them.
struct DelayService {
  DelayLog* log;
  std::string fill;  // goes behind every message
};

// One client of the delay server. Lives in the callbacks of its connection.
//
// Requests are answered one at a time; the bytes of the next ones wait in `input_`, and reading
// pauses when there are too many. At any moment one thing can happen next besides more bytes, so
// one timer serves for all: the delay is over, the client was idle for too long, its request does
// not come to an end.
class DelayConnection {
 public:
  // Makes `peer` a client of `service`.
  static void serve(epore::Connection& peer, const DelayService& service);

 private:
  enum class Phase {  // in the order of a request's life: before `delay` input is parsed
    idle,             // between requests
    head,             // a request's head has begun; answered with 408 if it takes too long
    body,             // the same for what comes after the head
    delay,            // a request waits for its time
    blocked,          // the client does not read its answers; on_writable goes on
    closed,           // the last answer is out
  };

  explicit DelayConnection(const DelayService& service) : service_(service) {}

  void on_data(epore::Connection& peer, std::string_view bytes);
  void on_read_closed(epore::Connection& peer);
  void on_writable(epore::Connection& peer);
  void on_drain(epore::Connection& peer);
  void on_timer(epore::Connection& peer);

  void advance(epore::Connection& peer);
  void take_request(epore::Connection& peer);
  void answer(epore::Connection& peer, int status, std::string_view text);
  void refuse(epore::Connection& peer, int status);
  void enter(Phase phase, absl::Duration time_limit);
  void close(epore::Connection& peer);
  ConnectionHeader connection_header() const;
  std::string_view input() const { return std::string_view(input_).substr(input_at_); }

  const DelayService& service_;
  epore::Timer timer_;
  HttpRequestParser parser_;
  std::string input_;  // from input_at_ on not parsed yet
  std::size_t input_at_ = 0;
  std::string message_;  // of the request that waits for its time
  Phase phase_ = Phase::idle;
  bool reading_ended_ = false;  // the client sends no more
  bool draining_ = false;       // the server shuts down
  bool is_paused_ = false;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_DELAY_CONNECTION_H_
