#include "tests/support/open_fds.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace epore {

std::vector<std::string> open_fds() {
  DIR* const directory = ::opendir("/proc/self/fd");
  PCHECK(directory != nullptr);
  std::vector<std::string> fds;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == ::dirfd(directory)) continue;
    char target[256];
    const ssize_t size = ::readlinkat(::dirfd(directory), entry->d_name, target, sizeof target);
    if (size > 0) fds.push_back(absl::StrCat(entry->d_name, " ", std::string(target, size)));
  }
  ::closedir(directory);
  std::sort(fds.begin(), fds.end());
  return fds;
}

ExpectNoFdLeak::~ExpectNoFdLeak() {
  const testing::ScopedTrace trace(where_.file_name(), static_cast<int>(where_.line()),
                                   "open descriptors before and after");
  EXPECT_EQ(before_, open_fds());
}

}  // namespace epore
