#include "epore/poll/owned_fd.h"

#include <utility>

#include "epore/poll/kernel/kernel.h"

namespace epore {

OwnedFd::OwnedFd(int fd) : OwnedFd(fd, Kernel::real()) {}

OwnedFd::OwnedFd(int fd, Kernel& kernel) : fd_(fd), kernel_(&kernel) {}

OwnedFd::OwnedFd(OwnedFd&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), kernel_(other.kernel_) {}

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    kernel_ = other.kernel_;
  }
  return *this;
}

int OwnedFd::release() { return std::exchange(fd_, -1); }

void OwnedFd::reset() {
  if (fd_ >= 0) (void)kernel_->close(std::exchange(fd_, -1));
}

}  // namespace epore
