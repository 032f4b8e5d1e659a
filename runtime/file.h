#ifndef EPORE_RUNTIME_FILE_H_
#define EPORE_RUNTIME_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {

class Kernel;

namespace internal {
class Stream;
}

// A File is a regular file that is open for reading. A connection sends parts of it without a copy:
// Connection::write(file, offset, length).
//
//   const auto open = [](const std::string& name) { return epore::File::open(name); };
//   const epore::File file = co_await epore::blocking(open, path);
//   co_await peer.write(file, 0, file.size().value_or(0));
//
// Threads: any. The methods that read block as long as the disk does: call them with
// epore::blocking().
//
// Ownership, lifetime: a File is a handle of one pointer. Copies name the same open file, and the
// last one closes it. A part of a file that a connection has still to send counts as a copy. The
// descriptor is close-on-exec, and its number is never 0, 1 or 2.
//
// Edges: the file may change while it is open. See open(2), pread(2).
class File {
 public:
  File() = default;  // names no file

  // Opens the file for reading. Errors name the path and the call: those of open(2) and fstat(2);
  // FailedPrecondition if it is not a regular file (a directory, a FIFO, a device); InvalidArgument
  // if the path has a zero byte.
  static absl::StatusOr<File> open(std::string_view path);
  static absl::StatusOr<File> open(std::string_view path, Kernel& kernel);  // outlives the File

  bool is_open() const { return state_.get() != nullptr; }

  // The size of the file now, in bytes. Errors: those of fstat(2); FailedPrecondition if this
  // handle names no file.
  absl::StatusOr<std::uint64_t> size() const;

  // Reads bytes at `offset` into `buffer`, as many as there are until it is full. Gives their
  // number, which is less than its size only at the end of the file. Errors: those of pread(2);
  // FailedPrecondition if this handle names no file.
  absl::StatusOr<std::size_t> read(std::uint64_t offset, std::span<std::byte> buffer) const;

  int fd() const { return is_open() ? state_->fd.get() : -1; }
  std::string_view path() const { return is_open() ? state_->path : std::string_view(); }

  // Whether both handles name the same open file, or none.
  friend bool operator==(const File& a, const File& b) { return a.state_.get() == b.state_.get(); }

 private:
  friend class internal::Stream;

  struct State : internal::RefCounted {
    State(OwnedFd&& opened, std::string name, Kernel& seam)
        : fd(std::move(opened)), path(std::move(name)), kernel(seam) {}

    const OwnedFd fd;
    const std::string path;
    Kernel& kernel;

    // Whether sendfile(2) has refused the file. A hint, relaxed: whoever does not see it is refused
    // once more.
    std::atomic<bool> is_copied{false};
  };

  explicit File(internal::Ref<State> state) : state_(std::move(state)) {}

  internal::Ref<State> state_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_FILE_H_
