#include "epore/runtime/internal/net/option_setter.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/caught_exception.h"

namespace epore::internal {

absl::Status set_option(Kernel& kernel, int fd, int level, int option, const void* value,
                        unsigned size, const char* name) {
  const SysResult set = kernel.setsockopt(fd, level, option, value, size);
  if (set.ok()) return absl::OkStatus();
  return errno_status(set.error(), absl::StrCat("setsockopt(fd ", fd, ", ", name, ")"));
}

absl::Status set_option(Kernel& kernel, int fd, int level, int option, int value,
                        const char* name) {
  return set_option(kernel, fd, level, option, &value, sizeof value, name);
}

void OptionSetter::set_traffic_class(bool is_ipv6, int value) {
  set(is_ipv6, IPPROTO_IPV6, IPV6_TCLASS, value, "IPV6_TCLASS");
  set(true, IPPROTO_IP, IP_TOS, value, "IP_TOS");
}

void OptionSetter::call(absl::Status (*on_socket)(int fd)) {
  if (on_socket == nullptr || !status_.ok()) return;
  try {
    status_ = on_socket(fd_);
  } catch (...) {
    status_ = caught_exception();
  }
}

}  // namespace epore::internal
