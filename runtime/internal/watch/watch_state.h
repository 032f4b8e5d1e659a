#ifndef EPORE_RUNTIME_INTERNAL_WATCH_WATCH_STATE_H_
#define EPORE_RUNTIME_INTERNAL_WATCH_WATCH_STATE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/watch/fd_watch.h"
#include "epore/runtime/order.h"
#include "epore/runtime/watch.h"

namespace epore::internal {

// What a Watch names.
class WatchState final : public FdWatch {
 public:
  // See Runtime::watch(). Throws std::bad_alloc.
  static absl::StatusOr<Ref<WatchState>> make(Ref<Core> core, int fd, Interest interest,
                                              Watch::Callback callback, const Order& order);

 private:
  WatchState(Ref<Core> core, Ref<OrderState> order, int fd, Interest interest,
             Watch::Callback callback);

  void is_ready(Readiness readiness) override;
  void has_failed(const absl::Status& why) override;
  void has_ended() override { callback_ = nullptr; }

  Watch::Callback callback_;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_WATCH_WATCH_STATE_H_
