#ifndef EPORE_RUNTIME_INTERNAL_STREAM_RECEIVED_DESCRIPTORS_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_RECEIVED_DESCRIPTORS_H_

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"

namespace epore::internal {

// The most descriptors of one message: SCM_MAX_FD of Linux, which no header has. See unix(7).
inline constexpr std::size_t kMostDescriptors = 253;

// The control data of one recvmsg(2), and the descriptors that have come in it. It closes those
// that nobody moves out. It allocates nothing until then.
class ReceivedDescriptors {
 public:
  ReceivedDescriptors() = default;
  ReceivedDescriptors(const ReceivedDescriptors&) = delete;
  ReceivedDescriptors& operator=(const ReceivedDescriptors&) = delete;
  ~ReceivedDescriptors();

  // Before the call: gives the message room for them.
  void prepare(msghdr& message);

  // After a call that has worked: takes them over, whatever else is wrong. Moves those whose number
  // is 0, 1 or 2. Errors: ResourceExhausted if the system has cut some off, which it has closed;
  // that of fcntl(2). Then all of them are to be closed.
  absl::Status take_over(Kernel& kernel, msghdr& message);

  std::size_t size() const { return count_; }

  // Moves them behind what is in `to`. Throws std::bad_alloc, and then nothing has changed.
  void move_to(std::vector<OwnedFd>& to);

 private:
  // What comes beside them if the socket has SO_PASSCRED, SO_PASSPIDFD or SO_PASSSEC. Without room
  // for it the system would cut off descriptors.
  static constexpr std::size_t kMostLabel = 256;
  static constexpr std::size_t kBeside =
      CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(kMostLabel);

  struct alignas(cmsghdr) Control {
    std::array<std::byte, CMSG_SPACE(kMostDescriptors * sizeof(int)) + kBeside> bytes;
  };

  Control control_;
  std::array<int, sizeof(Control) / sizeof(int)> fds_;  // no more have room in the control data
  std::size_t count_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_RECEIVED_DESCRIPTORS_H_
