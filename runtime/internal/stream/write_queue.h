#ifndef EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_

#include <cstddef>
#include <span>

struct iovec;

namespace epore::internal {

// Bytes that the system has not taken yet, in blocks; no memory while it is empty. One thread at a
// time.
class WriteQueue {
 public:
  WriteQueue() = default;
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  ~WriteQueue() { clear(); }

  void append(std::span<const std::byte> bytes);

  // Fills `vectors` with the first bytes, for sendmsg(2); returns how many it filled.
  std::size_t gather(std::span<iovec> vectors) const;

  // Drops the first `count` bytes.
  void consume(std::size_t count);

  void clear() { consume(size()); }
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const;

 private:
  struct Block;  // a header, then its bytes

  Block* first_ = nullptr;  // knows what there is of all
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_
