#ifndef EPORE_POLL_OWNED_FD_H_
#define EPORE_POLL_OWNED_FD_H_

namespace epore {

class Kernel;

// An OwnedFd owns a file descriptor: it closes the descriptor once, when it is destroyed, reset or
// assigned to. It does not share a descriptor and does not know about registrations.
//
//   epore::OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
//   absl::Status added = registry->register_fd(fd.get(), token, interest);  // it borrows it
//   ...
//   absl::Status removed = registry->deregister_fd(fd.get());  // deregister before closing
//
// Threads: one at a time, like an int.
//
// Ownership, lifetime: move-only. A moved-from OwnedFd holds -1, which means "none".
//
// Edges: close(2) is never repeated after an error. On Linux the number is free by then, and
// another thread may have it already. See close(2), "Dealing with error returns from close()".
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd);  // `fd` is closed through the real kernel
  OwnedFd(int fd,
          Kernel& kernel);  // `fd` is closed through `kernel`, which must outlive the OwnedFd
  OwnedFd(OwnedFd&& other) noexcept;
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd() { reset(); }

  int get() const { return fd_; }
  bool is_valid() const { return fd_ >= 0; }

  // Returns the descriptor and gives up its ownership.
  [[nodiscard]] int release();

  // Closes the descriptor now, if there is one.
  void reset();

 private:
  int fd_ = -1;
  Kernel* kernel_ = nullptr;
};

}  // namespace epore

#endif  // EPORE_POLL_OWNED_FD_H_
