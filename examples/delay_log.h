#ifndef EPORE_EXAMPLES_DELAY_LOG_H_
#define EPORE_EXAMPLES_DELAY_LOG_H_

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace examples {

// Counts requests and prints a line for each as it arrives; those that come before open() have to
// wait for it. From any thread.
class DelayLog {
 public:
  explicit DelayLog(std::FILE* out) : out_(out) {}

  void open();

  // "#1 - 250ms: a message", flushed.
  void arrived(std::uint64_t milliseconds, std::string_view message);

 private:
  void print() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::FILE* const out_;
  absl::Mutex mutex_;  // so that the numbers are in the order of the lines
  std::uint64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_open_ ABSL_GUARDED_BY(mutex_) = false;
  std::string held_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace examples

#endif  // EPORE_EXAMPLES_DELAY_LOG_H_
