#include "tests/bench/micro_report.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/json_writer.h"
#include "tests/bench/statistics.h"
#include "tests/bench/text_table.h"

namespace epore::bench {
namespace {

// The first side's, round by round, divided by the second's.
std::vector<double> ratios(const MicroRow& row, std::vector<double> MicroCost::*value) {
  std::vector<double> all;
  for (std::size_t i = 0; i < (row.costs[0].*value).size(); ++i) {
    all.push_back((row.costs[0].*value)[i] / (row.costs[1].*value)[i]);
  }
  return all;
}

std::string with_interval(const std::vector<double>& values) {
  const MedianInterval interval = median_interval(values);
  return absl::StrFormat("%.2f [%.2f %.2f]", quartiles(values).median, interval.low, interval.high);
}

std::string ns(const std::vector<double>& values) {
  return absl::StrFormat("%.0f", quartiles(values).median);
}

void add_memory(std::string& text, const char* what, const MicroResult& result,
                const MicroMemory& memory) {
  if (memory.bytes.empty() || !result.has_heap) return;
  absl::StrAppendFormat(&text, "%s (mean of %d):", what, memory.connections);
  for (std::size_t i = 0; i < result.names.size(); ++i) {
    absl::StrAppendFormat(&text, "%s %s %.0f bytes", i == 0 ? "" : ",", result.names[i],
                          memory.bytes[i]);
  }
  text += "\n";
}

void write_memory(JsonWriter& json, const char* name, const MicroResult& result,
                  const MicroMemory& memory) {
  if (memory.bytes.empty() || !result.has_heap) return;
  json.key(name).begin_object();
  for (std::size_t i = 0; i < result.names.size(); ++i) {
    json.field(result.names[i], memory.bytes[i]);
  }
  json.end_object();
}

std::string verdict(const MicroRow& row) {
  if (row.limit == 0) return "";
  const MedianInterval interval = median_interval(ratios(row, &MicroCost::wall_ns));
  if (interval.high <= row.limit) return "met";
  return interval.low > row.limit ? "not met" : "open";
}

void write_numbers(JsonWriter& json, const char* name, const std::vector<double>& values) {
  const Quartiles q = quartiles(values);
  json.key(name).begin_object();
  json.field("q1", q.low).field("median", q.median).field("q3", q.high);
  json.key("rounds").begin_array();
  for (const double value : values) json.value(value);
  json.end_array().end_object();
}

void write_ratio(JsonWriter& json, const char* name, const std::vector<double>& values) {
  const MedianInterval interval = median_interval(values);
  json.key(name).begin_object();
  json.field("median", quartiles(values).median);
  json.field("low", interval.low).field("high", interval.high);
  json.field("confidence", interval.confidence).end_object();
}

}  // namespace

std::string text_report(const MicroResult& result, const Machine& machine) {
  std::string text =
      absl::StrFormat("%s, %s, %d cores; %s, %s; %d rounds\n", machine.kernel, machine.cpu,
                      machine.cores, machine.compiler, machine.build, result.options.rounds);
  for (std::size_t i = 0; i < result.names.size(); ++i) {
    absl::StrAppend(&text, "  ", result.names[i], ": ", result.versions[i], "\n");
  }
  const bool has_other = result.names.size() > 1;
  if (!has_other) text += "  asio: built without Boost\n";

  TextTable table;
  std::vector<std::string> header = {"ns for one"};
  for (const std::string& name : result.names) {
    header.insert(header.end(), {name, "CPU", "allocations"});
  }
  if (has_other) header.insert(header.end(), {"time x", "CPU x", "half"});
  table.add_row(std::move(header));
  for (const MicroRow& row : result.rows) {
    std::vector<std::string> cells = {row.name};
    for (const MicroCost& cost : row.costs) {
      cells.insert(cells.end(),
                   {ns(cost.wall_ns), ns(cost.cpu_ns),
                    result.has_heap ? absl::StrFormat("%.3f", cost.allocations) : "?"});
    }
    if (has_other) {
      cells.push_back(with_interval(ratios(row, &MicroCost::wall_ns)));
      cells.push_back(with_interval(ratios(row, &MicroCost::cpu_ns)));
      cells.push_back(verdict(row));
    }
    table.add_row(std::move(cells));
  }
  absl::StrAppend(&text, "\n", table.to_string(), "\n");
  add_memory(text, "an idle connection, its timeout armed", result, result.memory);
  add_memory(text, "an idle connection, its coroutine's deadline armed", result,
             result.task_memory);
  const double confidence =
      median_interval(std::vector<double>(static_cast<std::size_t>(result.options.rounds)))
          .confidence;
  absl::StrAppendFormat(
      &text,
      "Medians of rounds in turn; ratios: median of the rounds' ratios and [its %.0f%% interval].\n"
      "CPU is that of all threads of the process, those that post included. Allocations and bytes\n"
      "are counted in malloc(), in rounds that are not timed. \"open\": the interval holds 1/2.\n",
      100 * confidence);
  if (!machine.is_optimised) {
    absl::StrAppend(&text, "warning: this build is ", machine.build,
                    "; for numbers that mean something: bazel run -c opt\n");
  }
  return text;
}

std::string json_report(const MicroResult& result, const Machine& machine) {
  JsonWriter json;
  json.begin_object();
  json.key("machine").begin_object();
  json.field("kernel", machine.kernel).field("cpu", machine.cpu).field("cores", machine.cores);
  json.field("compiler", machine.compiler).field("build", machine.build).end_object();
  json.field("rounds", result.options.rounds).field("scale", result.options.scale);
  json.key("sides").begin_array();
  for (std::size_t i = 0; i < result.names.size(); ++i) {
    json.begin_object();
    json.field("name", result.names[i]).field("version", result.versions[i]).end_object();
  }
  json.end_array().key("cases").begin_array();
  for (const MicroRow& row : result.rows) {
    json.begin_object().field("name", row.name);
    for (std::size_t i = 0; i < row.costs.size(); ++i) {
      json.key(result.names[i]).begin_object();
      write_numbers(json, "wall_ns", row.costs[i].wall_ns);
      write_numbers(json, "cpu_ns", row.costs[i].cpu_ns);
      if (result.has_heap) json.field("allocations", row.costs[i].allocations);
      json.end_object();
    }
    if (row.costs.size() > 1) {
      write_ratio(json, "wall_ratio", ratios(row, &MicroCost::wall_ns));
      write_ratio(json, "cpu_ratio", ratios(row, &MicroCost::cpu_ns));
      json.field("verdict", verdict(row));
    }
    json.end_object();
  }
  json.end_array();
  write_memory(json, "idle_connection_bytes", result, result.memory);
  write_memory(json, "idle_connection_bytes_coroutine", result, result.task_memory);
  json.end_object();
  return json.text() + "\n";
}

}  // namespace epore::bench
