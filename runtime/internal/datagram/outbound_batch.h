#ifndef EPORE_RUNTIME_INTERNAL_DATAGRAM_OUTBOUND_BATCH_H_
#define EPORE_RUNTIME_INTERNAL_DATAGRAM_OUTBOUND_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/address.h"
#include "epore/runtime/byte_view.h"

namespace epore::internal {

// Datagrams that wait to be sent, in order.
class OutboundBatch {
 public:
  // Each counts so many bytes beside its own.
  static constexpr std::size_t kOverhead = 256;

  // Copies. `to` is empty on a connected socket, `from` for the system's choice. A `segment` that
  // is not 0 is for UDP_SEGMENT. With `joins`, the datagram becomes a segment of the piece before
  // it where that has the same addresses and size. The peer sees no difference, and the system goes
  // through its network once for all of them. Throws std::bad_alloc, and then nothing has changed.
  void push(ByteView bytes, const SocketAddress& to, const SocketAddress& from, std::size_t segment,
            bool joins);

  bool empty() const { return next_ == items_.size(); }

  // Of all that were pushed since clear().
  std::size_t cost() const { return bytes_.size() + pushed_ * kOverhead; }

  // Sends the first pieces: returns their number, or the errno of the first.
  SysResult send(Kernel& kernel, int fd, bool& has_sendmmsg) const;

  // The first `count` pieces are done with. Returns how many datagrams they were.
  std::size_t drop(std::size_t count);

  // Whether the first piece is to be taken apart by the system.
  bool is_segmented() const { return items_[next_].segment != 0; }

  // Where the first piece goes; empty on a connected socket.
  const SocketAddress& destination() const { return items_[next_].to; }

  // Takes the first piece apart. Throws std::bad_alloc, and then nothing has changed.
  void split();

  void clear();

 private:
  struct Item {
    std::size_t offset;
    std::size_t size;
    std::size_t segment;  // 0: it is one datagram
    SocketAddress to;
    SocketAddress from;

    std::size_t datagrams() const { return segment == 0 ? 1 : (size + segment - 1) / segment; }
  };

  // Makes the bytes, which have been copied, a segment of the last item if they can be one.
  bool join(std::size_t size, const SocketAddress& to, const SocketAddress& from);

  std::vector<std::byte> bytes_;
  std::vector<Item> items_;
  std::size_t next_ = 0;
  std::size_t pushed_ = 0;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DATAGRAM_OUTBOUND_BATCH_H_
