#include "tests/bench/cpu_time.h"

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace epore::bench {

absl::StatusOr<absl::Duration> process_cpu_time(pid_t pid) {
  const std::string folder = absl::StrCat("/proc/", pid, "/task");
  std::error_code error;
  absl::Duration total;
  bool is_empty = true;
  for (const auto& thread : std::filesystem::directory_iterator(folder, error)) {
    std::ifstream file(thread.path() / "schedstat");
    std::int64_t nanoseconds = 0;  // the first of three numbers, see sched-stats.rst of Linux
    if (!(file >> nanoseconds)) continue;  // the thread has just ended
    total += absl::Nanoseconds(nanoseconds);
    is_empty = false;
  }
  if (is_empty) {
    return absl::NotFoundError(absl::StrCat(
        "cannot read ", folder, "/*/schedstat: the process has ended, or a kernel without it"));
  }
  return total;
}

absl::Duration thread_cpu_time() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

}  // namespace epore::bench
