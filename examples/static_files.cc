#include "examples/static_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/file.h"
#include "examples/http_response.h"
#include "examples/text.h"

namespace examples {
namespace {

constexpr std::string_view kScheme = "http://";
constexpr absl::Duration kFresh = absl::Seconds(1);
constexpr std::size_t kMostCached = 64 << 20;
constexpr std::size_t kEntryBytes = 512;  // what a cached file takes beside its bytes, about

// A descriptor counts as much memory, so that no more than a thousand files are open.
constexpr std::size_t kDescriptorBytes = 64 << 10;

std::size_t cost_of(const StaticFile& file) {
  return file.body.size() + (file.file.is_open() ? kDescriptorBytes : 0);
}

std::string_view type_of(std::string_view path) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".txt", "text/plain; charset=utf-8"},
      {".css", "text/css"},
      {".js", "text/javascript"},
      {".json", "application/json"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".svg", "image/svg+xml"},
  };
  for (const auto& [end, type] : kTypes) {
    if (absl::EndsWith(path, end)) return type;
  }
  return "application/octet-stream";
}

}  // namespace

std::optional<std::string> path_of(std::string_view target) {
  if (absl::StartsWithIgnoreCase(target, kScheme)) {
    target.remove_prefix(kScheme.size());
    target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    if (!absl::StartsWith(target, "/")) target = "/";
  }
  const std::string path = percent_decode(target.substr(0, target.find('?')));
  if (!absl::StartsWith(path, "/") || absl::StrContains(path, '\0')) return std::nullopt;
  for (const std::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return std::nullopt;
  }
  const std::size_t begin = std::min(path.find_first_not_of('/'), path.size());
  return absl::StrCat(path.substr(begin), absl::EndsWith(path, "/") ? "index.html" : "");
}

std::shared_ptr<const StaticFile> StaticFiles::find(std::string_view target, absl::Time now) {
  const absl::MutexLock lock(&mutex_);
  const auto found = cache_.find(target);
  if (found == cache_.end() || now - found->second->opened > kFresh) return nullptr;
  return found->second;
}

absl::StatusOr<std::shared_ptr<const StaticFile>> StaticFiles::open(const std::string& target) {
  const std::optional<std::string> path = path_of(target);
  if (!path) return absl::InvalidArgumentError("the path leads elsewhere");
  auto file = std::make_shared<StaticFile>();
  absl::StatusOr<epore::File> opened = epore::File::open(absl::StrCat(folder_, "/", *path));
  if (absl::IsFailedPrecondition(opened.status())) return absl::NotFoundError("this is no file");
  if (!opened.ok()) return opened.status();
  const absl::StatusOr<std::uint64_t> size = opened->size();
  if (!size.ok()) return size.status();
  file->size = *size;
  struct stat about = {};
  if (::fstat(opened->fd(), &about) != 0) return absl::ErrnoToStatus(errno, "fstat");
  file->modified = http_date(absl::TimeFromTimespec(about.st_mtim));
  file->headers = absl::StrCat("content-length: ", file->size, "\r\ncontent-type: ", type_of(*path),
                               "\r\nlast-modified: ", file->modified, "\r\n");
  file->opened = absl::Now();
  if (file->size > StaticFile::kMostInMemory) {
    file->file = *std::move(opened);
  } else {
    file->body.resize(file->size);
    const absl::StatusOr<std::size_t> got =
        opened->read(0, std::as_writable_bytes(std::span(file->body)));
    if (!got.ok()) return got.status();
    if (*got != file->size) return absl::OutOfRangeError("the file has become shorter");
  }
  const absl::MutexLock lock(&mutex_);
  auto& cached = cache_[target];
  if (cached == nullptr) {
    cached_bytes_ += target.size() + kEntryBytes;
  } else {
    cached_bytes_ -= cost_of(*cached);
  }
  cached_bytes_ += cost_of(*file);
  cached = file;
  if (cached_bytes_ > kMostCached) {
    cache_.clear();
    cached_bytes_ = 0;
  }
  return file;
}

}  // namespace examples
