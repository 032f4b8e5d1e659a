#include "epore/poll/events.h"

#include <algorithm>
#include <cstddef>
#include <memory>

namespace epore {

Events::Events(std::size_t capacity) : capacity_(std::max<std::size_t>(capacity, 1)) {
  events_.reserve(capacity_);
}

void* Events::scratch(std::size_t record_size) {
  const std::size_t needed = record_size * capacity_;
  if (scratch_ == nullptr || scratch_size_ < needed) {
    scratch_ = std::make_unique<std::byte[]>(needed);
    scratch_size_ = needed;
  }
  return scratch_.get();
}

}  // namespace epore
