#ifndef EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_

#include <cstddef>
#include <span>

struct iovec;

namespace epore::internal {

// A WriteQueue holds the bytes of a connection that the system has not taken yet, in blocks. An
// empty queue has no memory. One thread at a time.
class WriteQueue {
 public:
  WriteQueue() = default;
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  ~WriteQueue() { clear(); }

  void append(std::span<const std::byte> bytes);

  // Fills `vectors` with the first bytes, for sendmsg(2). Returns the number of vectors filled.
  std::size_t gather(std::span<iovec> vectors) const;

  // Drops the first `count` bytes.
  void consume(std::size_t count);

  void clear() { consume(size()); }
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const;

 private:
  struct Block;  // a header with its bytes behind it

  Block* first_ = nullptr;  // has the size and the last block of the whole queue
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_
