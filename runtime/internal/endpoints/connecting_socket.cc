#include "epore/runtime/internal/endpoints/connecting_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/net/socket_options.h"

namespace epore::internal {
namespace {

std::string call_of(const SocketAddress& address) {
  return absl::StrCat("connect(", address.to_string(), ")");
}

}  // namespace

ConnectingSocket::ConnectingSocket(OwnedFd fd, const SocketAddress& address)
    : fd_(std::move(fd)), address_(address) {}

absl::StatusOr<ConnectingSocket> ConnectingSocket::start(Kernel& kernel,
                                                         const SocketAddress& address,
                                                         const ConnectOptions& options) {
  absl::StatusOr<OwnedFd> fd = open_stream_socket(kernel, address);
  if (!fd.ok()) return fd.status();
  absl::Status set =
      set_connection_options(kernel, fd->get(), address, options.connection, SocketUse::connects);
  if (set.ok() && !options.local.is_empty()) {
    set = bind_local(kernel, fd->get(), options.local, address);
  }
  if (!set.ok()) return set;
  const SysResult result = kernel.connect(fd->get(), address.data(), address.size());
  // After EINTR the attempt goes on in the background, as after EINPROGRESS (connect(2)).
  if (!result.ok() && result.error() != EINPROGRESS && result.error() != EINTR) {
    return errno_status(result.error(), call_of(address));
  }
  return ConnectingSocket(*std::move(fd), address);
}

// For a system that refuses getpeername(2). A second connect(2) succeeds once the socket is
// connected, or says EISCONN.
bool ConnectingSocket::is_on_its_way(Kernel& kernel) const {
  return kernel.connect(fd_.get(), address_.data(), address_.size()).error() == EALREADY;
}

bool ConnectingSocket::is_connected(Kernel& kernel, absl::Status& error) {
  int code = 0;
  unsigned size = sizeof code;
  const SysResult result = kernel.getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &code, &size);
  if (!result.ok()) code = result.error();
  if (code != 0) {
    error = errno_status(code, call_of(address_));
    return false;
  }
  // The event may have been spurious, so "no error" is no success yet.
  sockaddr_storage storage;
  size = sizeof storage;
  auto* name = reinterpret_cast<sockaddr*>(&storage);
  const SysResult named = kernel.getpeername(fd_.get(), name, &size);
  if (named.error() == ENOTCONN || (!named.ok() && is_on_its_way(kernel))) return false;
  peer_ = named.ok() ? SocketAddress::from_sockaddr(name, size) : address_;
  local_ = local_address_of(kernel, fd_.get());
  if (local_ != peer_) return true;
  // Nobody listens on the port, and the system has chosen the same port for this end. TCP then
  // connects the socket to itself (RFC 9293, 3.5, "simultaneous open").
  error = errno_status(ECONNREFUSED, absl::StrCat(call_of(address_), ": connected to itself"));
  return false;
}

}  // namespace epore::internal
