#ifndef EPORE_TESTS_SUPPORT_TEMPORARY_FILE_H_
#define EPORE_TESTS_SUPPORT_TEMPORARY_FILE_H_

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/file.h"
#include "gtest/gtest.h"

namespace epore {

// A file with these bytes, as long as this lives.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view bytes) : path_(testing::TempDir() + "/file.XXXXXX") {
    const OwnedFd fd(::mkstemp(path_.data()));
    CHECK(fd.is_valid()) << path_;
    CHECK_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }

  const std::string& path() const { return path_; }
  void shorten(off_t size) const { CHECK_EQ(::truncate(path_.c_str(), size), 0); }
  File open() const {
    absl::StatusOr<File> file = File::open(path_);
    CHECK_OK(file);
    return *std::move(file);
  }

 private:
  std::string path_;
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_TEMPORARY_FILE_H_
