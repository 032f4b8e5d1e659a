#include "tests/bench/arena/arena_plan.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "tests/bench/affinity.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/arena/trials.h"
#include "tests/bench/contender_spec.h"

namespace epore::bench {
namespace {

// As measured, rounded up.
constexpr absl::Duration kStart = absl::Milliseconds(40);         // and stop, of a server
constexpr absl::Duration kConnect = absl::Microseconds(80);       // and close, a connection
constexpr absl::Duration kMicroRound = absl::Milliseconds(4000);  // of all cases on both sides
constexpr absl::Duration kCompileRound = absl::Seconds(20);       // of all programs

// As many threads, contexts and reactors as cores, where there are several of them. Quick: without
// those that are the best in no trial, or are there for completeness.
std::string all_contenders(bool is_quick) {
  const std::size_t cores = std::max<std::size_t>(2, allowed_cores().size());
  const std::string threads = absl::StrCat("asio:threads=", cores);
  const std::string contexts = absl::StrCat("asio:contexts=", cores);
  std::vector<std::string> all = {"epoll",
                                  "io_uring",
                                  "epore",
                                  "epore:dispatch=poll_thread",
                                  "epore:dispatch=workers",
                                  "epore:handler=coroutine",
                                  "asio",
                                  "asio:partial_reads",
                                  threads,
                                  threads + ":partial_reads:continuations",
                                  contexts + ":partial_reads",
                                  "libuv"};
  if (!is_quick) {
    all.insert(all.end(), {absl::StrCat("epore:reactors=", cores),
                           absl::StrCat("epore:dispatch=poll_thread:reactors=", cores),
                           threads + ":partial_reads", contexts, "asio_uring", "libevent"});
  }
  return absl::StrJoin(all, ",");
}

}  // namespace

ArenaOptions plan_arena(bool is_quick) {
  ArenaOptions options;
  options.contenders = parse_contenders(all_contenders(is_quick)).value();
  options.trials = make_trials(is_quick);
  if (is_quick) {
    options.rounds = 5;
    options.round = absl::Milliseconds(60);
    options.idle_connections = 1'000;
    options.idle_window = absl::Milliseconds(500);
    options.micro_rounds = 5;
    options.micro_scale = 0.2;
    options.compile_rounds = 0;
  }
  return options;
}

absl::Duration expected_time(const ArenaOptions& options) {
  const auto contenders = static_cast<double>(options.contenders.size());
  absl::Duration sum;
  for (std::size_t i = 0; i < options.trials.size(); ++i) {
    const Trial& trial = options.trials[i];
    sum += options.rounds * contenders * (1.2 * options.round + trial.overhead);
    if (i == 0 || !same_servers(trial, options.trials[i - 1])) sum += contenders * kStart;
  }
  if (options.idle_connections > 0) {
    sum += contenders * (kStart + options.idle_connections * kConnect + 1.2 * options.idle_window);
  }
  // One more to warm up and one to count allocations.
  if (options.micro_rounds > 0) {
    sum += (options.micro_rounds + 2) * options.micro_scale * kMicroRound;
  }
  if (options.compile_rounds > 0) sum += (options.compile_rounds + 1) * kCompileRound;
  return sum;
}

}  // namespace epore::bench
