#ifndef EPORE_RUNTIME_LANE_H_
#define EPORE_RUNTIME_LANE_H_

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "epore/runtime/internal/base/ref.h"

namespace epore {

namespace internal {
class BlockingCall;
class BlockingPool;
}  // namespace internal

// The name of a lane: a text of which the first 31 characters are kept, as the threads have 15. It
// needs no destructor: gcc 12 would call it twice for `co_await runtime.lane({.name = "disk"})`.
class LaneName {
 public:
  // What converts to a std::string_view.
  template <std::convertible_to<std::string_view> Text>
  LaneName(const Text& text) {  // NOLINT(google-explicit-constructor)
    const std::string_view all = text;
    size_ = static_cast<std::uint8_t>(all.copy(text_.data(), text_.size() - 1));
  }

  operator std::string_view() const {  // NOLINT(google-explicit-constructor)
    return {text_.data(), size_};
  }
  const char* c_str() const { return text_.data(); }

  friend bool operator==(const LaneName&, const LaneName&) = default;

 private:
  std::array<char, 32> text_ = {};  // ends with a zero
  std::uint8_t size_ = 0;
};

// The options of Runtime::lane().
struct LaneOptions {
  LaneName name = "lane";  // of its threads, which the system cuts to 15 characters; not empty
  int threads = 4;         // the most, from 1 to 1000; they start on demand and stay

  // The most calls that wait while all threads are taken. Beyond it blocking() ends with
  // ResourceExhausted at once, so that a disk that hangs does not collect calls without end.
  std::size_t queue = 1000;

  // Checks the values; lane() does so as well. Errors: InvalidArgument.
  absl::Status check() const;
};

static_assert(std::is_trivially_destructible_v<LaneOptions>);

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
  Lane();  // that of the runtime itself: at most eight threads; RuntimeOptions::blocking_queue
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
