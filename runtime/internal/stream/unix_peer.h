#ifndef EPORE_RUNTIME_INTERNAL_STREAM_UNIX_PEER_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_UNIX_PEER_H_

#include <cstddef>
#include <span>

#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/peer_credentials.h"

namespace epore::internal {

// A UnixPeer is what a Stream has besides if its socket is a Unix one. The runner only, but for
// credentials().
class UnixPeer {
 public:
  UnixPeer(Kernel& kernel, int fd);

  // Any thread.
  const absl::StatusOr<PeerCredentials>& credentials() const { return credentials_; }

  // Receives bytes. The system closes the descriptors that come with them.
  SysResult receive(Kernel& kernel, int fd, std::span<std::byte> into);

  // Whether bytes may be left behind those of the last receive(), although it did not fill its
  // buffer. The system ends a receive at bytes that descriptors came with, and no event tells of
  // the bytes behind them.
  bool may_have_more() const { return may_have_more_; }

 private:
  const absl::StatusOr<PeerCredentials> credentials_;
  bool may_have_more_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_UNIX_PEER_H_
