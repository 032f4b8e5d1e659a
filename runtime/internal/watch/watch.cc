#include "epore/runtime/watch.h"

#include <utility>

#include "epore/runtime/internal/watch/watch_state.h"

namespace epore {

Watch::Watch() = default;
Watch::Watch(const Watch&) = default;
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(const Watch&) = default;
Watch& Watch::operator=(Watch&&) noexcept = default;
Watch::~Watch() = default;

Watch::Watch(internal::Ref<internal::WatchState> state) : state_(std::move(state)) {}

bool Watch::cancel() { return state_ && state_->end(); }

void Watch::set_interest(Interest interest) {
  if (state_) state_->set_interest(interest);
}

bool Watch::is_active() const { return state_ && state_->is_active(); }

int Watch::fd() const { return state_ ? state_->fd() : -1; }

}  // namespace epore
