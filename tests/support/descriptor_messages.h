#ifndef EPORE_TESTS_SUPPORT_DESCRIPTOR_MESSAGES_H_
#define EPORE_TESTS_SUPPORT_DESCRIPTOR_MESSAGES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "epore/poll/owned_fd.h"

namespace epore {

// What one recvmsg(2) gives.
struct DescriptorMessage {
  std::string bytes;
  std::vector<OwnedFd> fds;
};

// Messages with descriptors over a blocking Unix socket of the test's own, past every Kernel.
void send_with_fds(int socket, std::string_view bytes, const std::vector<int>& fds);
DescriptorMessage receive_with_fds(int socket, std::size_t most_bytes);

// A file in memory, and what is in one.
OwnedFd memory_file(std::string_view text);
std::string text_of(const OwnedFd& file);

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_DESCRIPTOR_MESSAGES_H_
