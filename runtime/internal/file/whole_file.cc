#include "epore/runtime/whole_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/blocking.h"
#include "epore/runtime/file.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/thread_context.h"

namespace epore {
namespace {

// The least room for a read: a file of /proc says that it is empty.
constexpr std::uint64_t kLeastRoom = 4096;

absl::Status failed(const char* call, std::string_view path, SysResult result) {
  return errno_status(result.error(), absl::StrCat(call, "(", absl::Utf8SafeCEscape(path), ")"));
}

absl::StatusOr<std::string> read_whole(const std::string& path, std::size_t limit) {
  const absl::StatusOr<File> file = File::open(path, internal::this_thread.core->kernel());
  if (!file.ok()) return file.status();
  const absl::StatusOr<std::uint64_t> size = file->size();
  if (!size.ok()) return size.status();
  std::string bytes;
  std::uint64_t room = std::max(*size, kLeastRoom);
  // One byte more than the limit tells whether there is more. One byte more than the size finds the
  // end.
  for (std::size_t done = 0;; room = 2 * bytes.size()) {
    bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(room, limit)) + 1);
    const absl::StatusOr<std::size_t> got =
        file->read(done, std::as_writable_bytes(std::span(bytes)).subspan(done));
    if (!got.ok()) return got.status();
    done += *got;
    if (done > limit) {
      return absl::ResourceExhaustedError(absl::StrCat("read_file(", absl::Utf8SafeCEscape(path),
                                                       "): it has more than ", limit, " bytes"));
    }
    if (done < bytes.size()) {
      bytes.resize(done);
      return bytes;
    }
  }
}

absl::Status write_whole(const std::string& path, const std::string& bytes) {
  Kernel& kernel = internal::this_thread.core->kernel();
  if (path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("open(", absl::Utf8SafeCEscape(path), "): the path has a zero byte"));
  }
  // A FIFO without a reader fails, and a terminal does not become that of the process.
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  SysResult opened = kernel.open(path.c_str(), kFlags, 0666);
  while (opened.error() == EINTR) opened = kernel.open(path.c_str(), kFlags, 0666);  // FUSE, NFS
  if (!opened.ok()) return failed("open", path, opened);
  OwnedFd fd(opened.fd(), kernel);
  for (std::size_t done = 0; done < bytes.size();) {
    const SysResult written = kernel.write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (written.error() == EINTR) continue;
    if (!written.ok()) return failed("write", path, written);
    done += static_cast<std::size_t>(written.value());
  }
  // Some file systems say only here that there was no room.
  const SysResult closed = kernel.close(fd.release());
  return closed.ok() || closed.error() == EINTR ? absl::OkStatus() : failed("close", path, closed);
}

}  // namespace

Task<std::string> read_file(std::string path, Lane lane, std::size_t limit) {
  co_return co_await blocking(lane, read_whole, std::move(path), limit);
}

Task<> write_file(std::string path, std::string bytes, Lane lane) {
  co_await blocking(lane, write_whole, std::move(path), std::move(bytes));
}

}  // namespace epore
