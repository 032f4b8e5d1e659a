#include "epore/runtime/internal/watch/watch_state.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace epore::internal {

absl::StatusOr<Ref<WatchState>> WatchState::make(Ref<Core> core, int fd, Interest interest,
                                                 Watch::Callback callback, const Order& order) {
  if (!callback) {
    return absl::InvalidArgumentError(absl::StrCat("watch(fd ", fd, "): the callback is null"));
  }
  absl::Status bad = OrderState::check(order, *core, absl::StrCat("watch(fd ", fd, ")"));
  if (!bad.ok()) return bad;
  Ref<OrderState> shared = OrderState::share(order, *core);
  auto state = Ref<WatchState>::adopt(
      new WatchState(std::move(core), std::move(shared), fd, interest, std::move(callback)));
  if (absl::Status started = state->start("watch"); !started.ok()) {
    state->has_ended();  // it has not begun, so no callback runs
    return started;
  }
  return state;
}

WatchState::WatchState(Ref<Core> core, Ref<OrderState> order, int fd, Interest interest,
                       Watch::Callback callback)
    : FdWatch(std::move(core), std::move(order), fd, interest), callback_(std::move(callback)) {}

void WatchState::is_ready(Readiness readiness) {
  if (core().is_cut_off()) return;
  bool has_thrown = true;
  const auto call = [&] {
    Watch self(Ref<WatchState>::share(this));
    callback_(self, readiness);
    has_thrown = false;
  };
  core().call(call);
  if (has_thrown) (void)end();
}

void WatchState::has_failed(const absl::Status& why) {
  if (core().is_cut_off()) return;
  const auto call = [&] {
    Watch self(Ref<WatchState>::share(this));
    callback_(self, why);
  };
  core().call(call);
}

}  // namespace epore::internal
