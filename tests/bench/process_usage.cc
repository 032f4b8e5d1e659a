#include "tests/bench/process_usage.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/clock.h"

namespace epore::bench {
namespace {

// Entries of a folder; -1: it cannot be read.
int count_entries(const std::string& folder) {
  std::error_code error;
  const std::filesystem::directory_iterator entries(folder, error);
  return error ? -1 : static_cast<int>(std::distance(begin(entries), end(entries)));
}

}  // namespace

absl::StatusOr<ProcessUsage> ProcessUsage::of(pid_t pid) {
  const std::string folder = absl::StrCat("/proc/", pid);
  ProcessUsage usage;
  usage.descriptors = count_entries(folder + "/fd");
  usage.threads = count_entries(folder + "/task");
  std::ifstream file(folder + "/smaps_rollup");
  bool has_memory = false;
  std::string line;
  std::getline(file, line);  // the range of addresses
  std::string name, unit;
  for (std::int64_t kib = 0; file >> name >> kib >> unit;) {
    if (name == "Rss:") {
      usage.rss_kib = kib;
      has_memory = true;
    }
    if (name == "Private_Clean:" || name == "Private_Dirty:") usage.uss_kib += kib;
  }
  if (usage.descriptors < 0 || usage.threads < 0 || !has_memory) {
    return absl::NotFoundError(absl::StrCat(
        "cannot read what ", folder, " says: ", "the process has ended, or is another user's"));
  }
  return usage;
}

absl::StatusOr<ProcessUsage> ProcessUsage::await(
    pid_t pid, absl::FunctionRef<bool(const ProcessUsage&)> is_awaited, absl::Duration timeout) {
  constexpr int kInterval = 5;  // milliseconds
  const OwnedFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.is_valid()) return errno_status(errno, absl::StrCat("pidfd_open(", pid, ")"));
  const std::uint64_t deadline = deadline_ns(timeout);
  for (;;) {
    absl::StatusOr<ProcessUsage> usage = of(pid);
    if (!usage.ok() || is_awaited(*usage)) return usage;
    if (now_ns() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("process ", pid, " still has ",
                                                      usage->descriptors, " descriptors after ",
                                                      absl::FormatDuration(timeout)));
    }
    pollfd end = {process.get(), POLLIN, 0};
    if (::poll(&end, 1, kInterval) == 1) {
      return absl::UnavailableError(absl::StrCat("process ", pid, " has ended"));
    }
  }
}

}  // namespace epore::bench
