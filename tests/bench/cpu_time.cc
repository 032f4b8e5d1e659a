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

namespace {

bool add_schedstat(const std::filesystem::path& file_name, CpuTime& total) {
  std::ifstream file(file_name);
  std::int64_t ran = 0, waited = 0;
  if (!(file >> ran >> waited)) return false;
  total.ran += absl::Nanoseconds(ran);
  total.waited += absl::Nanoseconds(waited);
  return true;
}

}  // namespace

absl::StatusOr<CpuTime> process_cpu_time(pid_t pid) {
  const std::string folder = absl::StrCat("/proc/", pid, "/task");
  std::error_code error;
  CpuTime total;
  bool is_empty = true;
  for (const auto& thread : std::filesystem::directory_iterator(folder, error)) {
    // One that cannot be read has just ended.
    if (add_schedstat(thread.path() / "schedstat", total)) is_empty = false;
  }
  if (is_empty) {
    return absl::NotFoundError(absl::StrCat(
        "cannot read ", folder, "/*/schedstat: the process has ended, or a kernel without it"));
  }
  return total;
}

CpuTime thread_cpu_time() {
  CpuTime total;
  add_schedstat("/proc/thread-self/schedstat", total);
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  total.ran = absl::DurationFromTimespec(time);
  return total;
}

}  // namespace epore::bench
