#include "tests/bench/report.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "tests/bench/baselines.h"
#include "tests/bench/json_writer.h"
#include "tests/bench/machine.h"
#include "tests/bench/rounds.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"
#include "tests/bench/text_table.h"

namespace epore::bench {
namespace {

std::string plural(int count, std::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

// "118.2 [117.0 119.1]" after dividing by `unit`.
std::string with_quartiles(const std::vector<Sample>& samples, double Sample::*value, double unit,
                           int digits) {
  const Quartiles q = quartiles(values(samples, value));
  return absl::StrFormat("%.*f [%.*f %.*f]", digits, q.median / unit, digits, q.low / unit, digits,
                         q.high / unit);
}

std::string median_percent(const std::vector<Sample>& samples, double Sample::*value) {
  return absl::StrFormat("%.0f%%", 100 * quartiles(values(samples, value)).median);
}

std::string with_interval(const Ratio& ratio) {
  return absl::StrFormat("%.3f [%.3f %.3f]", ratio.median, ratio.interval.low, ratio.interval.high);
}

std::string workload_table(const RoundsResult& result, const Workload& workload) {
  const std::vector<Baseline> bases = baselines(result);
  TextTable table;
  std::vector<std::string> header = {plural(workload.connections, "connection"),
                                     "k messages/s",
                                     "p50 us",
                                     "p99 us",
                                     "CPU ns/message",
                                     "server",
                                     "load"};
  for (const Baseline& base : bases) header.push_back(absl::StrCat("CPU x ", base.label));
  table.add_row(std::move(header));
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    const Contender& contender = result.contenders[i];
    if (!contender.skipped.empty()) continue;
    const std::vector<Sample>& samples = workload.samples[i];
    std::vector<std::string> row = {contender.spec.label,
                                    with_quartiles(samples, &Sample::rate, 1000, 1),
                                    with_quartiles(samples, &Sample::p50_us, 1, 0),
                                    with_quartiles(samples, &Sample::p99_us, 1, 0),
                                    with_quartiles(samples, &Sample::cpu_ns, 1, 0),
                                    median_percent(samples, &Sample::server_busy),
                                    median_percent(samples, &Sample::load_busy)};
    for (const Baseline& base : bases) {
      row.push_back(with_interval(ratio_to(workload, i, base.index, &Sample::cpu_ns)));
    }
    table.add_row(std::move(row));
  }
  return table.to_string();
}

std::string mean_table(const RoundsResult& result) {
  const std::vector<Baseline> bases = baselines(result);
  if (bases.empty() || result.workloads.size() < 2) return "";
  std::vector<int> counts;
  for (const Workload& workload : result.workloads) counts.push_back(workload.connections);
  TextTable table;
  std::vector<std::string> header = {
      absl::StrCat("mean over ", absl::StrJoin(counts, ", "), " connections")};
  for (const Baseline& base : bases) header.push_back(absl::StrCat("CPU x ", base.label));
  table.add_row(std::move(header));
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    if (!result.contenders[i].skipped.empty()) continue;
    std::vector<std::string> row = {result.contenders[i].spec.label};
    for (const Baseline& base : bases) {
      row.push_back(with_interval(mean_cpu_ratio(result, i, base.index)));
    }
    table.add_row(std::move(row));
  }
  return absl::StrCat(table.to_string(), "\n");
}

void write_samples(JsonWriter& json, const std::vector<Sample>& samples) {
  for (const Metric& metric : kMetrics) {
    const std::vector<double> all = values(samples, metric.value);
    const Quartiles q = quartiles(all);
    json.key(metric.name).begin_object();
    json.field("q1", q.low).field("median", q.median).field("q3", q.high);
    json.key("rounds").begin_array();
    for (const double value : all) json.value(value);
    json.end_array().end_object();
  }
}

void write_ratios(JsonWriter& json, const RoundsResult& result, const Workload& workload,
                  std::size_t contender) {
  json.key("ratios").begin_object();
  for (const Baseline& base : baselines(result)) {
    json.key(base.label).begin_object();
    for (const Metric& metric : kMetrics) {
      const Ratio ratio = ratio_to(workload, contender, base.index, metric.value);
      json.key(metric.name).begin_object();
      json.field("median", ratio.median).field("low", ratio.interval.low);
      json.field("high", ratio.interval.high).field("confidence", ratio.interval.confidence);
      json.end_object();
    }
    json.end_object();
  }
  json.end_object();
}

void write_head(JsonWriter& json, const RoundsResult& result, const Machine& machine) {
  json.key("machine").begin_object();
  json.field("kernel", machine.kernel).field("cpu", machine.cpu).field("cores", machine.cores);
  json.field("compiler", machine.compiler).field("build", machine.build);
  json.field("server_core", result.cores.server).field("load_core", result.cores.load);
  json.end_object();
  json.key("options").begin_object();
  json.field("rounds", result.options.rounds);
  json.field("round_seconds", absl::ToDoubleSeconds(result.options.round));
  json.field("message_size", result.options.message_size);
  json.field("depth", result.options.depth);
  json.end_object();
  json.key("contenders").begin_array();
  for (const Contender& contender : result.contenders) {
    json.begin_object();
    json.field("label", contender.spec.label).field("program", "echo_" + contender.spec.name);
    json.key("flags").begin_array();
    for (const std::string& flag : contender.spec.flags) json.value(flag);
    json.end_array();
    json.field("version", contender.version).field("skipped", contender.skipped);
    json.end_object();
  }
  json.end_array();
}

// The largest median share of a round that the load spent waiting for its core.
double disturbance(const RoundsResult& result) {
  double worst = 0;
  for (const Workload& workload : result.workloads) {
    for (const std::vector<Sample>& samples : workload.samples) {
      worst = std::max(worst, quartiles(values(samples, &Sample::load_waited)).median);
    }
  }
  return worst;
}

}  // namespace

std::string text_report(const RoundsResult& result, const Machine& machine) {
  const RoundsOptions& options = result.options;
  std::string text = absl::StrFormat(
      "%s, %s, %s; %s, %s\n%d-byte messages, %d in flight per connection; %s of %s; server on core "
      "%d, load on core %d\n\n",
      machine.kernel, machine.cpu, plural(machine.cores, "core"), machine.compiler, machine.build,
      options.message_size, options.depth, plural(options.rounds, "round"),
      absl::FormatDuration(options.round), result.cores.server, result.cores.load);
  for (const Contender& contender : result.contenders) {
    const std::string skipped = absl::StrCat("skipped: ", contender.skipped);
    absl::StrAppend(&text, "  ", contender.spec.label, ": ",
                    contender.skipped.empty() ? contender.version : skipped, "\n");
  }
  for (const Workload& workload : result.workloads) {
    absl::StrAppend(&text, "\n", workload_table(result, workload));
  }
  const double confidence =
      median_interval(std::vector<double>(static_cast<std::size_t>(options.rounds))).confidence;
  absl::StrAppend(&text, "\n", mean_table(result));
  absl::StrAppendFormat(
      &text,
      "%s.\nMedians and [quartiles]; ratios: median of the rounds' ratios and [its %.0f%% "
      "interval].\n"
      "CPU is the server's user and system time. Where the load is near 100%% and the server is "
      "not,\nthe rate is the load's limit: compare the CPU.\n",
      result.tally().to_string(), 100 * confidence);
  return text + warnings(result, machine);
}

std::string json_report(const RoundsResult& result, const Machine& machine) {
  JsonWriter json;
  json.begin_object();
  write_head(json, result, machine);
  json.key("workloads").begin_array();
  for (const Workload& workload : result.workloads) {
    json.begin_object().field("connections", workload.connections);
    json.key("tally").begin_object().field("taken", workload.tally.taken);
    json.field("discarded_load_waited", workload.tally.waited);
    json.field("discarded_load_was_limit", workload.tally.limited);
    json.field("disturbed_kept", workload.tally.kept).end_object();
    json.key("contenders").begin_array();
    for (std::size_t i = 0; i < result.contenders.size(); ++i) {
      if (!result.contenders[i].skipped.empty()) continue;
      json.begin_object().field("label", result.contenders[i].spec.label);
      write_samples(json, workload.samples[i]);
      write_ratios(json, result, workload, i);
      json.end_object();
    }
    json.end_array().end_object();
  }
  json.end_array();
  json.key("mean_cpu_ratios").begin_object();
  for (const Baseline& base : baselines(result)) {
    json.key(base.label).begin_object();
    for (std::size_t i = 0; i < result.contenders.size(); ++i) {
      if (!result.contenders[i].skipped.empty()) continue;
      json.field(result.contenders[i].spec.label, mean_cpu_ratio(result, i, base.index).median);
    }
    json.end_object();
  }
  json.end_object().end_object();
  return json.text() + "\n";
}

std::string warnings(const RoundsResult& result, const Machine& machine) {
  std::string text;
  if (!machine.is_optimised) {
    absl::StrAppend(&text, "warning: this build is ", machine.build,
                    "; for numbers that mean something: bazel run -c opt\n");
  }
  if (result.cores.is_shared()) {
    absl::StrAppend(&text,
                    "warning: only one core may be used; server and load share it, so that rates "
                    "and latencies are those of both\n");
  }
  constexpr double kQuiet = 0.03;
  if (const double waited = disturbance(result); !result.cores.is_shared() && waited > kQuiet) {
    absl::StrAppendFormat(&text,
                          "warning: the machine is busy with something else: the load waited up to "
                          "%.0f%% of the time for its core; only the CPU ratios mean something\n",
                          100 * waited);
  }
  return text;
}

}  // namespace epore::bench
