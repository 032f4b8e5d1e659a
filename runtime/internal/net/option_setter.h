#ifndef EPORE_RUNTIME_INTERNAL_NET_OPTION_SETTER_H_
#define EPORE_RUNTIME_INTERNAL_NET_OPTION_SETTER_H_

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "epore/poll/kernel/kernel.h"

namespace epore::internal {

// Sets an option with setsockopt(2). `name` is the option's name in the error.
absl::Status set_option(Kernel& kernel, int fd, int level, int option, const void* value,
                        unsigned size, const char* name);
absl::Status set_option(Kernel& kernel, int fd, int level, int option, int value, const char* name);

// An OptionSetter sets one option of a socket after the other, until the first error.
class OptionSetter {
 public:
  OptionSetter(Kernel& kernel, int fd) : kernel_(kernel), fd_(fd) {}
  OptionSetter(const OptionSetter&) = delete;
  OptionSetter& operator=(const OptionSetter&) = delete;

  // Sets an int option, if it is wanted.
  void set(bool is_wanted, int level, int option, std::int64_t value, const char* name) {
    if (!is_wanted || !status_.ok()) return;
    status_ = set_option(kernel_, fd_, level, option, static_cast<int>(value), name);
  }

  // Sets an option that is no int, if it is wanted.
  template <typename T>
  void set_struct(bool is_wanted, int level, int option, const T& value, const char* name) {
    if (!is_wanted || !status_.ok()) return;
    status_ = set_option(kernel_, fd_, level, option, &value, sizeof value, name);
  }

  // The class of what is sent. That of IPv4 peers of an IPv6 socket is set by IP_TOS only.
  void set_traffic_class(bool is_ipv6, int value);

  // Calls ConnectionOptions::on_socket, or that of UdpOptions, if it is not null. An exception is
  // an error.
  void call(absl::Status (*on_socket)(int fd));

  // The first error. To be called once.
  absl::Status take() { return std::move(status_); }

 private:
  Kernel& kernel_;
  const int fd_;
  absl::Status status_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_OPTION_SETTER_H_
