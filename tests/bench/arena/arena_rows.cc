#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/goals.h"
#include "tests/bench/arena/verdict.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

double median_ratio(const std::vector<double>& ours, const std::vector<double>& theirs) {
  std::vector<double> all;
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    if (theirs[i] > 0) all.push_back(ours[i] / theirs[i]);
  }
  return quartiles(all).median;
}

std::string number(double value, int digits) { return absl::StrFormat("%.*f", digits, value); }

// "1.03", "0.333", "512"
std::string short_number(double value) {
  const int digits = value >= 100 || value == std::floor(value) ? 0 : 3;
  return number(value, digits);
}

}  // namespace

Rows goal_rows(const ArenaResult& result) {
  Rows rows = {{"goal", "measured [interval]", "wanted", ""}};
  for (const Goal& goal : goals(result)) {
    const char* const bound = goal.bound == Goal::Bound::at_most ? "at most " : "at least ";
    std::string measured = short_number(goal.value);
    if (goal.interval.confidence > 0) {
      absl::StrAppend(&measured, " [", short_number(goal.interval.low), " ",
                      short_number(goal.interval.high), "]");
    }
    rows.push_back({goal.text, measured, absl::StrCat(bound, short_number(goal.limit)),
                    goal.is_met() ? "met" : "not met"});
  }
  return rows.size() > 1 ? rows : Rows();
}

Rows scaling_rows(const ArenaResult& result) {
  Rows rows = {{"CPU-heavy handlers", "rate on all cores x one core [interval]"}};
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    const std::optional<Verdict> factor = scaling(result, i);
    if (!factor) continue;
    rows.push_back({result.contenders[i].spec.label,
                    absl::StrFormat("%.2f [%.2f %.2f]", factor->ratio, factor->interval.low,
                                    factor->interval.high)});
  }
  return rows.size() > 1 ? rows : Rows();
}

Rows idle_rows(const ArenaResult& result) {
  if (result.idle.empty()) return {};
  Rows rows = {{absl::StrCat(result.options.idle_connections, " idle connections"), "idle timeout",
                "bytes for each", "wakeups a minute"}};
  for (std::size_t i = 0; i < result.idle.size(); ++i) {
    const IdleCost& cost = result.idle[i];
    if (!cost.absence.why.empty()) continue;
    rows.push_back({result.contenders[i].spec.label, cost.has_timeout ? "armed" : "has none",
                    number(cost.bytes_per_connection, 0), number(cost.wakeups_per_minute, 0)});
  }
  return rows;
}

Rows micro_rows(const ArenaResult& result) {
  const MicroResult& micro = result.micro;
  if (micro.rows.empty()) return {};
  const bool has_other = micro.names.size() > 1;
  Rows rows = {{"ns for one"}};
  for (const std::string& name : micro.names) {
    rows[0].insert(rows[0].end(), {name, "allocations"});
  }
  if (has_other) rows[0].insert(rows[0].end(), {"time x asio [interval]", "wanted"});
  for (const MicroRow& row : micro.rows) {
    std::vector<std::string>& cells = rows.emplace_back();
    cells.push_back(row.name);
    for (const MicroCost& cost : row.costs) {
      cells.push_back(number(quartiles(cost.wall_ns).median, 0));
      cells.push_back(micro.has_heap ? number(cost.allocations, 3) : "?");
    }
    if (has_other) {
      const Verdict verdict = micro_verdict(row);
      cells.push_back(absl::StrFormat("%.2f [%.2f %.2f]", verdict.ratio, verdict.interval.low,
                                      verdict.interval.high));
      cells.push_back(row.limit > 0 ? absl::StrCat("at most ", number(row.limit, 2)) : "");
    }
  }
  if (micro.has_heap && !micro.memory.bytes.empty()) {
    std::vector<std::string>& cells = rows.emplace_back();
    cells.emplace_back("bytes of an idle connection, timeout armed");
    for (const double bytes : micro.memory.bytes) {
      cells.insert(cells.end(), {number(bytes, 0), ""});
    }
    if (has_other) {
      cells.insert(cells.end(), {number(micro.memory.bytes[0] / micro.memory.bytes[1], 2), ""});
    }
  }
  return rows;
}

Rows compile_rows(const ArenaResult& result) {
  if (result.compile.empty()) return {};
  Rows rows = {{"CPU seconds of g++", "epore", "Boost.Asio", "ratio"}};
  for (const CompilePair& pair : result.compile) {
    const bool has_asio = !pair.asio.empty();
    rows.push_back({pair.name, number(quartiles(pair.epore).median, 2),
                    has_asio ? number(quartiles(pair.asio).median, 2) : "no Boost",
                    has_asio ? number(median_ratio(pair.epore, pair.asio), 2) : ""});
  }
  return rows;
}

Rows size_rows(const ArenaResult& result) {
  if (result.sizes.empty()) return {};
  Rows rows = {{"program", "KiB of code and data"}};
  for (const ProgramSize& size : result.sizes) {
    rows.push_back({size.name, absl::StrCat(size.loaded_bytes / 1024)});
  }
  return rows;
}

}  // namespace epore::bench
