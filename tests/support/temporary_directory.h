#ifndef EPORE_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
#define EPORE_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace epore {

// A directory with a short path, as the path of a Unix socket must be. It goes with what is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() { PCHECK(::mkdtemp(path_) != nullptr); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

  std::string path(std::string_view name) const { return absl::StrCat(path_, "/", name); }
  bool is_empty() const { return std::filesystem::is_empty(path_); }

 private:
  char path_[sizeof "/tmp/epore-XXXXXX"] = "/tmp/epore-XXXXXX";
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
