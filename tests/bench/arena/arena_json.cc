#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/goals.h"
#include "tests/bench/arena/program_size.h"
#include "tests/bench/arena/verdict.h"
#include "tests/bench/compile_times.h"
#include "tests/bench/json_writer.h"
#include "tests/bench/micro_cases.h"
#include "tests/bench/sample.h"
#include "tests/bench/statistics.h"

namespace epore::bench {
namespace {

void write_numbers(JsonWriter& json, std::string_view name, const std::vector<double>& values) {
  const Quartiles q = quartiles(values);
  json.key(name).begin_object();
  json.field("q1", q.low).field("median", q.median).field("q3", q.high);
  json.key("rounds").begin_array();
  for (const double value : values) json.value(value);
  json.end_array().end_object();
}

void write_verdict(JsonWriter& json, const Verdict& verdict) {
  json.field("ratio", verdict.ratio).field("low", verdict.interval.low);
  json.field("high", verdict.interval.high).field("confidence", verdict.interval.confidence);
  json.field("outcome", outcome_text(verdict.outcome));
}

void write_trial(JsonWriter& json, const ArenaResult& result, const TrialResult& trial) {
  json.begin_object();
  json.field("id", trial.trial.id).field("group", trial.trial.group);
  json.field("title", trial.trial.title);
  json.field("cores", trial.trial.cores == Cores::one ? "one" : "all");
  json.field("elapsed_seconds", absl::ToDoubleSeconds(trial.elapsed));
  json.key("tally").begin_object().field("taken", trial.tally.taken);
  json.field("discarded_load_waited", trial.tally.waited);
  json.field("discarded_load_was_limit", trial.tally.limited);
  json.field("disturbed_kept", trial.tally.kept).end_object();
  json.key("server_flags").begin_array();
  for (const std::string& flag : trial.trial.server_flags) json.value(flag);
  json.end_array().key("contenders").begin_array();
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    json.begin_object().field("label", result.contenders[i].spec.label);
    if (!trial.absences[i].why.empty()) {
      json.field("absent", trial.absences[i].why).field("failed", trial.absences[i].is_failure);
    }
    for (const Metric& metric : kMetrics) {
      if (!trial.samples[i].empty()) {
        write_numbers(json, metric.name, values(trial.samples[i], metric.value));
      }
    }
    json.end_object();
  }
  json.end_array().end_object();
}

void write_micro(JsonWriter& json, const MicroResult& micro) {
  json.key("micro").begin_object().key("sides").begin_array();
  for (std::size_t i = 0; i < micro.names.size(); ++i) {
    json.begin_object().field("name", micro.names[i]).field("version", micro.versions[i]);
    json.end_object();
  }
  json.end_array().key("cases").begin_array();
  for (const MicroRow& row : micro.rows) {
    json.begin_object().field("name", row.name);
    for (std::size_t i = 0; i < row.costs.size(); ++i) {
      json.key(micro.names[i]).begin_object();
      write_numbers(json, "wall_ns", row.costs[i].wall_ns);
      write_numbers(json, "cpu_ns", row.costs[i].cpu_ns);
      if (micro.has_heap) json.field("allocations", row.costs[i].allocations);
      json.end_object();
    }
    if (row.costs.size() > 1) {
      json.key("against_asio").begin_object();
      write_verdict(json, micro_verdict(row));
      if (row.limit > 0) json.field("limit", row.limit);
      json.end_object();
    }
    json.end_object();
  }
  json.end_array();
  if (micro.has_heap && !micro.memory.bytes.empty()) {
    json.key("idle_connection_bytes").begin_object();
    for (std::size_t i = 0; i < micro.memory.bytes.size(); ++i) {
      json.field(micro.names[i], micro.memory.bytes[i]);
    }
    json.end_object();
  }
  json.end_object();
}

void write_compile(JsonWriter& json, const std::vector<CompilePair>& pairs) {
  json.key("compile").begin_array();
  for (const CompilePair& pair : pairs) {
    json.begin_object().field("name", pair.name);
    write_numbers(json, "epore_cpu_seconds", pair.epore);
    if (!pair.asio.empty()) write_numbers(json, "asio_cpu_seconds", pair.asio);
    json.end_object();
  }
  json.end_array();
}

void write_sizes(JsonWriter& json, const std::vector<ProgramSize>& sizes) {
  json.key("sizes").begin_array();
  for (const ProgramSize& size : sizes) {
    json.begin_object().field("program", size.name).field("loaded_bytes", size.loaded_bytes);
    json.end_object();
  }
  json.end_array();
}

void write_idle(JsonWriter& json, const ArenaResult& result) {
  json.field("idle_connections", result.options.idle_connections).key("idle").begin_array();
  for (std::size_t i = 0; i < result.idle.size(); ++i) {
    const IdleCost& cost = result.idle[i];
    json.begin_object().field("label", result.contenders[i].spec.label);
    if (cost.absence.why.empty()) {
      json.field("has_timeout", cost.has_timeout);
      json.field("bytes_per_connection", cost.bytes_per_connection);
      json.field("wakeups_per_minute", cost.wakeups_per_minute);
    } else {
      json.field("absent", cost.absence.why).field("failed", cost.absence.is_failure);
    }
    json.end_object();
  }
  json.end_array();
}

void write_comparisons(JsonWriter& json, std::string_view name, const ArenaResult& result,
                       const std::vector<Comparison>& comparisons) {
  json.key(name).begin_array();
  for (const Comparison& comparison : comparisons) {
    json.begin_object().field("trial", comparison.trial->trial.id);
    json.field("measure", comparison.measure->name);
    json.field("base", result.contenders[comparison.base].spec.label);
    write_verdict(json, comparison.verdict);
    json.end_object();
  }
  json.end_array();
}

void write_scaling(JsonWriter& json, const ArenaResult& result) {
  json.key("scaling").begin_array();
  for (std::size_t i = 0; i < result.contenders.size(); ++i) {
    const std::optional<Verdict> factor = scaling(result, i);
    if (!factor) continue;
    json.begin_object().field("label", result.contenders[i].spec.label);
    write_verdict(json, *factor);
    json.end_object();
  }
  json.end_array();
}

}  // namespace

std::string arena_json(const ArenaResult& result, const Machine& machine) {
  JsonWriter json;
  json.begin_object();
  json.key("machine").begin_object();
  json.field("kernel", machine.kernel).field("cpu", machine.cpu).field("cores", machine.cores);
  json.field("compiler", machine.compiler).field("build", machine.build);
  json.field("server_core", result.cores.server).field("load_core", result.cores.load);
  json.end_object();
  json.field("rounds", result.options.rounds);
  json.field("round_seconds", absl::ToDoubleSeconds(result.options.round));
  json.field("elapsed_seconds", absl::ToDoubleSeconds(result.elapsed));
  json.key("contenders").begin_array();
  for (const Contender& contender : result.contenders) {
    json.begin_object();
    json.field("label", contender.spec.label).field("version", contender.version);
    json.field("skipped", contender.skipped).field("failed", contender.has_failed).end_object();
  }
  json.end_array().key("trials").begin_array();
  for (const TrialResult& trial : result.trials) write_trial(json, result, trial);
  json.end_array();
  write_idle(json, result);
  write_micro(json, result.micro);
  write_compile(json, result.compile);
  write_sizes(json, result.sizes);
  write_scaling(json, result);
  json.key("goals").begin_array();
  for (const Goal& goal : goals(result)) {
    json.begin_object().field("text", goal.text).field("value", goal.value);
    json.field(goal.bound == Goal::Bound::at_most ? "at_most" : "at_least", goal.limit);
    if (goal.interval.confidence > 0) {
      json.field("low", goal.interval.low).field("high", goal.interval.high);
    }
    json.field("is_met", goal.is_met()).end_object();
  }
  json.end_array();
  write_comparisons(json, "against_asio", result, against_asio(result));
  write_comparisons(json, "against_epoll", result, against_floor(result));
  json.key("warnings").begin_array();
  for (const std::string& warning : arena_warnings(result, machine)) json.value(warning);
  json.end_array().end_object();
  return json.text() + "\n";
}

}  // namespace epore::bench
