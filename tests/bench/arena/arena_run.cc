#include "tests/bench/arena/arena_run.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/bench/affinity.h"
#include "tests/bench/arena/idle_cost.h"
#include "tests/bench/arena/program_size.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/calm_rounds.h"
#include "tests/bench/compile_times.h"
#include "tests/bench/contender_set.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/echo_round.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/micro_side.h"
#include "tests/bench/sample.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

// About how much of the whole time each part takes, for the progress.
class Share {
 public:
  Share(ArenaProgress progress, double begin, double end)
      : progress_(progress), begin_(begin), end_(end) {}
  void operator()(std::string_view what, double done) const {
    progress_(what, begin_ + (end_ - begin_) * done);
  }

 private:
  ArenaProgress progress_;
  double begin_, end_;
};

std::vector<ContenderSpec> with_flags(std::vector<ContenderSpec> specs,
                                      const std::vector<std::string>& flags) {
  for (ContenderSpec& spec : specs) {
    spec.flags.insert(spec.flags.end(), flags.begin(), flags.end());
  }
  return specs;
}

// Keeps the label of who took no part, and the version of who did in any trial.
void merge(std::vector<Contender>& known, const std::vector<Contender>& more,
           const std::vector<ContenderSpec>& specs) {
  if (known.empty()) {
    for (const ContenderSpec& spec : specs) known.push_back({.spec = spec});
  }
  for (std::size_t i = 0; i < more.size(); ++i) {
    if (!more[i].version.empty()) {
      known[i] = {.spec = known[i].spec, .version = more[i].version};
    } else if (known[i].version.empty()) {
      known[i] = {
          .spec = known[i].spec, .skipped = more[i].skipped, .has_failed = more[i].has_failed};
    }
  }
}

// The rounds of one trial. Who fails is out until the servers are started anew.
void run_trial(const ArenaOptions& options, const CorePlan& cores, ContenderSet& set,
               TrialResult& result, const Share& progress) {
  const Trial& trial = result.trial;
  const std::size_t count = set.size();
  result.samples.resize(count);
  result.absences.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Contender& contender = set.contenders()[i];
    result.absences[i] = {.why = contender.skipped, .is_failure = contender.has_failed};
  }
  CalmRounds rounds(options.rounds * static_cast<int>(count),
                    {.has_own_core = trial.cores == Cores::one && !cores.is_shared(),
                     .is_closed_loop = trial.is_closed_loop});
  for (int round = 0; round < options.rounds; ++round) {
    for (std::size_t turn = 0; turn < count; ++turn) {
      const std::size_t index = set.in_turn(round, turn);
      EchoServer* const server = set.server(index);
      if (server == nullptr) continue;
      progress(absl::StrCat(trial.group, ": ", trial.title, ", round ", round + 1, " of ",
                            options.rounds, ": ", server->label()),
               (round + static_cast<double>(turn) / static_cast<double>(count)) / options.rounds);
      absl::StatusOr<Sample> sample =
          rounds.take([&] { return trial.run(*server, options.round); });
      if (sample.ok()) {
        result.samples[index].push_back(*sample);
        continue;
      }
      result.absences[index] = {
          .why = std::string(explain(sample.status(), *server, trial.title).message()),
          .is_failure = true};
      result.samples[index].clear();
      set.drop(index);
    }
  }
  result.tally = rounds.tally();
}

bool has_failure(const TrialResult& trial) {
  return std::any_of(trial.absences.begin(), trial.absences.end(),
                     [](const Absence& absence) { return absence.is_failure; });
}

// What the servers are up to when they should end is no reason to lose what they did before.
void stop(ContenderSet& set, ArenaResult& result) {
  if (const absl::Status status = set.stop(); !status.ok()) {
    result.notes.push_back(absl::StrCat("did not end as it should: ", status.message()));
  }
}

// Somebody ran and was dropped: may do so again.
bool has_dropped(ContenderSet& set) {
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (set.server(i) == nullptr && set.contenders()[i].skipped.empty()) return true;
  }
  return false;
}

// All trials, one after the other, on the same servers as long as these need the same flags.
absl::Status run_trials(const ArenaOptions& options, ArenaResult& result, const Share& progress) {
  const double total = static_cast<double>(options.trials.size());
  std::optional<ContenderSet> set;
  for (std::size_t i = 0; i < options.trials.size(); ++i) {
    const Trial& trial = options.trials[i];
    std::optional<ScopedPin> pin;
    if (trial.cores == Cores::one) pin.emplace(result.cores.load);
    if (pin && !pin->status().ok()) return pin->status();
    if (!set || !same_servers(trial, options.trials[i - 1]) || has_dropped(*set)) {
      if (set) stop(*set, result);
      set.reset();
      set = ContenderSet::start_who_can(with_flags(options.contenders, trial.server_flags),
                                        trial.cores == Cores::one ? result.cores.server : -1);
      merge(result.contenders, set->contenders(), options.contenders);
    }
    TrialResult& trial_result = result.trials.emplace_back();
    trial_result.trial = trial;
    const absl::Time start = absl::Now();
    run_trial(options, result.cores, *set, trial_result,
              Share(progress, static_cast<double>(i) / total, static_cast<double>(i + 1) / total));
    trial_result.elapsed = absl::Now() - start;
  }
  if (set) stop(*set, result);
  return absl::OkStatus();
}

void run_idle(const ArenaOptions& options, ArenaResult& result, const Share& progress) {
  const ScopedPin pin(result.cores.load);
  std::vector<Contender> started;
  for (std::size_t i = 0; i < options.contenders.size(); ++i) {
    const ContenderSpec& spec = options.contenders[i];
    progress(absl::StrCat(options.idle_connections, " idle connections: ", spec.label),
             static_cast<double>(i) / static_cast<double>(options.contenders.size()));
    result.idle.push_back(measure_idle(spec, {.connections = options.idle_connections,
                                              .window = options.idle_window,
                                              .core = result.cores.server}));
    const IdleCost& cost = result.idle.back();
    started.push_back({.spec = spec,
                       .version = cost.version,
                       .skipped = cost.absence.why,
                       .has_failed = cost.absence.is_failure});
  }
  merge(result.contenders, started, options.contenders);
}

absl::Status run_micro_costs(const ArenaOptions& options, ArenaResult& result,
                             const Share& progress) {
  std::vector<std::unique_ptr<MicroSide>> sides;
  sides.push_back(make_epore_side(std::nullopt, 0));
  if (std::unique_ptr<MicroSide> asio = make_asio_side()) sides.push_back(std::move(asio));
  absl::StatusOr<MicroResult> micro =
      run_micro(sides, {.rounds = options.micro_rounds, .scale = options.micro_scale, .filter = {}},
                progress);
  if (!micro.ok()) return micro.status();
  result.micro = *std::move(micro);
  return absl::OkStatus();
}

}  // namespace

absl::Status ArenaOptions::check() const {
  if (contenders.empty()) return absl::InvalidArgumentError("there must be a contender");
  if (rounds < 1) return absl::InvalidArgumentError("there must be a round");
  if (round < absl::Milliseconds(1) || round > absl::Hours(1)) {
    return absl::InvalidArgumentError("a round must take a millisecond to an hour");
  }
  return absl::OkStatus();
}

RoundTally ArenaResult::tally() const {
  RoundTally sum;
  for (const TrialResult& trial : trials) sum.add(trial.tally);
  return sum;
}

bool ArenaResult::has_failures() const {
  return std::any_of(trials.begin(), trials.end(), has_failure) ||
         std::any_of(idle.begin(), idle.end(),
                     [](const IdleCost& cost) { return cost.absence.is_failure; });
}

absl::StatusOr<ArenaResult> run_arena(const ArenaOptions& options, ArenaProgress progress) {
  if (absl::Status status = options.check(); !status.ok()) return status;
  const absl::Time start = absl::Now();
  ArenaResult result;
  result.options = options;
  result.cores = CorePlan::make();
  // Inherited by the servers, which have as many connections as the load.
  if (absl::Status status = reserve_descriptors(std::max(options.idle_connections, 2'500));
      !status.ok()) {
    return status;
  }
  double begin = 0;
  const double trials_end = options.trials.empty() ? 0 : 0.85;
  if (!options.trials.empty()) {
    absl::Status status = run_trials(options, result, Share(progress, 0, trials_end));
    if (!status.ok()) return status;
    begin = trials_end;
  }
  if (options.idle_connections > 0) run_idle(options, result, Share(progress, begin, 0.90));
  if (options.micro_rounds > 0) {
    absl::Status status = run_micro_costs(options, result, Share(progress, 0.90, 0.95));
    if (!status.ok()) result.notes.push_back(absl::StrCat("left out: micro: ", status.message()));
  }
  if (options.compile_rounds > 0) {
    const Share share(progress, 0.95, 1);
    absl::StatusOr<std::vector<CompilePair>> pairs =
        time_compiler("/usr/bin/g++", options.compile_rounds, "", share);
    if (pairs.ok()) {
      result.compile = *std::move(pairs);
    } else {
      result.notes.push_back(absl::StrCat("left out: compile: ", pairs.status().message()));
    }
  }
  if (options.has_sizes) {
    for (const ContenderSpec& spec : options.contenders) {
      absl::StatusOr<ProgramSize> size = ProgramSize::of_contender(spec.name);
      if (!size.ok()) {
        result.notes.push_back(absl::StrCat("left out: size: ", size.status().message()));
      } else if (std::none_of(result.sizes.begin(), result.sizes.end(),
                              [&](const ProgramSize& other) { return other.name == size->name; })) {
        result.sizes.push_back(*std::move(size));
      }
    }
  }
  result.elapsed = absl::Now() - start;
  return result;
}

}  // namespace epore::bench
