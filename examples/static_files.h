#ifndef EPORE_EXAMPLES_STATIC_FILES_H_
#define EPORE_EXAMPLES_STATIC_FILES_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/runtime/file.h"

namespace examples {

// A file as it was when somebody opened it. A small one is in memory. A large one goes from the
// file to the socket, without a copy.
struct StaticFile {
  // From some 4 KB on, a call more costs less than a copy into the socket.
  static constexpr std::size_t kMostInMemory = 4 * 1024;

  std::size_t size = 0;
  std::string modified;  // when, as in the header last-modified
  std::string headers;   // content-length, content-type and last-modified
  std::string body;      // of a small file
  epore::File file;      // a large one
  absl::Time opened;
};

// The files of a folder. They stay in memory, or open, for a second. Any thread.
class StaticFiles {
 public:
  explicit StaticFiles(std::string folder) : folder_(std::move(folder)) {}

  // What is there and not old; null if there is nothing. `target` is that of a request.
  std::shared_ptr<const StaticFile> find(std::string_view target, absl::Time now);

  // Opens the file that a target names. It blocks. Errors: InvalidArgument for a target that leads
  // elsewhere, and those of epore::File; NotFound also for what is no regular file.
  absl::StatusOr<std::shared_ptr<const StaticFile>> open(const std::string& target);

 private:
  const std::string folder_;
  absl::Mutex mutex_;
  std::size_t cached_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const StaticFile>> cache_
      ABSL_GUARDED_BY(mutex_);
};

// The path below the folder; none if it would lead out of it. "/a%20b?c" is "a b", "/" and "/a/"
// are "index.html" and "a/index.html", and so are "http://host" and "http://host/a/", which a
// server must take as well (RFC 9112, 3.2.2).
std::optional<std::string> path_of(std::string_view target);

}  // namespace examples

#endif  // EPORE_EXAMPLES_STATIC_FILES_H_
