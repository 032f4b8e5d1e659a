#ifndef EPORE_POLL_ENGINE_EPOLL_SELECTOR_H_
#define EPORE_POLL_ENGINE_EPOLL_SELECTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"

struct epoll_event;

namespace epore::internal {

// epoll(7). The kernel keeps the table, so this class has none, and no lock.
class EpollSelector final : public Selector {
 public:
  static absl::StatusOr<std::unique_ptr<Selector>> create(Kernel& kernel);

  SysResult add(int fd, Token token, Interest interest) override;
  SysResult modify(int fd, Token token, Interest interest) override;
  SysResult remove(int fd) override;
  SysResult add_waker(std::shared_ptr<const OwnedFd> fd, Token token) override;
  SysResult wait(Events& events, std::int64_t timeout_ns) override;
  Traits traits() const override { return {"epoll", true}; }

 private:
  EpollSelector(Kernel& kernel, OwnedFd epoll);
  SysResult control(int operation, int fd, Token token, Interest interest);
  SysResult wait(epoll_event* ready, int capacity, std::int64_t timeout_ns);

  // Constant after construction.
  Kernel& kernel_;
  const OwnedFd epoll_;

  std::atomic<bool> has_pwait2_{true};  // until the kernel says otherwise
};

}  // namespace epore::internal

#endif  // EPORE_POLL_ENGINE_EPOLL_SELECTOR_H_
