#include "epore/runtime/internal/stream/received_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::internal {
namespace {

// SCM_PIDFD of Linux 6.5, which older headers do not have. It comes with SO_PASSPIDFD.
constexpr int kPidfd = 0x04;

}  // namespace

ReceivedDescriptors::~ReceivedDescriptors() {
  for (const int fd : std::span(fds_).first(count_)) OwnedFd(fd).reset();
}

void ReceivedDescriptors::prepare(msghdr& message) {
  message.msg_control = control_.bytes.data();
  message.msg_controllen = control_.bytes.size();
}

absl::Status ReceivedDescriptors::take_over(Kernel& kernel, msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (c->cmsg_type == SCM_RIGHTS) {
      std::memcpy(fds_.data() + count_, CMSG_DATA(c), count * sizeof(int));
      count_ += count;
    } else if (c->cmsg_type == kPidfd && count == 1) {
      int pidfd = -1;  // or an errno below zero: there is none
      std::memcpy(&pidfd, CMSG_DATA(c), sizeof pidfd);
      if (pidfd >= 0) OwnedFd(pidfd).reset();  // nobody asks for it
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "recvmsg: of the descriptors that the peer has sent the system has given ", count_,
        ", and closed the others (MSG_CTRUNC), as at the limit of open ones (RLIMIT_NOFILE)"));
  }
  for (int& fd : std::span(fds_).first(count_)) {
    if (fd > STDERR_FILENO) continue;
    const SysResult moved = kernel.fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (!moved.ok()) {
      return errno_status(moved.error(), absl::StrCat("fcntl(fd ", fd, ", F_DUPFD_CLOEXEC)"));
    }
    OwnedFd(std::exchange(fd, moved.fd())).reset();
  }
  return absl::OkStatus();
}

void ReceivedDescriptors::move_to(std::vector<OwnedFd>& to) {
  const std::size_t size = to.size() + count_;
  if (size > to.capacity()) to.reserve(std::max(size, 2 * to.capacity()));
  for (const int fd : std::span(fds_).first(count_)) to.emplace_back(fd);
  count_ = 0;
}

}  // namespace epore::internal
