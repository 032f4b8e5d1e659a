#include "tests/bench/arena/arena_charts.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/svg_chart.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

// The class that gives a contender its colour.
std::string family(std::string_view name) {
  if (absl::StartsWith(name, "epore")) return "epore";
  if (absl::StartsWith(name, "asio")) return "asio";
  if (name == "libuv" || name == "libevent") return std::string(name);
  return "floor";
}

std::string measure_chart(const ArenaResult& result, const TrialResult& trial,
                          const Measure& measure, std::string_view title) {
  std::vector<Bar> bars;
  for (std::size_t i = 0; i < trial.samples.size(); ++i) {
    if (trial.samples[i].empty()) continue;
    const Quartiles q = quartiles(values(trial.samples[i], measure.value));
    bars.push_back({.label = result.contenders[i].spec.label,
                    .css_class = family(result.contenders[i].spec.name),
                    .value = q.median,
                    .low = q.low,
                    .high = q.high,
                    .text = format_value(measure, q.median)});
  }
  return bar_chart(title, bars);
}

std::string latency_chart(const ArenaResult& result, const TrialResult& trial) {
  std::vector<Percentiles> rows;
  for (std::size_t i = 0; i < trial.samples.size(); ++i) {
    if (trial.samples[i].empty()) continue;
    const auto median = [&](double Sample::*value) {
      return quartiles(values(trial.samples[i], value)).median;
    };
    rows.push_back({.label = result.contenders[i].spec.label,
                    .css_class = family(result.contenders[i].spec.name),
                    .p50 = median(&Sample::p50_us),
                    .p99 = median(&Sample::p99_us),
                    .p999 = median(&Sample::p999_us)});
  }
  return percentile_chart("Latency: p50, p99 (in us), p99.9", rows);
}

Bar bar_of(std::string label, std::string_view name, const std::vector<double>& values,
           int digits) {
  const Quartiles q = quartiles(values);
  return {.label = std::move(label),
          .css_class = family(name),
          .value = q.median,
          .low = q.low,
          .high = q.high,
          .text = absl::StrFormat("%.*f", digits, q.median)};
}

std::string idle_chart(const ArenaResult& result, double IdleCost::*value, std::string_view title) {
  std::vector<Bar> bars;
  for (std::size_t i = 0; i < result.idle.size(); ++i) {
    const IdleCost& cost = result.idle[i];
    if (!cost.absence.why.empty()) continue;
    const ContenderSpec& spec = result.contenders[i].spec;
    bars.push_back(bar_of(absl::StrCat(spec.label, cost.has_timeout ? "" : " (no timeout)"),
                          spec.name, {cost.*value}, 0));
  }
  return bars.empty() ? "" : bar_chart(title, bars);
}

}  // namespace

std::string trial_charts(const ArenaResult& result, const TrialResult& trial) {
  std::string html;
  bool has_latency = false;
  for (const Measure* measure : trial.trial.measures) {
    if (measure == &kCpu) {
      html += measure_chart(result, trial, kCpu, "Server CPU, ns (less is better)");
    } else if (measure == &kRate) {
      html += measure_chart(result, trial, kRate, "Rate, thousands per second (more is better)");
    } else if (!std::exchange(has_latency, true)) {
      html += latency_chart(result, trial);
    }
  }
  return html;
}

std::string idle_charts(const ArenaResult& result) {
  return absl::StrCat(
      idle_chart(result, &IdleCost::bytes_per_connection, "Bytes for each (less is better)"),
      idle_chart(result, &IdleCost::wakeups_per_minute, "Wakeups a minute (less is better)"));
}

std::string micro_charts(const ArenaResult& result) {
  std::string html;
  const MicroResult& micro = result.micro;
  for (const MicroRow& row : micro.rows) {
    std::vector<Bar> bars;
    for (std::size_t i = 0; i < row.costs.size(); ++i) {
      bars.push_back(bar_of(micro.names[i], micro.names[i], row.costs[i].wall_ns, 0));
    }
    html += bar_chart(absl::StrCat(row.name, ", ns"), bars);
  }
  if (micro.has_heap && !micro.memory.bytes.empty()) {
    std::vector<Bar> bars;
    for (std::size_t i = 0; i < micro.memory.bytes.size(); ++i) {
      bars.push_back(bar_of(micro.names[i], micro.names[i], {micro.memory.bytes[i]}, 0));
    }
    html += bar_chart("idle connection, timeout armed, bytes", bars);
  }
  return html;
}

std::string compile_charts(const ArenaResult& result) {
  std::string html;
  for (const CompilePair& pair : result.compile) {
    std::vector<Bar> bars = {bar_of("epore", "epore", pair.epore, 2)};
    if (!pair.asio.empty()) bars.push_back(bar_of("Boost.Asio", "asio", pair.asio, 2));
    html += bar_chart(absl::StrCat(pair.name, ", CPU seconds"), bars);
  }
  return html;
}

std::string size_charts(const ArenaResult& result) {
  std::vector<Bar> bars;
  for (const ProgramSize& size : result.sizes) {
    bars.push_back(bar_of(size.name, absl::StripPrefix(size.name, "echo_"),
                          {static_cast<double>(size.loaded_bytes) / 1024}, 0));
  }
  return bars.empty() ? "" : bar_chart("Code and data, KiB", bars);
}

}  // namespace epore::bench
