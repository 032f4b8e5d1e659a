#ifndef EPORE_POLL_ENGINE_FILE_IDENTITY_H_
#define EPORE_POLL_ENGINE_FILE_IDENTITY_H_

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "epore/poll/kernel/kernel.h"
#include "epore/poll/kernel/sys_result.h"

namespace epore::internal {

// Distinguishes two files that had the same descriptor number one after the other. For engines that
// keep the table of registrations themselves.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// Errors: EBADF; EPERM for files and directories, which are always ready: epoll_ctl(2) refuses them
// as well.
inline SysResult identify(Kernel& kernel, int fd, FileIdentity& identity) {
  struct stat status;
  const SysResult found = kernel.fstat(fd, &status);
  if (!found.ok()) return found;
  if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) return SysResult::from_errno(EPERM);
  identity = FileIdentity{status.st_dev, status.st_ino};
  return SysResult(0);
}

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_FILE_IDENTITY_H_
