#include "tests/bench/arena/goals.h"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/arena/verdict.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/sample.h"

namespace epore::bench {
namespace {

using Bound = Goal::Bound;

constexpr std::string_view kWorkers = "epore:dispatch=workers";
constexpr std::string_view kPollThread = "epore:dispatch=poll_thread";
constexpr std::string_view kCoroutine = "epore:handler=coroutine";
constexpr double kIdleBytes = 512;
constexpr double kIdleBytesOfTask = 1024;

// Some of the contenders, of which the best one in each trial counts: nobody has to choose well for
// them.
struct Group {
  std::string_view name;
  bool (*has)(const ContenderSpec&);
};

bool has_flag(const ContenderSpec& spec, std::string_view begin) {
  return std::any_of(spec.flags.begin(), spec.flags.end(),
                     [&](const std::string& flag) { return absl::StartsWith(flag, begin); });
}

constexpr Group kBareLoop = {kFloor,
                             [](const ContenderSpec& spec) { return spec.label == kFloor; }};
constexpr Group kWithCallbacks = {kOurs,
                                  [](const ContenderSpec& spec) { return spec.label == kOurs; }};
constexpr Group kOnPollThread = {
    kPollThread, [](const ContenderSpec& spec) { return spec.label == kPollThread; }};
constexpr Group kAsioOneThread = {"Asio's best with one thread", [](const ContenderSpec& spec) {
                                    return spec.name == "asio" && !has_flag(spec, "--threads") &&
                                           !has_flag(spec, "--contexts");
                                  }};
constexpr Group kAsioThreads = {"Asio's best with several threads", [](const ContenderSpec& spec) {
                                  return spec.name == "asio" && has_flag(spec, "--threads");
                                }};

class Goals {
 public:
  explicit Goals(const ArenaResult& result) : result_(result) {}

  std::vector<Goal> all() {
    echo(kOurs, kBareLoop, {50, 500}, 1.02);
    echo(kOurs, kAsioOneThread, {50, 500}, 1);
    echo(kOurs, kAsioThreads, {50, 500}, 0.85);
    echo(kWorkers, kBareLoop, {50}, 1.30);
    echo(kWorkers, kBareLoop, {500}, 1.30);
    echo(kCoroutine, kWithCallbacks, {50}, 1.05);
    echo(kCoroutine, kWithCallbacks, {500}, 1.05);
    if (const auto p99 = compare("neighbour/50", kOurs, kAsioThreads, kP99)) {
      ratio_at_most(absl::StrCat("beside a slow neighbour: p99 x ", kAsioThreads.name),
                    Verdict::of_ratios(*p99, false), 1);
    }
    if (const auto rate = compare("neighbour/50", kOurs, kAsioThreads, kRate)) {
      ratio_at_least(absl::StrCat("beside a slow neighbour: rate x ", kAsioThreads.name),
                     Verdict::of_ratios(*rate, true), 1);
    }
    rooms();
    cpu_heavy();
    idle();
    micro();
    return std::move(goals_);
  }

 private:
  void at_most(std::string text, double value, double limit) {
    goals_.push_back({std::move(text), value, Bound::at_most, limit});
  }
  void ratio_at_most(std::string text, const Verdict& verdict, double limit) {
    goals_.push_back({std::move(text), verdict.ratio, Bound::at_most, limit, verdict.interval});
  }
  void ratio_at_least(std::string text, const Verdict& verdict, double limit) {
    goals_.push_back({std::move(text), verdict.ratio, Bound::at_least, limit, verdict.interval});
  }

  // Ratios by round to the best of `theirs`; none, unless both took part.
  std::optional<std::vector<double>> compare(std::string_view id, std::string_view ours,
                                             const Group& theirs, const Measure& measure) const {
    const TrialResult* const trial = find_trial(result_, id);
    const std::optional<std::size_t> our_index = find_contender(result_, ours);
    if (trial == nullptr || !our_index || trial->samples[*our_index].empty()) return std::nullopt;
    const std::optional<std::size_t> best = best_of(result_, *trial, measure, theirs.has);
    if (!best || !result_.contenders[*best].skipped.empty()) return std::nullopt;
    return ratios(trial->samples[*our_index], trial->samples[*best], measure.value);
  }

  // The mean over numbers of connections of the CPU per small message.
  void echo(std::string_view who, const Group& base, std::initializer_list<int> connections,
            double limit) {
    std::vector<std::vector<double>> all;
    for (const int count : connections) {
      const auto one = compare(absl::StrCat("echo/", count, "x64x1"), who, base, kCpu);
      if (!one) return;
      all.push_back(*one);
    }
    const std::string text =
        absl::StrCat(who == kOurs ? "" : absl::StrCat(who, ": "), "echo, CPU per message x ",
                     base.name, connections.size() == 1 ? ", " : ", mean over ",
                     absl::StrJoin(connections, ", "), " connections");
    ratio_at_most(text, Verdict::of_ratios(means_by_round(all), /*more_is_better=*/false), limit);
  }

  // A thread that waits for a lock is no reason for another one to wait for it too.
  void rooms() {
    for (const TrialResult& trial : result_.trials) {
      if (trial.trial.group != "room") continue;
      if (const auto cpu = compare(trial.trial.id, kOurs, kOnPollThread, kCpu)) {
        ratio_at_most(absl::StrCat(trial.trial.id, ", CPU per delivery x ", kPollThread),
                      Verdict::of_ratios(*cpu, /*more_is_better=*/false), 1.15);
      }
    }
  }

  void cpu_heavy() {
    const std::optional<std::size_t> ours = find_contender(result_, kOurs);
    const std::optional<Verdict> factor = ours ? scaling(result_, *ours) : std::nullopt;
    if (!factor) return;
    ratio_at_least("CPU-heavy handlers: rate on all cores x one core", *factor, 1.8);
  }

  void idle() {
    const std::optional<std::size_t> ours = find_contender(result_, kOurs);
    if (!ours || *ours >= result_.idle.size()) return;
    const IdleCost& cost = result_.idle[*ours];
    if (!cost.absence.why.empty()) return;
    at_most("an idle connection, timeout armed: bytes of memory", cost.bytes_per_connection,
            kIdleBytes);
    at_most("idle connections, timeouts armed: wakeups a minute", cost.wakeups_per_minute, 0);
  }

  void micro() {
    const MicroResult& micro = result_.micro;
    if (micro.has_heap && !micro.memory.bytes.empty()) {
      at_most("an idle connection, timeout armed: bytes from malloc()", micro.memory.bytes[0],
              kIdleBytes);
    }
    if (micro.has_heap && !micro.task_memory.bytes.empty()) {
      at_most("an idle connection, its coroutine's deadline armed: bytes from malloc()",
              micro.task_memory.bytes[0], kIdleBytesOfTask);
    }
    double most = 0;
    for (const MicroRow& row : micro.rows) {
      if (!absl::StrContains(row.name, "expiry")) {
        most = std::max(most, row.costs[0].allocations);
      }
      if (row.limit == 0 || row.costs.size() < 2) continue;
      ratio_at_most(absl::StrCat(row.name, ": time x asio"), micro_verdict(row), row.limit);
    }
    // Some for a whole round are none for each of its operations.
    if (micro.has_heap && !micro.rows.empty()) {
      at_most("allocations for each post, message and re-armed timer", most, 0.01);
    }
  }

  const ArenaResult& result_;
  std::vector<Goal> goals_;
};

}  // namespace

std::vector<Goal> goals(const ArenaResult& result) { return Goals(result).all(); }

}  // namespace epore::bench
