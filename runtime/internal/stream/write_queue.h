#ifndef EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "epore/poll/owned_fd.h"
#include "epore/runtime/bytes.h"
#include "epore/runtime/file.h"
#include "epore/runtime/internal/base/pipe.h"
#include "epore/runtime/internal/base/ref.h"

struct iovec;

namespace epore::internal {

// A part of a file that a connection sends, or what is in a pipe.
struct FilePart {
  File file = {};
  Ref<Pipe> pipe = {};  // if it is not null
  std::uint64_t offset = 0;
  std::uint64_t left = 0;

  void drop(std::size_t count) {
    offset += count;
    left -= count;
  }
};

// Bytes with descriptors (SCM_RIGHTS), which go with the first of them.
struct DescriptorPart {
  // What a descriptor counts as beside the bytes. They are scarce: 256 of them are a high mark.
  static constexpr std::size_t kDescriptorSize = 1024;

  static constexpr std::size_t size_of(std::size_t bytes, std::size_t descriptors) {
    return bytes + descriptors * kDescriptorSize;
  }
  std::size_t size() const { return size_of(bytes.size(), descriptors.size()); }

  std::string bytes;  // not empty
  std::vector<OwnedFd> descriptors;
};

// A WriteQueue holds what a connection sends and the system has not taken yet, in sequence: bytes,
// in blocks or shared, with descriptors or without, and parts of files. An empty queue has no
// memory. One thread at a time.
class WriteQueue {
 public:
  // What a part of a file counts as in size(): about the memory that it takes.
  static constexpr std::size_t kFilePartSize = 128;

  WriteQueue() = default;
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  ~WriteQueue() { clear(); }

  void append(std::span<const std::byte> bytes);
  void append(Bytes bytes);    // not empty; without a copy
  void append(FilePart part);  // one that is not empty
  void append(DescriptorPart part);

  // Moves everything that is in `other` behind what is in this queue.
  void append_all(WriteQueue& other);

  // The part of a file at the front, or null: there are bytes, or nothing.
  const FilePart* front_file() const;

  // The descriptors that go with the first byte, or none. gather() then gives no bytes of others.
  std::span<const OwnedFd> front_descriptors() const;

  // Fills `vectors` with the first bytes, for sendmsg(2), up to the first part of a file, or to
  // bytes that descriptors go with. Returns the number of vectors filled.
  std::size_t gather(std::span<iovec> vectors) const;

  // Drops the first `count` bytes: of the blocks before the first part of a file, or of the part
  // that is at the front. Closes the descriptors that went with the first of them.
  void consume(std::size_t count);

  void clear();
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const;
  std::size_t copied_size() const;  // without shared bytes
  bool has_files() const;

 private:
  struct Block;            // a header with its bytes behind it
  struct SharedBlock;      // a header with shared bytes
  struct FileBlock;        // a header with a part of a file
  struct DescriptorBlock;  // a header with bytes and their descriptors

  static void destroy(Block* block);
  void link(Block* block, std::size_t size);
  void uncount(std::size_t count);
  void close_descriptors();
  void drop_first();

  Block* first_ = nullptr;  // has the sizes and the last block of the whole queue
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_
