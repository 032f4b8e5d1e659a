#ifndef EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_
#define EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <span>

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

// A WriteQueue holds what a connection sends and the system has not taken yet, in sequence: bytes,
// in blocks or shared, and parts of files. An empty queue has no memory. One thread at a time.
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

  // Moves everything that is in `other` behind what is in this queue.
  void append_all(WriteQueue& other);

  // The part of a file at the front, or null: there are bytes, or nothing.
  const FilePart* front_file() const;

  // Fills `vectors` with the first bytes, for sendmsg(2), up to the first part of a file. Returns
  // the number of vectors filled.
  std::size_t gather(std::span<iovec> vectors) const;

  // Drops the first `count` bytes: of the blocks before the first part of a file, or of the part
  // that is at the front.
  void consume(std::size_t count);

  void clear();
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const;
  bool has_files() const;

 private:
  struct Block;        // a header with its bytes behind it
  struct SharedBlock;  // a header with shared bytes
  struct FileBlock;    // a header with a part of a file

  static void destroy(Block* block);
  void link(Block* block, std::size_t size);
  void drop_first();

  Block* first_ = nullptr;  // has the sizes and the last block of the whole queue
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_STREAM_WRITE_QUEUE_H_
