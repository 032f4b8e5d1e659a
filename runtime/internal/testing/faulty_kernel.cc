#include "epore/runtime/internal/testing/faulty_kernel.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

namespace epore::internal {
namespace {

// The pieces of the message as far as its first `limit` bytes.
std::vector<iovec> first_bytes(const msghdr& message, std::size_t limit) {
  std::vector<iovec> pieces;
  for (std::size_t i = 0; i < message.msg_iovlen && limit > 0; ++i) {
    pieces.push_back(message.msg_iov[i]);
    pieces.back().iov_len = std::min(pieces.back().iov_len, limit);
    limit -= pieces.back().iov_len;
  }
  return pieces;
}

}  // namespace

// A datagram that is cut would be another datagram.
bool FaultyKernel::is_stream(int fd) const {
  int type = 0;
  unsigned size = sizeof type;
  return inner().getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size).ok() && type == SOCK_STREAM;
}

void FaultyKernel::report_rest(int fd) {
  absl::MutexLock lock(&mutex_);
  const auto found = registered_.find(fd);
  if (found == registered_.end()) return;
  epoll_event event = found->second.event;
  (void)inner().epoll_ctl(found->second.queue, EPOLL_CTL_MOD, fd, &event);
}

SysResult FaultyKernel::connect(int fd, const sockaddr* address, unsigned size) {
  const bool is_attempt =
      connect_error_.load(std::memory_order_relaxed) != 0 && is_stream(fd) && !holds_lock();
  const int error = is_attempt ? connect_error_.exchange(0, std::memory_order_relaxed) : 0;
  return error != 0 ? SysResult::from_errno(error) : inner().connect(fd, address, size);
}

SysResult FaultyKernel::recv(int fd, void* buffer, std::size_t size, int flags) {
  const std::size_t most = std::min(size, read_limit_.load(std::memory_order_relaxed));
  const SysResult result = inner().recv(fd, buffer, most, flags);
  const bool is_cut = result.value() > 0 && most < size && (flags & MSG_PEEK) == 0;
  if (is_cut) report_rest(fd);
  return result;
}

SysResult FaultyKernel::recvmsg(int fd, msghdr* message, int flags) {
  const std::size_t limit = read_limit_.load(std::memory_order_relaxed);
  if (limit == kNoLimit || !is_stream(fd)) return inner().recvmsg(fd, message, flags);
  std::vector<iovec> pieces = first_bytes(*message, limit);
  iovec* const all = std::exchange(message->msg_iov, pieces.data());
  const auto count = std::exchange(message->msg_iovlen, pieces.size());
  const SysResult result = inner().recvmsg(fd, message, flags);
  message->msg_iov = all;
  message->msg_iovlen = count;
  if (result.value() > 0) report_rest(fd);
  return result;
}

SysResult FaultyKernel::send(int fd, const void* bytes, std::size_t size, int flags) {
  const std::size_t limit = write_limit_.load(std::memory_order_relaxed);
  return inner().send(fd, bytes, std::min(size, limit), flags);
}

SysResult FaultyKernel::sendmsg(int fd, const msghdr* message, int flags) {
  const std::size_t limit = write_limit_.load(std::memory_order_relaxed);
  if (limit == kNoLimit || !is_stream(fd)) return inner().sendmsg(fd, message, flags);
  std::vector<iovec> pieces = first_bytes(*message, limit);
  msghdr cut = *message;
  cut.msg_iov = pieces.data();
  cut.msg_iovlen = pieces.size();
  return inner().sendmsg(fd, &cut, flags);
}

SysResult FaultyKernel::sendfile(int to, int from, std::int64_t offset, std::size_t size) {
  const std::size_t limit = write_limit_.load(std::memory_order_relaxed);
  return inner().sendfile(to, from, offset, std::min(size, limit));
}

SysResult FaultyKernel::splice(int from, int to, std::size_t size, unsigned flags) {
  // One of both is a pipe, the other a connection, which reads if it comes first.
  if (!is_stream(from)) {
    const std::size_t limit = write_limit_.load(std::memory_order_relaxed);
    return inner().splice(from, to, std::min(size, limit), flags);
  }
  const std::size_t most = std::min(size, read_limit_.load(std::memory_order_relaxed));
  const SysResult result = inner().splice(from, to, most, flags);
  if (result.value() > 0 && most < size) report_rest(from);
  return result;
}

bool FaultyKernel::holds_lock() {
  absl::MutexLock lock(&mutex_);
  return std::any_of(locks_.begin(), locks_.end(),
                     [](const auto& held) { return held.second == std::this_thread::get_id(); });
}

SysResult FaultyKernel::flock(int fd, int operation) {
  const SysResult result = inner().flock(fd, operation);
  if (!result.ok()) return result;
  absl::MutexLock lock(&mutex_);
  if ((operation & LOCK_UN) != 0) {
    locks_.erase(fd);
  } else {
    locks_[fd] = std::this_thread::get_id();
  }
  return result;
}

SysResult FaultyKernel::close(int fd) {
  {
    absl::MutexLock lock(&mutex_);
    registered_.erase(fd);
    locks_.erase(fd);
  }
  return inner().close(fd);
}

SysResult FaultyKernel::epoll_ctl(int epfd, int operation, int fd, epoll_event* event) {
  absl::MutexLock lock(&mutex_);  // so that report_rest() never brings an old registration back
  const SysResult result = inner().epoll_ctl(epfd, operation, fd, event);
  if (operation == EPOLL_CTL_DEL) {
    registered_.erase(fd);
  } else if (result.ok()) {
    registered_[fd] = Registered{epfd, *event};
  }
  return result;
}

SysResult FaultyKernel::io_uring_setup(unsigned /*entries*/, io_uring_params* /*params*/) {
  return SysResult::from_errno(ENOSYS);
}

}  // namespace epore::internal
