#ifndef EPORE_POLL_KERNEL_SYS_RESULT_H_
#define EPORE_POLL_KERNEL_SYS_RESULT_H_

#include <cstdint>

namespace epore {

// A SysResult is what a system call returned: a value or an errno. It is trivially copyable, so
// EAGAIN costs nothing on the hot path. errno_status() makes a Status of it for users.
class SysResult {
 public:
  // Zero or more is a value, a negative number is -errno. This is the kernel's own convention.
  constexpr explicit SysResult(std::int64_t raw) : raw_(raw) {}
  static constexpr SysResult from_errno(int error) { return SysResult(-std::int64_t{error}); }

  constexpr bool ok() const { return raw_ >= 0; }
  constexpr std::int64_t value() const { return raw_; }
  constexpr int fd() const { return static_cast<int>(raw_); }
  constexpr int error() const { return raw_ < 0 ? static_cast<int>(-raw_) : 0; }

 private:
  std::int64_t raw_;
};

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_SYS_RESULT_H_
