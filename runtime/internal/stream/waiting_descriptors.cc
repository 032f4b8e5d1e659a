#include "epore/runtime/internal/stream/waiting_descriptors.h"

#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace epore::internal {

absl::Status WaitingDescriptors::push(ReceivedDescriptors& received, std::size_t most) {
  const absl::MutexLock lock(&mutex_);
  const std::size_t waiting = waiting_.size() - taken_;
  if (waiting + received.size() > most) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "recvmsg: ", received.size(), " descriptors have come where ", waiting,
        " wait for Connection::take_descriptors(), and ConnectionOptions::max_descriptors is ",
        most));
  }
  if (taken_ >= waiting) drop_taken();  // moves no more of them than were taken since the last time
  received.move_to(waiting_);
  return absl::OkStatus();
}

std::vector<OwnedFd> WaitingDescriptors::take(std::size_t most) {
  const absl::MutexLock lock(&mutex_);
  if (most >= waiting_.size() - taken_) {
    drop_taken();
    return std::exchange(waiting_, {});
  }
  const auto begin = waiting_.begin() + static_cast<std::ptrdiff_t>(taken_);
  const auto end = begin + static_cast<std::ptrdiff_t>(most);
  std::vector<OwnedFd> taken(std::make_move_iterator(begin), std::make_move_iterator(end));
  taken_ += most;
  return taken;
}

void WaitingDescriptors::drop_taken() {
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken_));
  taken_ = 0;
}

void WaitingDescriptors::close() {
  std::vector<OwnedFd> closed;  // without the lock
  const absl::MutexLock lock(&mutex_);
  closed.swap(waiting_);
  taken_ = 0;
}

}  // namespace epore::internal
