#ifndef EPORE_RUNTIME_INTERNAL_RUN_DELAY_H_
#define EPORE_RUNTIME_INTERNAL_RUN_DELAY_H_

#include <atomic>
#include <cstdint>
#include <optional>

#include "poll/owned_fd.h"

namespace epore {
class Kernel;
}

namespace epore::internal {

// How long a thread has waited for a processor, all in all: what tells a thread that is stuck in a
// callback from one that was merely not scheduled, whom nobody needs to relieve.
//
// The second number of /proc/thread-self/schedstat, see proc(5) and the kernel's
// Documentation/scheduler/sched-stats. Not every system has it.
class RunDelay {
 public:
  // The thread itself, once. Without the file, read() will not know.
  void open(Kernel& kernel);

  // Any thread: nanoseconds; no value if the system does not tell.
  std::optional<std::int64_t> read() const;

 private:
  OwnedFd fd_;
  Kernel* kernel_ = nullptr;
  std::atomic<bool> is_open_{false};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_RUN_DELAY_H_
