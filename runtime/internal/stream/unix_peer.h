#ifndef EPORE_RUNTIME_INTERNAL_STREAM_UNIX_PEER_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_UNIX_PEER_H_

#include <cstddef>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/stream/waiting_descriptors.h"
#include "epore/runtime/peer_credentials.h"

namespace epore::internal {

// A UnixPeer is what a Stream has besides if its socket is a Unix one. The order of the connection
// only, but for credentials() and descriptors().
class UnixPeer {
 public:
  UnixPeer(Kernel& kernel, int fd);

  // Any thread.
  const absl::StatusOr<PeerCredentials>& credentials() const { return credentials_; }

  // The descriptors that have come. Any thread.
  WaitingDescriptors& descriptors() { return descriptors_; }

  // Receives bytes, without descriptors: the system closes those that come with them.
  SysResult receive(Kernel& kernel, int fd, std::span<std::byte> into);

  // Receives bytes and the descriptors that come with them; at most `most` may wait then. An error
  // of theirs is stored in `refused`. Then the bytes are lost, and none of the descriptors is left
  // open. Throws nothing.
  SysResult receive_with_descriptors(Kernel& kernel, int fd, std::span<std::byte> into,
                                     std::size_t most, absl::Status& refused);

  // Whether bytes may be left behind those of the last receive, although it did not fill its
  // buffer. The system ends a receive at bytes that descriptors came with, and with SO_PASSCRED
  // where those of another process begin. No event tells of the bytes behind them.
  bool may_have_more() const { return may_have_more_; }

 private:
  const absl::StatusOr<PeerCredentials> credentials_;
  WaitingDescriptors descriptors_;
  bool may_have_more_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_UNIX_PEER_H_
