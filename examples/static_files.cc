#include "examples/static_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>
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
#include "examples/text.h"

namespace examples {
namespace {

constexpr absl::Duration kFresh = absl::Seconds(1);
constexpr std::size_t kMostCached = 64 << 20;
constexpr std::size_t kEntryBytes = 512;  // what a cached file takes beside its bytes, about

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

absl::StatusOr<std::string> read_at(int fd, std::size_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t done = 0; done < size;) {
    const ssize_t got =
        ::pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "pread");
    if (got == 0) return absl::OutOfRangeError("the file has become shorter");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

std::optional<std::string> path_of(std::string_view target) {
  const std::string path = percent_decode(target.substr(0, target.find('?')));
  if (!absl::StartsWith(path, "/") || absl::StrContains(path, '\0')) return std::nullopt;
  for (const std::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return std::nullopt;
  }
  const std::size_t begin = std::min(path.find_first_not_of('/'), path.size());
  return absl::StrCat(path.substr(begin), absl::EndsWith(path, "/") ? "index.html" : "");
}

absl::StatusOr<std::string> StaticFile::read_piece(std::size_t offset) const {
  return read_at(fd.get(), offset, std::min(kPiece, size - offset));
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
  // A FIFO must not block here, nor a terminal become ours.
  file->fd = epore::OwnedFd(::open(absl::StrCat(folder_, "/", *path).c_str(),
                                   O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file->fd.is_valid()) return absl::ErrnoToStatus(errno, "open");
  struct stat status = {};
  if (::fstat(file->fd.get(), &status) != 0) return absl::ErrnoToStatus(errno, "fstat");
  if (!S_ISREG(status.st_mode)) return absl::NotFoundError("this is no file");
  file->size = static_cast<std::size_t>(status.st_size);
  file->headers =
      absl::StrCat("content-length: ", file->size, "\r\ncontent-type: ", type_of(*path), "\r\n");
  file->opened = absl::Now();
  if (file->size > StaticFile::kMostInMemory) return file;

  absl::StatusOr<std::string> body = read_at(file->fd.get(), 0, file->size);
  if (!body.ok()) return body.status();
  file->body = *std::move(body);
  file->fd.reset();
  const absl::MutexLock lock(&mutex_);
  auto& cached = cache_[target];
  if (cached == nullptr) {
    cached_bytes_ += target.size() + kEntryBytes;
  } else {
    cached_bytes_ -= cached->size;
  }
  cached_bytes_ += file->size;
  cached = file;
  if (cached_bytes_ > kMostCached) {
    cache_.clear();
    cached_bytes_ = 0;
  }
  return file;
}

}  // namespace examples
