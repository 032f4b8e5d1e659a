#include "tests/support/descriptor_messages.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "absl/log/check.h"

namespace epore {
namespace {

struct alignas(cmsghdr) Control {
  std::array<std::byte, CMSG_SPACE(253 * sizeof(int))> bytes = {};
};

}  // namespace

void send_with_fds(int socket, std::string_view bytes, const std::vector<int>& fds) {
  iovec piece = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  Control control;
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  PCHECK(::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

DescriptorMessage receive_with_fds(int socket, std::size_t most_bytes) {
  DescriptorMessage received{std::string(most_bytes, '\0'), {}};
  iovec piece = {.iov_base = received.bytes.data(), .iov_len = most_bytes};
  Control control;
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  const ssize_t count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  PCHECK(count >= 0);
  CHECK_EQ(message.msg_flags & MSG_CTRUNC, 0);
  received.bytes.resize(static_cast<std::size_t>(count));
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    CHECK_EQ(c->cmsg_type, SCM_RIGHTS);
    std::vector<int> fds((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(fds.data(), CMSG_DATA(c), fds.size() * sizeof(int));
    for (const int fd : fds) received.fds.emplace_back(fd);
  }
  return received;
}

OwnedFd memory_file(std::string_view text) {
  OwnedFd file(::memfd_create("epore test", MFD_CLOEXEC));
  PCHECK(file.is_valid());
  PCHECK(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return file;
}

std::string text_of(const OwnedFd& file) {
  std::string text(1000, '\0');
  const ssize_t count = ::pread(file.get(), text.data(), text.size(), 0);
  PCHECK(count >= 0);
  text.resize(static_cast<std::size_t>(count));
  return text;
}

}  // namespace epore
