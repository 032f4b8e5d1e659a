#include "tests/bench/process_usage.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

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

}  // namespace epore::bench
