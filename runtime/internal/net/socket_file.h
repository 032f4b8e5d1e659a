#ifndef EPORE_RUNTIME_INTERNAL_NET_SOCKET_FILE_H_
#define EPORE_RUNTIME_INTERNAL_NET_SOCKET_FILE_H_

#include <sys/types.h>

#include <atomic>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/address.h"

namespace epore::internal {

// A SocketFile is the file by which clients find a Unix socket. Its destructor removes the file,
// unless another one has its path by now. It must run while the socket is still open.
//
// A process that has crashed leaves its file behind, and bind(2) refuses the path. Nobody listens
// there, so connect(2) is refused as well, and the next process may take the path over. Between
// that look and the removal of the file a third process must not have begun to listen at a new
// file of the path. Nor may a process be seen between its bind(2) and its listen(2), when a connect
// is refused, too. So all these steps are done under a lock of the directory (flock(2)).
//
//   lock -> bind -----------------------------------------------------------> listen -> unlock
//             `-EADDRINUSE-> no socket, or connect(2) works: AlreadyExists
//                        `-> connect(2) is refused: unlink -> bind again ---> listen -> unlock
//
// The lock keeps out other processes that use it: those of epore. A process of another library that
// is between its bind(2) and its listen(2) is taken for one that has crashed.
//
// Rejected: a lock file beside the socket, which stays behind for ever. bind(2) to another path and
// rename(2): two processes replace each other's file, and clients see the other path as the address
// of their peer.
class SocketFile {
 public:
  // Binds `fd` to the Unix address and listens. Returns null for an abstract name, which has no
  // file. Waits at most 100 ms for the lock. Errors: those of bind(2) and listen(2); AlreadyExists
  // if somebody listens there, if the file is no socket, or if the directory cannot be locked, so
  // that nothing may be removed.
  static absl::StatusOr<std::unique_ptr<SocketFile>> bind_and_listen(Kernel& kernel, int fd,
                                                                     const SocketAddress& address,
                                                                     int backlog);

  // As bind_and_listen(), for a datagram socket, which has nothing to listen to.
  static absl::StatusOr<std::unique_ptr<SocketFile>> bind_datagram(Kernel& kernel, int fd,
                                                                   const SocketAddress& address);

  // The destructor is to leave the file. Any thread.
  void keep() { is_kept_.store(true, std::memory_order_relaxed); }

  ~SocketFile();
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

 private:
  SocketFile(Kernel& kernel, const SocketAddress& address);

  static absl::StatusOr<std::unique_ptr<SocketFile>> bind(Kernel& kernel, int fd,
                                                          const SocketAddress& address, int type,
                                                          absl::FunctionRef<absl::Status()> listen);

  Kernel& kernel_;
  const SocketAddress address_;

  // Constant from bind() on.
  dev_t device_ = 0;
  ino_t inode_ = 0;  // 0: nothing is bound

  std::atomic<bool> is_kept_{false};  // relaxed: who destroys it has been told before
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_NET_SOCKET_FILE_H_
