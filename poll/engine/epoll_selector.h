#ifndef EPORE_POLL_ENGINE_EPOLL_SELECTOR_H_
#define EPORE_POLL_ENGINE_EPOLL_SELECTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"

struct epoll_event;

namespace epore::internal {

// The epoll(7) engine. The kernel keeps the table of registrations, so this class needs no lock.
class EpollSelector final : public Selector {
 public:
  static constexpr std::string_view kName = "epoll";

  // Errors: those of epoll_create1(2).
  static absl::StatusOr<std::unique_ptr<Selector>> create(Kernel& kernel);

  SysResult add(int fd, Token token, Interest interest) override;
  SysResult modify(int fd, Token token, Interest interest) override;
  SysResult remove(int fd) override;
  SysResult add_waker(std::shared_ptr<const OwnedFd> fd, Token token) override;
  SysResult wait(Events& events, std::int64_t timeout_ns) override;
  Traits traits() const override { return {kName, true, epoll_.get()}; }

 private:
  EpollSelector(Kernel& kernel, OwnedFd epoll);
  SysResult control(int operation, int fd, Token token, Interest interest);
  SysResult wait(epoll_event* ready, int capacity, std::int64_t timeout_ns);

  // Constant after construction.
  Kernel& kernel_;
  const OwnedFd epoll_;

  // False once epoll_pwait2(2) was refused. Written and read by wait() only, relaxed: a stale value
  // costs one more refused call.
  std::atomic<bool> has_pwait2_{true};
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_EPOLL_SELECTOR_H_
