#include "epore/runtime/internal/stream/unix_peer.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <new>

#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/stream/received_descriptors.h"

namespace epore::internal {
namespace {

// The credentials are those of the time of connect(2) or listen(2), and never change.
absl::StatusOr<PeerCredentials> ask(Kernel& kernel, int fd) {
  ucred peer = {};
  unsigned size = sizeof peer;
  const SysResult asked = kernel.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  if (!asked.ok()) {
    return errno_status(asked.error(), absl::StrCat("getsockopt(fd ", fd, ", SO_PEERCRED)"));
  }
  return PeerCredentials{.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
}

}  // namespace

UnixPeer::UnixPeer(Kernel& kernel, int fd) : credentials_(ask(kernel, fd)) {}

SysResult UnixPeer::receive(Kernel& kernel, int fd, std::span<std::byte> into) {
  iovec piece = {.iov_base = into.data(), .iov_len = into.size()};
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  const SysResult result = kernel.recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  may_have_more_ = result.ok() && (message.msg_flags & MSG_CTRUNC) != 0;
  return result;
}

SysResult UnixPeer::receive_with_descriptors(Kernel& kernel, int fd, std::span<std::byte> into,
                                             std::size_t most, absl::Status& refused) {
  iovec piece = {.iov_base = into.data(), .iov_len = into.size()};
  ReceivedDescriptors received;
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  received.prepare(message);
  const SysResult result = kernel.recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  may_have_more_ = result.ok() && message.msg_controllen != 0;
  if (!result.ok()) return result;
  try {
    refused = received.take_over(kernel, message);
    if (refused.ok() && received.size() != 0) refused = descriptors_.push(received, most);
  } catch (const std::bad_alloc&) {
    refused = no_memory("recvmsg");
  }
  return result;
}

}  // namespace epore::internal
