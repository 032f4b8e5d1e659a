#ifndef EPORE_TESTS_BENCH_AFFINITY_H_
#define EPORE_TESTS_BENCH_AFFINITY_H_

#include <sched.h>

#include <vector>

#include "absl/status/status.h"

namespace epore::bench {

// The cores that the calling thread may run on.
std::vector<int> allowed_cores();

// One core for the servers and another for the load; the same one where only one is allowed.
struct CorePlan {
  int server = 0;
  int load = 0;

  bool is_shared() const { return server == load; }
  static CorePlan make();
};

// Pins the calling thread to one core, and puts it back when destroyed. Processes and threads that
// it starts meanwhile are pinned as well, from their first instruction on.
class ScopedPin {
 public:
  explicit ScopedPin(int core);
  ~ScopedPin();
  ScopedPin(const ScopedPin&) = delete;
  ScopedPin& operator=(const ScopedPin&) = delete;

  const absl::Status& status() const { return status_; }

 private:
  cpu_set_t before_;
  absl::Status status_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_AFFINITY_H_
