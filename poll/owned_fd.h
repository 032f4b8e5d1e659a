#ifndef EPORE_POLL_OWNED_FD_H_
#define EPORE_POLL_OWNED_FD_H_

namespace epore {

class Kernel;

// Owns a file descriptor: closes it exactly once, when destroyed, reset or assigned over.
//
//   epore::OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
//   registry->register_fd(fd.get(), token, interest);  // the registry borrows it
//
// Move-only; -1 means none. One thread at a time, like an int. close(2) is never repeated after an
// error: the number is free by then and may be another thread's (Linux; close(2), "Dealing with
// error returns from close()"). Deregister before closing.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd);         // closes through the real kernel
  OwnedFd(int fd, Kernel& kernel);  // closes through `kernel`, which must outlive this
  OwnedFd(OwnedFd&& other) noexcept;
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd() { reset(); }

  int get() const { return fd_; }
  bool is_valid() const { return fd_ >= 0; }

  // Gives the descriptor away without closing it.
  [[nodiscard]] int release();

  // Closes it now, if there is one.
  void reset();

 private:
  int fd_ = -1;
  Kernel* kernel_ = nullptr;
};

}  // namespace epore

#endif  // EPORE_POLL_OWNED_FD_H_
