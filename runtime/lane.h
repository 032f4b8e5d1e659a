#ifndef EPORE_RUNTIME_LANE_H_
#define EPORE_RUNTIME_LANE_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {

namespace internal {
class BlockingCall;
class BlockingPool;
}  // namespace internal

// The options of Runtime::lane().
struct LaneOptions {
  std::string name = "lane";  // of its threads, which the system cuts to 15 characters; not empty
  int threads = 4;            // the most, from 1 to 1000; they start on demand and stay

  // The most calls that wait while all threads are taken. Beyond it blocking() ends with
  // ResourceExhausted at once, so that a disk that hangs does not collect calls without end.
  std::size_t queue = 1000;

  // Checks the values; lane() does so as well. Errors: InvalidArgument.
  absl::Status check() const;
};

// A Lane is threads for calls that block: blocking(lane, function). Calls of one lane wait for each
// other, and for nothing else. So a name server that does not answer holds up no file, if each has
// a lane of its own.
//
//   const absl::StatusOr<epore::Lane> disk = runtime.lane({.name = "disk", .threads = 2});
//   ...
//   const std::string text = co_await epore::read_file(path, *disk);
//
// Threads: any. Ownership, lifetime: a handle; copies name the same lane. Its threads live as long
// as the runtime, so make few lanes, at the start.
class Lane {
 public:
  Lane();  // that of the runtime itself: at most eight threads, any number of calls wait
  Lane(const Lane&);
  Lane(Lane&&) noexcept;
  Lane& operator=(const Lane&);
  Lane& operator=(Lane&&) noexcept;
  ~Lane();

  // Whether both handles name the same lane.
  friend bool operator==(const Lane& a, const Lane& b) { return a.pool_.get() == b.pool_.get(); }

 private:
  friend class internal::BlockingCall;
  friend class internal::BlockingPool;
  explicit Lane(internal::Ref<internal::BlockingPool> pool);

  internal::Ref<internal::BlockingPool> pool_;
};

}  // namespace epore

#endif  // EPORE_RUNTIME_LANE_H_
