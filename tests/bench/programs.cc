#include "tests/bench/programs.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace epore::bench {
namespace {

using std::filesystem::path;

// Folders that may hold tests/bench, the likeliest first.
std::vector<path> roots() {
  std::vector<path> roots;
  const char* test_sources = std::getenv("TEST_SRCDIR");
  const char* test_workspace = std::getenv("TEST_WORKSPACE");
  if (test_sources != nullptr && test_workspace != nullptr) {
    roots.push_back(path(test_sources) / test_workspace);
  }
  std::error_code error;
  const path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return roots;
  roots.push_back(path(self).concat(".runfiles") / "epore");
  for (path folder = self.parent_path(); folder.has_relative_path();
       folder = folder.parent_path()) {
    roots.push_back(folder);
  }
  return roots;
}

}  // namespace

absl::StatusOr<std::string> find_program(std::string_view name) {
  for (const path& root : roots()) {
    const std::string candidate = root / "tests" / "bench" / name;
    if (::access(candidate.c_str(), X_OK) == 0 && !std::filesystem::is_directory(candidate)) {
      return candidate;
    }
  }
  return absl::NotFoundError(absl::StrCat("found no program ", name,
                                          " beside this one; build it: bazel build -c opt ",
                                          "//tests/bench:", name));
}

}  // namespace epore::bench
