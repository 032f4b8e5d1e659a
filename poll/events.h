#ifndef EPORE_POLL_EVENTS_H_
#define EPORE_POLL_EVENTS_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "epore/poll/event.h"

namespace epore {

// Events is the batch that Poll::poll() fills. It is allocated once and used for every poll. It
// does not accumulate: each poll() replaces the contents.
//
//   epore::Events events(1024);
//   while (poll->poll(events, absl::InfiniteDuration()).ok()) {
//     for (const epore::Event& event : events) handle(event);
//   }
//
// Threads: one at a time.
//
// Ownership, lifetime: owns its memory and no descriptor. May outlive the Poll, and may be used
// with several Polls in turn.
//
// Edges: events beyond the capacity stay in the kernel, and a later poll() yields them. A small
// batch therefore costs more calls, but loses nothing. See epoll_wait(2), `maxevents`.
class Events {
 public:
  // `capacity` is the largest number of events of one poll(). Zero is taken as one.
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

  // For engines: adds an event. Requires size() < capacity().
  void push_back(Event event) { events_.push_back(event); }

  // For engines: memory for capacity() records of `record_size` bytes in the kernel's own format.
  // The memory is aligned for any object and is reused by the next poll(). Its contents are
  // undefined.
  void* scratch(std::size_t record_size);

 private:
  std::size_t capacity_;
  std::vector<Event> events_;
  std::size_t scratch_size_ = 0;
  std::unique_ptr<std::byte[]> scratch_;
};

}  // namespace epore

#endif  // EPORE_POLL_EVENTS_H_
