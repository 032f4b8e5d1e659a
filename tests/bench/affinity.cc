#include "tests/bench/affinity.h"

#include <errno.h>
#include <sched.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore::bench {

std::vector<int> allowed_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

CorePlan CorePlan::make() {
  const std::vector<int> cores = allowed_cores();
  // Core 0 serves most interrupts: the load gets it, and the server's time stays the cleaner.
  return {.server = cores.back(), .load = cores.front()};
}

ScopedPin::ScopedPin(int core) {
  CPU_ZERO(&before_);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  if (::sched_getaffinity(0, sizeof before_, &before_) != 0 ||
      ::sched_setaffinity(0, sizeof set, &set) != 0) {
    status_ = errno_status(errno, absl::StrCat("sched_setaffinity to core ", core));
  }
}

ScopedPin::~ScopedPin() {
  if (status_.ok()) ::sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace epore::bench
