#ifndef EPORE_POLL_EVENTS_H_
#define EPORE_POLL_EVENTS_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "epore/poll/event.h"

namespace epore {

// The batch that Poll::poll() fills: allocated once, used for every poll.
//
//   epore::Events events(1024);
//   for (;;) {
//     if (!poll->poll(events, absl::InfiniteDuration()).ok()) break;
//     for (const epore::Event& event : events) handle(event);
//   }
//
// Not an accumulator: each poll() replaces what was there. What does not fit stays with the kernel
// and comes with a later poll(), so a small batch costs calls, never events. Capacity 0 is taken
// as 1. Belongs to one thread at a time.
class Events {
 public:
  explicit Events(std::size_t capacity);

  Events(Events&&) = default;
  Events& operator=(Events&&) = default;

  const Event* begin() const { return events_.data(); }
  const Event* end() const { return events_.data() + events_.size(); }
  const Event& operator[](std::size_t i) const { return events_[i]; }
  std::size_t size() const { return events_.size(); }
  bool empty() const { return events_.empty(); }
  std::size_t capacity() const { return capacity_; }
  void clear() { events_.clear(); }

  // For engines: adds an event; the caller has checked that size() < capacity().
  void push_back(Event event) { events_.push_back(event); }

  // For engines: room for capacity() records of `record_size` bytes in the kernel's own format,
  // kept from poll to poll, aligned for any object. Contents are not kept.
  void* scratch(std::size_t record_size);

 private:
  std::size_t capacity_;
  std::vector<Event> events_;
  std::size_t scratch_size_ = 0;
  std::unique_ptr<std::byte[]> scratch_;
};

}  // namespace epore

#endif  // EPORE_POLL_EVENTS_H_
