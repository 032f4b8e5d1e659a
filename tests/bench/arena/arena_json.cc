#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/verdict.h"
#include "tests/bench/json_writer.h"
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
  json.field("outcome", verdict.outcome == Outcome::ahead    ? "ahead"
                        : verdict.outcome == Outcome::behind ? "behind"
                                                             : "no difference");
}

void write_trial(JsonWriter& json, const ArenaResult& result, const TrialResult& trial) {
  json.begin_object();
  json.field("id", trial.trial.id).field("group", trial.trial.group);
  json.field("title", trial.trial.title);
  json.field("cores", trial.trial.cores == Cores::one ? "one" : "all");
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

void write_table(JsonWriter& json, std::string_view name, const Rows& rows) {
  json.key(name).begin_array();
  for (const std::vector<std::string>& row : rows) {
    json.begin_array();
    for (const std::string& cell : row) json.value(cell);
    json.end_array();
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
  json.end_array().key("idle").begin_array();
  for (std::size_t i = 0; i < result.idle.size(); ++i) {
    const IdleCost& cost = result.idle[i];
    json.begin_object().field("label", result.contenders[i].spec.label);
    json.field("absent", cost.absence.why);
    json.field("bytes_per_connection", cost.bytes_per_connection);
    json.field("wakeups_per_minute", cost.wakeups_per_minute).end_object();
  }
  json.end_array();
  write_table(json, "micro", micro_rows(result));
  write_table(json, "compile", compile_rows(result));
  write_table(json, "sizes", size_rows(result));
  json.key("goals").begin_array();
  for (const Goal& goal : goals(result)) {
    json.begin_object().field("text", goal.text).field("value", goal.value);
    json.field("limit", goal.limit).field("is_met", goal.is_met()).end_object();
  }
  json.end_array().key("against_asio").begin_array();
  for (const Comparison& comparison : against_asio(result)) {
    json.begin_object().field("trial", comparison.trial->trial.id);
    json.field("measure", comparison.measure->name);
    json.field("asio", result.contenders[comparison.asio].spec.label);
    write_verdict(json, comparison.verdict);
    json.end_object();
  }
  json.end_array().key("warnings").begin_array();
  for (const std::string& warning : arena_warnings(result, machine)) json.value(warning);
  json.end_array().end_object();
  return json.text() + "\n";
}

}  // namespace epore::bench
