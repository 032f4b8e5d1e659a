#ifndef EPORE_TESTS_EXAMPLES_CLIENT_H_
#define EPORE_TESTS_EXAMPLES_CLIENT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "epore/poll/owned_fd.h"

namespace examples {

// A client as plain as can be: a blocking socket. What takes longer than 20 s fails.
class Client {
 public:
  // Connects to "127.0.0.1:80", "[::1]:80" or "unix:/path"; CHECKs that it does.
  explicit Client(const std::string& address);

  // Sends all of it; false if the peer is gone.
  bool send(std::string_view bytes);

  // Sends `unit` again and again, until the peer takes nothing more for half a second or `most`
  // bytes are sent; returns how many were.
  std::size_t send_until_stuck(std::string_view unit, std::size_t most);

  void half_close();
  void reset();  // closes with RST

  // One HTTP response: head, empty line and as many bytes as content-length says.
  std::string read_response();
  std::string read_exactly(std::size_t size);
  std::string read_to_end();
  bool is_at_end() { return read_to_end().empty(); }

  // The peer reset the connection instead of ending it.
  bool was_reset() const { return was_reset_; }

  int fd() const { return fd_.get(); }

 private:
  bool read_some();

  epore::OwnedFd fd_;
  std::string unread_;
  bool was_reset_ = false;
};

// Whether a connection is refused.
bool is_refused(const std::string& address);

// The body of a response.
std::string body_of(const std::string& response);

}  // namespace examples

#endif  // EPORE_TESTS_EXAMPLES_CLIENT_H_
