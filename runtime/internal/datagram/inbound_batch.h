#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_INBOUND_BATCH_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_INBOUND_BATCH_H_

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/udp.h"

namespace epore::internal {

// The memory of one recvmmsg(2), and the datagrams in it.
class InboundBatch {
 public:
  // `has_control`: room for what the system says of each datagram. A Unix socket must have none:
  // the system then closes the descriptors that a peer sends along (SCM_RIGHTS), instead of opening
  // them in this process. Throws std::bad_alloc.
  InboundBatch(std::size_t count, std::size_t size, bool has_control);
  InboundBatch(const InboundBatch&) = delete;
  InboundBatch& operator=(const InboundBatch&) = delete;

  // Receives as many as are there, at most a batch: returns their number, or an errno. Throws
  // std::bad_alloc.
  SysResult receive(Kernel& kernel, int fd);

  std::size_t capacity() const { return messages_.size(); }

  // What the last receive() got. There are more than messages where the system had put several
  // datagrams together.
  std::span<const Datagram> datagrams() const { return datagrams_; }
  std::uint64_t truncated() const { return truncated_; }

  // How many the system has dropped since the socket was opened, as far as it has told.
  std::uint32_t dropped() const { return dropped_; }

 private:
  struct alignas(cmsghdr) Control {
    std::array<std::byte, 128> bytes;
  };

  void prepare(std::size_t index);  // the message, which the system has changed
  SysResult receive_each(Kernel& kernel, int fd);
  void take_apart(std::size_t index);

  const std::size_t size_;  // of each buffer
  bool has_recvmmsg_ = true;
  std::unique_ptr<std::byte[]> bytes_;
  std::vector<iovec> pieces_;
  std::vector<sockaddr_storage> peers_;
  std::vector<Control> controls_;  // empty without control data
  std::vector<mmsghdr> messages_;
  std::vector<Datagram> datagrams_;
  std::size_t filled_ = 0;  // messages
  std::uint64_t truncated_ = 0;
  std::uint32_t dropped_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_INBOUND_BATCH_H_
