#include "epore/runtime/listener.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/endpoints/accept_queue.h"
#include "epore/runtime/internal/endpoints/listener_state.h"

namespace epore {

Listener::Listener() = default;

Listener::Listener(std::shared_ptr<internal::ListenerState> state) : state_(std::move(state)) {}

std::vector<SocketAddress> Listener::addresses() const {
  return state_ != nullptr ? state_->addresses() : std::vector<SocketAddress>();
}

SocketAddress Listener::address() const {
  return state_ != nullptr ? state_->addresses().front() : SocketAddress();
}

absl::Status Listener::status() const {
  if (state_ == nullptr) {
    return absl::FailedPreconditionError("Listener::status: this names no listener");
  }
  return state_->status();
}

absl::StatusOr<std::vector<OwnedFd>> Listener::descriptors() const {
  if (state_ == nullptr) {
    return absl::FailedPreconditionError("Listener::descriptors: this names no listener");
  }
  return internal::or_no_memory("Listener::descriptors", [this] { return state_->descriptors(); });
}

internal::AcceptOperation Listener::accept() {
  if (state_ == nullptr) return {{}, "Listener::accept: this names no listener"};
  return {state_->queue(), "Listener::accept: the listener has a callback that gets connections"};
}

void Listener::close() {
  if (state_ != nullptr) state_->close();
}

absl::Status Listener::close_and_wait() {
  if (state_ == nullptr) {
    return absl::FailedPreconditionError("Listener::close_and_wait: this names no listener");
  }
  return state_->close_and_wait();
}

}  // namespace epore
