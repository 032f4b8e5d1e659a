// Keeps copies of a program running: starts those again that end, with a growing pause, prints what
// they say, and restarts all of them on SIGHUP.

#include <signal.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"

ABSL_FLAG(int, children, 2, "how many copies run");
ABSL_FLAG(absl::Duration, longest_pause, absl::Seconds(10),
          "the longest time before a copy is started again");
ABSL_FLAG(absl::Duration, grace, absl::Seconds(5), "between SIGTERM and SIGKILL");

namespace {

constexpr std::string_view kHelp = R"(
process_pool [FLAGS] -- PROGRAM [ARGUMENT...]

Keeps copies of a program running. Their lines are printed with a number in front. What a copy
leaves running is heard for a second after its end.

  --children=N         how many, at most 1000; default 2
  --longest-pause=10s  before a copy that has ended is started again; the first pause is 100 ms
  --grace=5s           the time between SIGTERM and SIGKILL

SIGHUP restarts all copies. SIGTERM asks them to end and waits for them.
)";

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kRunsWell = absl::Seconds(10);  // then the pause begins anew

constexpr absl::Duration kLastWords = absl::Seconds(1);
constexpr int kMostChildren = 1000;

constexpr std::size_t kLongestLine = 64 * 1024;

struct Pool {
  std::vector<std::string> command;
  absl::Duration longest_pause;
  absl::Duration grace;
};

void say(int number, std::string_view text) {
  const std::string line = absl::StrCat(number, ": ", text, "\n");
  std::fwrite(line.data(), 1, line.size(), stdout);  // text may have zero bytes
  std::fflush(stdout);
}

// A line that is too long is printed in pieces, and the last one also if it has no end.
epore::Task<> print_lines(int number, epore::Connection from) {
  while (true) {
    const auto line = co_await from.read_until("\n", kLongestLine).result();
    if (line.ok()) {
      say(number, line->text().substr(0, line->size() - 1));
      continue;
    }
    // The start of a line that is too long, or what is there at the end.
    const bool is_long = absl::IsResourceExhausted(line.status());
    absl::StatusOr<epore::ByteView> piece;
    if (is_long) {
      piece = co_await from.read_exactly(kLongestLine).result();
    } else {
      piece = co_await from.read().result();
    }
    if (!piece.ok() || piece->empty()) co_return;  // the end
    say(number, piece->text());
  }
}

// What the child has left running may have the pipe, and keep it open without end. It is heard for
// a moment after the child's end.
epore::Task<> end_of(epore::Child child) {
  (void)co_await child.wait().result();
  co_await epore::sleep_for(kLastWords);
}

epore::Task<> print_to_the_end(int number, epore::Child child) {
  co_await epore::any(print_lines(number, child.output()), end_of(child));
}

// Ends the child's whole group, at first politely.
epore::Task<epore::ExitStatus> end(const Pool& pool, epore::Child child) {
  (void)child.kill_group(SIGTERM);
  const auto ended = co_await epore::within(pool.grace, child.wait()).result();
  if (!ended.ok()) (void)child.kill_group(SIGKILL);
  const epore::ExitStatus status = co_await child.wait();
  co_return status;
}

// Waits until the child has ended. Ends it on SIGHUP, and when the pool is stopped.
epore::Task<> watch(const Pool& pool, int number, epore::Child child, epore::Signal& hangup) {
  const auto first = co_await epore::any(child.wait(), hangup.wait()).result();
  const epore::ExitStatus status = co_await epore::shield(end(pool, child));
  say(number, status.to_string());
  co_await first.status();  // of a stop
}

epore::Task<> keep_running(const Pool& pool, int number, epore::Signal hangup) {
  const epore::ChildOptions options = {.output = epore::ChildStream::pipe(), .own_group = true};
  absl::Duration pause = kFirstPause;
  while (true) {
    const absl::Time start = absl::Now();
    auto child = co_await epore::start_child(pool.command, options).result();
    if (child.ok()) {
      say(number, absl::StrCat("pid ", child->pid()));
      co_await epore::all(watch(pool, number, *child, hangup),
                          epore::shield(print_to_the_end(number, *child)));
    } else {
      say(number, child.status().message());
    }
    if (absl::Now() - start > kRunsWell) pause = kFirstPause;
    co_await epore::sleep_for(pause);
    pause = std::min(2 * pause, pool.longest_pause);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Pool pool;
  pool.command = examples::parse_command_line(argc, argv, kHelp);
  if (pool.command.empty()) examples::usage_error("no program to run");
  pool.longest_pause = absl::GetFlag(FLAGS_longest_pause);
  pool.grace = absl::GetFlag(FLAGS_grace);
  const int children = absl::GetFlag(FLAGS_children);
  if (children < 1 || children > kMostChildren) {
    examples::usage_error(absl::StrCat("--children=", children, ": 1 to ", kMostChildren));
  }
  for (const auto& [name, value] :
       {std::pair("longest-pause", pool.longest_pause), {"grace", pool.grace}}) {
    if (value > absl::ZeroDuration()) continue;
    examples::usage_error(
        absl::StrCat("--", name, "=", absl::FormatDuration(value), ": more than zero"));
  }

  epore::Runtime runtime({.drain_timeout = 2 * pool.grace});
  const absl::StatusOr<epore::Signal> hangup = runtime.on_signal(SIGHUP);
  if (!hangup.ok()) return epore::report(hangup.status());
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  for (int number = 0; number < children; ++number) {
    runtime.spawn(keep_running, std::cref(pool), number, *hangup);
  }
  return epore::report(runtime.run_service());
}
