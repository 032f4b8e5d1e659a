#include "epore/runtime/internal/net/socket_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"

namespace epore::internal {
namespace {

constexpr int kLockTries = 100;
constexpr std::int64_t kBetweenTries = 1'000'000;

std::string directory_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

// A DirectoryLock holds the lock of a directory until its end. close(2) unlocks.
class DirectoryLock {
 public:
  // error() tells whether it has the lock.
  DirectoryLock(Kernel& kernel, const std::string& directory) {
    const SysResult opened =
        kernel.open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);
    error_ = opened.error();
    if (!opened.ok()) return;
    fd_ = OwnedFd(opened.fd(), kernel);
    std::atomic<std::uint32_t> word{0};
    for (int left = kLockTries;; --left) {
      error_ = kernel.flock(fd_.get(), LOCK_EX | LOCK_NB).error();
      if ((error_ != EWOULDBLOCK && error_ != EINTR) || left == 0) return;
      // Another process is between its bind(2) and its listen(2).
      (void)kernel.park(word, 0, kBetweenTries);
    }
  }

  int error() const { return error_; }

 private:
  OwnedFd fd_;
  int error_ = 0;
};

absl::Status in_use(const SocketAddress& address, std::string_view why) {
  return errno_status(EADDRINUSE, absl::StrCat("bind(", address.to_string(), "), where ", why));
}

// Removes a file at which nobody listens.
absl::Status remove_stale(Kernel& kernel, const SocketAddress& address, int type) {
  const std::string path(address.unix_path());
  struct stat status = {};
  const SysResult looked = kernel.lstat(path.c_str(), &status);
  if (looked.error() == ENOENT) return absl::OkStatus();
  if (!looked.ok()) return errno_status(looked.error(), absl::StrCat("lstat(", path, ")"));
  if (!S_ISSOCK(status.st_mode)) return in_use(address, "a file is that is no socket");
  const SysResult opened = kernel.socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (!opened.ok()) return errno_status(opened.error(), "socket(AF_UNIX)");
  const OwnedFd probe(opened.fd(), kernel);
  const int error = kernel.connect(probe.get(), address.data(), address.size()).error();
  if (error == ENOENT) return absl::OkStatus();
  if (error == 0 || error == EAGAIN) return in_use(address, "somebody listens");
  if (error != ECONNREFUSED) {
    return in_use(address, absl::StrCat("somebody may listen: connect says ", errno_text(error)));
  }
  const SysResult removed = kernel.unlink(path.c_str());
  if (removed.ok() || removed.error() == ENOENT) return absl::OkStatus();
  return errno_status(removed.error(),
                      absl::StrCat("unlink(", path, "), a socket at which nobody listens"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SocketFile>> SocketFile::bind_and_listen(
    Kernel& kernel, int fd, const SocketAddress& address, int backlog) {
  return bind(kernel, fd, address, SOCK_STREAM, [&] {
    const SysResult result = kernel.listen(fd, backlog);
    if (result.ok()) return absl::OkStatus();
    return errno_status(result.error(), absl::StrCat("listen(", address.to_string(), ")"));
  });
}

absl::StatusOr<std::unique_ptr<SocketFile>> SocketFile::bind_datagram(
    Kernel& kernel, int fd, const SocketAddress& address) {
  return bind(kernel, fd, address, SOCK_DGRAM, [] { return absl::OkStatus(); });
}

absl::StatusOr<std::unique_ptr<SocketFile>> SocketFile::bind(
    Kernel& kernel, int fd, const SocketAddress& address, int type,
    absl::FunctionRef<absl::Status()> listen) {
  const std::string path(address.unix_path());
  const auto bind = [&] { return kernel.bind(fd, address.data(), address.size()); };
  const auto bind_error = [&](SysResult result) {
    return errno_status(result.error(), absl::StrCat("bind(", address.to_string(), ")"));
  };
  if (path.empty()) {
    if (const SysResult bound = bind(); !bound.ok()) return bind_error(bound);
    if (absl::Status bad = listen(); !bad.ok()) return bad;
    return nullptr;
  }
  const DirectoryLock lock(kernel, directory_of(path));
  // Made before there is a file: without memory for it, nobody would remove the file.
  std::unique_ptr<SocketFile> file(new SocketFile(kernel, address));
  SysResult bound = bind();
  if (bound.error() == EADDRINUSE) {
    if (lock.error() != 0) {
      return in_use(address, absl::StrCat("a file is; its directory cannot be locked to see "
                                          "whether somebody listens: ",
                                          errno_text(lock.error())));
    }
    if (absl::Status bad = remove_stale(kernel, address, type); !bad.ok()) return bad;
    bound = bind();
  }
  if (!bound.ok()) return bind_error(bound);
  struct stat status = {};
  const SysResult looked = kernel.lstat(path.c_str(), &status);
  if (looked.ok() && S_ISSOCK(status.st_mode)) {
    file->device_ = status.st_dev;
    file->inode_ = status.st_ino;
  } else {
    file = nullptr;
  }
  if (absl::Status bad = listen(); !bad.ok()) return bad;
  return file;
}

SocketFile::SocketFile(Kernel& kernel, const SocketAddress& address)
    : kernel_(kernel), address_(address) {}

// Allocates nothing: the end of a listener cannot fail.
SocketFile::~SocketFile() {
  if (inode_ == 0 || is_kept_.load(std::memory_order_relaxed)) return;
  const char* const path = address_.unix_path().data();
  struct stat status = {};
  if (!kernel_.lstat(path, &status).ok()) return;
  if (!S_ISSOCK(status.st_mode) || status.st_dev != device_ || status.st_ino != inode_) return;
  (void)kernel_.unlink(path);
}

}  // namespace epore::internal
