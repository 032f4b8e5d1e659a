#ifndef EPORE_TESTS_SUPPORT_LOG_LINES_H_
#define EPORE_TESTS_SUPPORT_LOG_LINES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/log_severity.h"
#include "absl/base/thread_annotations.h"
#include "absl/log/log_entry.h"
#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"

namespace epore {

// The lines that the process logs while it lives, of some severity at least. Any thread.
class LogLines : public absl::LogSink {
 public:
  explicit LogLines(absl::LogSeverity least = absl::LogSeverity::kInfo) : least_(least) {
    absl::AddLogSink(this);
  }
  ~LogLines() override { absl::RemoveLogSink(this); }

  // How many have `part` in them.
  int count(std::string_view part) const {
    const absl::MutexLock lock(&mutex_);
    int count = 0;
    for (const std::string& line : lines_) count += line.find(part) != std::string::npos ? 1 : 0;
    return count;
  }
  bool has(std::string_view part) const { return count(part) > 0; }

  // The first one with `part` in it. Waits for it.
  std::string await(std::string_view part) const {
    const absl::MutexLock lock(&mutex_);
    std::size_t at = 0;  // of the first line that was not looked at
    const auto is_there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      while (at < lines_.size() && lines_[at].find(part) == std::string::npos) ++at;
      return at < lines_.size();
    };
    mutex_.Await(absl::Condition(&is_there));
    return lines_[at];
  }

  std::vector<std::string> all() const {
    const absl::MutexLock lock(&mutex_);
    return lines_;
  }
  std::string text() const { return absl::StrJoin(all(), "\n"); }

 private:
  void Send(const absl::LogEntry& entry) override {
    if (entry.log_severity() < least_) return;
    const absl::MutexLock lock(&mutex_);
    lines_.emplace_back(entry.text_message());
  }

  const absl::LogSeverity least_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_LOG_LINES_H_
