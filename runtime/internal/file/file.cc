#include "epore/runtime/file.h"

#include <fcntl.h>
#include <sys/stat.h>

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

namespace epore {
namespace {

std::string call(std::string_view name, std::string_view path) {
  return absl::StrCat(name, "(", absl::Utf8SafeCEscape(path), ")");
}

absl::Status no_file(std::string_view method) {
  return absl::FailedPreconditionError(
      absl::StrCat("File::", method, ": this handle names no file"));
}

}  // namespace

absl::StatusOr<File> File::open(std::string_view path) { return open(path, Kernel::real()); }

absl::StatusOr<File> File::open(std::string_view path, Kernel& kernel) {
  if (path.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(call("open", path), ": the path has a zero byte"));
  }
  std::string name(path);
  // A FIFO must not block here, nor a terminal become that of the process.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  SysResult opened = kernel.open(name.c_str(), kFlags, 0);
  while (opened.error() == EINTR) opened = kernel.open(name.c_str(), kFlags, 0);  // FUSE, NFS
  if (!opened.ok()) return errno_status(opened.error(), call("open", path));
  OwnedFd fd(opened.fd(), kernel);
  struct stat status = {};
  const SysResult found = kernel.fstat(fd.get(), &status);
  if (!found.ok()) return errno_status(found.error(), call("fstat", path));
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(call("open", path), ": this is not a regular file"));
  }
  return File(internal::Ref<State>::adopt(new State(std::move(fd), std::move(name), kernel)));
}

absl::StatusOr<std::uint64_t> File::size() const {
  if (!is_open()) return no_file("size");
  struct stat status = {};
  const SysResult found = state_->kernel.fstat(fd(), &status);
  if (!found.ok()) return errno_status(found.error(), call("fstat", path()));
  return static_cast<std::uint64_t>(status.st_size);
}

absl::StatusOr<std::size_t> File::read(std::uint64_t offset, std::span<std::byte> buffer) const {
  if (!is_open()) return no_file("read");
  std::size_t done = 0;
  while (done < buffer.size()) {
    const SysResult got = state_->kernel.pread(fd(), buffer.data() + done, buffer.size() - done,
                                               static_cast<std::int64_t>(offset + done));
    if (got.error() == EINTR) continue;
    if (!got.ok()) return errno_status(got.error(), call("pread", path()));
    if (got.value() == 0) break;
    done += static_cast<std::size_t>(got.value());
  }
  return done;
}

}  // namespace epore
