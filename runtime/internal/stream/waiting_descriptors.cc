#include "epore/runtime/internal/stream/waiting_descriptors.h"

#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace epore::internal {

absl::Status WaitingDescriptors::push(ReceivedDescriptors& received, std::size_t most) {
  const absl::MutexLock lock(&mutex_);
  if (waiting_.size() + received.size() > most) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "recvmsg: ", received.size(), " descriptors have come where ", waiting_.size(),
        " wait for Connection::take_descriptors(), and ConnectionOptions::max_descriptors is ",
        most));
  }
  received.move_to(waiting_);
  return absl::OkStatus();
}

std::vector<OwnedFd> WaitingDescriptors::take(std::size_t most) {
  const absl::MutexLock lock(&mutex_);
  if (most >= waiting_.size()) return std::exchange(waiting_, {});
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(most);
  std::vector<OwnedFd> taken(std::make_move_iterator(waiting_.begin()),
                             std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  return taken;
}

void WaitingDescriptors::close() {
  std::vector<OwnedFd> closed;  // without the lock
  const absl::MutexLock lock(&mutex_);
  closed.swap(waiting_);
}

}  // namespace epore::internal
