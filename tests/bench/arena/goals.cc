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
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/arena/verdict.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/sample.h"

namespace epore::bench {
namespace {

using Bound = Goal::Bound;

constexpr std::string_view kWorkers = "epore:dispatch=workers";
constexpr std::string_view kPollThread = "epore:dispatch=poll_thread";
constexpr double kIdleBytes = 512;

// Both sides' samples of a trial.
struct Pair {
  const std::vector<Sample>& ours;
  const std::vector<Sample>& theirs;
};

class Goals {
 public:
  explicit Goals(const ArenaResult& result) : result_(result) {}

  std::vector<Goal> all() {
    echo(kOurs, "epoll", {1, 50, 500}, 1.03);
    echo(kOurs, "asio", {1, 50, 500}, 0.95);
    const std::string threads = asio_threads();
    echo(kOurs, threads, {1, 50, 500}, 0.85);
    echo(kWorkers, "epoll", {50}, 1.30);
    echo(kWorkers, "epoll", {500}, 1.30);
    if (const auto pair = find("neighbour/50", kOurs, threads)) {
      ratio_at_most(absl::StrCat("beside a slow neighbour: p99 x ", threads), verdict(*pair, kP99),
                    1);
      ratio_at_least(absl::StrCat("beside a slow neighbour: rate x ", threads),
                     verdict(*pair, kRate), 1);
    }
    rooms();
    cpu_heavy();
    idle();
    micro();
    return std::move(goals_);
  }

 private:
  static Verdict verdict(const Pair& pair, const Measure& measure) {
    return Verdict::of(pair.ours, pair.theirs, measure);
  }

  void at_most(std::string text, double value, double limit) {
    goals_.push_back({std::move(text), value, Bound::at_most, limit});
  }
  void ratio_at_most(std::string text, const Verdict& verdict, double limit) {
    goals_.push_back({std::move(text), verdict.ratio, Bound::at_most, limit, verdict.interval});
  }
  void ratio_at_least(std::string text, const Verdict& verdict, double limit) {
    goals_.push_back({std::move(text), verdict.ratio, Bound::at_least, limit, verdict.interval});
  }

  // None, unless both took part.
  std::optional<Pair> find(std::string_view id, std::string_view ours,
                           std::string_view theirs) const {
    const TrialResult* const trial = find_trial(result_, id);
    const std::optional<std::size_t> our_index = find_contender(result_, ours);
    const std::optional<std::size_t> their_index = find_contender(result_, theirs);
    if (trial == nullptr || !our_index || !their_index) return std::nullopt;
    const Pair pair = {trial->samples[*our_index], trial->samples[*their_index]};
    if (pair.ours.empty() || pair.theirs.empty()) return std::nullopt;
    return pair;
  }

  // Asio with as many threads as there are cores, wherever it is given.
  std::string asio_threads() const {
    for (const Contender& contender : result_.contenders) {
      if (absl::StartsWith(contender.spec.label, "asio:threads=")) return contender.spec.label;
    }
    return "";
  }

  // The mean over numbers of connections of the CPU per small message, relative to `base`.
  void echo(std::string_view who, std::string_view base, std::initializer_list<int> connections,
            double limit) {
    double sum = 0;
    Verdict last;
    std::string counts;
    for (const int count : connections) {
      const auto pair = find(absl::StrCat("echo/", count, "x64x1"), who, base);
      if (!pair) return;
      last = verdict(*pair, kCpu);
      sum += last.ratio;
      absl::StrAppend(&counts, counts.empty() ? "" : ", ", count);
    }
    const std::string text = absl::StrCat(who == kOurs ? "" : absl::StrCat(who, ": "),
                                          "echo, CPU per message x ", base, ", ");
    if (connections.size() == 1) {
      ratio_at_most(absl::StrCat(text, counts, " connections"), last, limit);
    } else {
      at_most(absl::StrCat(text, "mean over ", counts, " connections"),
              sum / static_cast<double>(connections.size()), limit);
    }
  }

  // A thread that waits for a lock is no reason for another one to wait for it too.
  void rooms() {
    for (const TrialResult& trial : result_.trials) {
      if (trial.trial.group != "room") continue;
      if (const auto pair = find(trial.trial.id, kOurs, kPollThread)) {
        ratio_at_most(absl::StrCat(trial.trial.id, ", CPU per delivery x ", kPollThread),
                      verdict(*pair, kCpu), 1.15);
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
