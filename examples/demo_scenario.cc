#include "examples/demo_scenario.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "examples/acceptance_scenario.h"
#include "examples/terminal.h"

namespace examples {
namespace {

// The time line: a row for each delay, a mark in it for each worker that got its answer.
class Timeline {
 public:
  Timeline(Terminal& terminal, const ScenarioOptions& options)
      : terminal_(terminal), options_(options), rows_(options.requests) {}

  void note(const ScenarioAnswer& answer) {
    const absl::MutexLock lock(&mutex_);
    Row& row = rows_[answer.request];
    ++(answer.status.ok() ? row.answered : row.failed);
    row.latest = std::max(row.latest, answer.taken - answer.asked);
    if (!answer.status.ok()) error_ = answer.status;
    if (row.answered + row.failed == options_.workers) terminal_.print(describe(answer.asked, row));
    show();
  }

  // The line below, with the time that has passed.
  void tick() {
    const absl::MutexLock lock(&mutex_);
    show();
  }

  absl::Status error() const {
    const absl::MutexLock lock(&mutex_);
    return error_;
  }

 private:
  struct Row {
    int answered = 0;
    int failed = 0;
    absl::Duration latest;
  };

  std::string describe(absl::Duration asked, const Row& row) const {
    std::string marks;
    for (int i = 0; i < row.answered; ++i) marks += terminal_.look().is_utf8 ? "■ " : "# ";
    std::string failures;
    for (int i = 0; i < row.failed; ++i) failures += terminal_.look().is_utf8 ? "✗ " : "x ";
    return absl::StrFormat("  %4.1f s  %s%s %s", absl::ToDoubleSeconds(asked),
                           terminal_.green(marks), terminal_.red(failures),
                           terminal_.faint(absl::StrFormat(
                               "at most %.1f ms late", absl::ToDoubleMilliseconds(row.latest))));
  }

  void show() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    int done = 0;
    for (const Row& row : rows_) done += row.answered + row.failed;
    const int all = options_.workers * options_.requests;
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start_;
    terminal_.show_progress(absl::StrFormat("  %4.1f s  %s %d of %d answered", time.count(),
                                            terminal_.bar(static_cast<double>(done) / all, 24),
                                            done, all));
  }

  Terminal& terminal_;
  const ScenarioOptions& options_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  mutable absl::Mutex mutex_;
  std::vector<Row> rows_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status show_scenario(Terminal& terminal, const ScenarioOptions& options) {
  Timeline timeline(terminal, options);
  absl::Notification is_over;
  std::thread clock([&] {
    while (!is_over.WaitForNotificationWithTimeout(absl::Milliseconds(50))) timeline.tick();
  });
  const absl::StatusOr<ScenarioResult> result = run_acceptance_scenario(
      options, [&](const ScenarioAnswer& answer) { timeline.note(answer); });
  is_over.Notify();
  clock.join();
  terminal.show_progress("");
  if (!result.ok()) return result.status();
  terminal.print(absl::StrFormat("  %d of %d answered after %.2f s", result->answered,
                                 result->answered + result->failed,
                                 absl::ToDoubleSeconds(result->taken)));
  return timeline.error();
}

}  // namespace examples
