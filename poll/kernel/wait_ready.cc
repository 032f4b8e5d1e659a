#include "epore/poll/kernel/wait_ready.h"

#include <poll.h>
#include <sys/select.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <utility>
#include <vector>

namespace epore {
namespace {

// A set of descriptors of any number. An fd_set ends at 1,024, but the kernel takes any size.
class FdSet {
 public:
  explicit FdSet(int size) : words_(static_cast<std::size_t>(size) / kBits + 1) {}

  void add(int fd) { word(fd) |= bit(fd); }
  bool has(int fd) { return (word(fd) & bit(fd)) != 0; }
  fd_set* get() { return reinterpret_cast<fd_set*>(words_.data()); }

 private:
  static constexpr std::size_t kBits = sizeof(unsigned long) * CHAR_BIT;

  unsigned long& word(int fd) { return words_[static_cast<std::size_t>(fd) / kBits]; }
  static unsigned long bit(int fd) { return 1ul << (static_cast<std::size_t>(fd) % kBits); }

  std::vector<unsigned long> words_;
};

// pselect(2) fails with EBADF if one descriptor is closed. Finds the closed ones, as ppoll(2) does.
int mark_closed(Kernel& kernel, std::span<pollfd> fds) {
  int count = 0;
  for (pollfd& one : fds) {
    struct stat status;
    if (kernel.fstat(one.fd, &status).error() != EBADF) continue;
    one.revents = POLLNVAL;
    ++count;
  }
  return count;
}

SysResult select_ready(Kernel& kernel, std::span<pollfd> fds, const timespec* timeout) {
  int size = 0;
  for (const pollfd& one : fds) size = std::max(size, one.fd + 1);
  FdSet readable(size);
  FdSet writable(size);
  FdSet priority(size);
  for (pollfd& one : fds) {
    one.revents = 0;
    if (one.events & POLLIN) readable.add(one.fd);
    if (one.events & POLLOUT) writable.add(one.fd);
    if (one.events & POLLPRI) priority.add(one.fd);
  }
  const SysResult selected =
      kernel.pselect(size, readable.get(), writable.get(), priority.get(), timeout);
  if (selected.error() == EBADF) {
    if (const int closed = mark_closed(kernel, fds); closed > 0) return SysResult(closed);
  }
  if (!selected.ok()) return selected;
  int count = 0;
  for (pollfd& one : fds) {
    const int revents = ((one.events & POLLIN) != 0 && readable.has(one.fd) ? POLLIN : 0) |
                        ((one.events & POLLOUT) != 0 && writable.has(one.fd) ? POLLOUT : 0) |
                        ((one.events & POLLPRI) != 0 && priority.has(one.fd) ? POLLPRI : 0);
    one.revents = static_cast<short>(revents);
    if (revents != 0) ++count;
  }
  return SysResult(count);
}

}  // namespace

SysResult wait_ready(Kernel& kernel, std::span<pollfd> fds, const timespec* timeout) {
  const SysResult polled = kernel.ppoll(fds.data(), fds.size(), timeout);
  if (polled.ok() || polled.error() == EINTR) return polled;
  return select_ready(kernel, fds, timeout);
}

}  // namespace epore
