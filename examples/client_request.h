#ifndef EPORE_EXAMPLES_CLIENT_REQUEST_H_
#define EPORE_EXAMPLES_CLIENT_REQUEST_H_

#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/event.h"
#include "epore/poll/owned_fd.h"
#include "epore/poll/registry.h"
#include "examples/http_response_parser.h"

namespace examples {

struct Address {
  sockaddr_storage storage = {};
  socklen_t size = 0;
};

// The addresses of a host, by getaddrinfo(3), which blocks. It puts those last that this machine
// cannot reach. A localhost that the system does not know is the loopback addresses.
absl::StatusOr<std::vector<Address>> resolve(const std::string& host, const std::string& port);

// One HTTP request over a connection of its own, on the poll layer alone: connects without
// blocking, trying one address after the other, sends, receives until the answer is complete.
//
// Events are hints: each makes it try the next system call, whose result alone decides. So spurious
// events, events after the end, and those of a socket that is closed already do no harm.
class ClientRequest {
 public:
  // A longer answer is a failure: it would take memory, and other requests their turn, without end.
  static constexpr std::size_t kLongestAnswer = 64 << 20;

  // `addresses` must outlive this.
  ClientRequest(epore::Token token, std::string request, const std::vector<Address>& addresses)
      : token_(token), request_(std::move(request)), addresses_(addresses) {}

  void start(epore::Registry& registry);
  void on_event(epore::Registry& registry);

  // Whether it has come to its end, well or not; then status() says which.
  bool is_done() const { return is_done_; }
  const absl::Status& status() const { return status_; }
  const HttpResponseParser& response() const { return response_; }

  // What has come since the last call, as it came.
  std::string take_received() { return std::exchange(received_, {}); }

 private:
  void connect_next(epore::Registry& registry);
  absl::Status connect_to(epore::Registry& registry, const Address& address);
  void send_some(epore::Registry& registry);
  void receive_some(epore::Registry& registry);
  void finish(epore::Registry& registry, absl::Status status);
  void hang_up(epore::Registry& registry);

  const epore::Token token_;
  const std::string request_;
  const std::vector<Address>& addresses_;
  std::size_t next_address_ = 0;
  epore::OwnedFd fd_;
  std::size_t sent_ = 0;
  std::string received_;
  std::size_t answered_ = 0;  // bytes of the answer
  HttpResponseParser response_;
  bool is_done_ = false;
  absl::Status failure_;  // why the first address did not do, which says the most
  absl::Status status_;
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_CLIENT_REQUEST_H_
