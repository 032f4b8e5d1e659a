#include "tests/bench/output.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace epore::bench {

void show_progress(std::string_view what, double done) {
  if (::isatty(STDERR_FILENO) == 0) return;
  absl::FPrintF(stderr, "\r\033[K[%3.0f%%] %s", 100 * done, what);
}

void clear_progress() {
  if (::isatty(STDERR_FILENO) != 0) absl::FPrintF(stderr, "\r\033[K");
}

absl::Status write_output(std::string_view path, std::string_view text) {
  const char* folder = std::getenv("BUILD_WORKING_DIRECTORY");
  const std::filesystem::path target =
      folder == nullptr ? std::filesystem::path(path) : std::filesystem::path(folder) / path;
  std::ofstream file(target, std::ios::binary);
  file << text;
  file.close();
  if (!file) return absl::UnknownError(absl::StrCat("cannot write ", target.string()));
  return absl::OkStatus();
}

}  // namespace epore::bench
