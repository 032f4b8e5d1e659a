#ifndef EPORE_POLL_KERNEL_SYS_RESULT_H_
#define EPORE_POLL_KERNEL_SYS_RESULT_H_

#include <cstdint>

namespace epore {

// What a system call returned: its value, or an errno. Trivially copyable, so that EAGAIN on the
// hot path builds no message; errno_status() turns it into a Status where it leaves the library.
class SysResult {
 public:
  // A value of zero or more is success, a negative one is -errno: the kernel's own convention.
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
