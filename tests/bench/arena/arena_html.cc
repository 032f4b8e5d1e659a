#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/arena/arena_charts.h"
#include "tests/bench/arena/arena_report.h"
#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/svg_chart.h"
#include "tests/bench/arena/trials.h"

namespace epore::bench {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2330; --soft: #667085; --line: #d9dee7; --page: #ffffff;
  --card: #f5f7fa; --epore: #2563eb; --asio: #e8833a; --libuv: #2f9e6e; --libevent: #9b5de5;
  --floor: #98a2b3; --good: #15803d; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #333b49;
  --page: #12161d; --card: #1a202a; --epore: #6ea0ff; --asio: #f0a060; --libuv: #55c596;
  --libevent: #bb8cf5; --floor: #6b7688; --good: #5dd088; --bad: #ff8b80; } }
body { margin: 0 auto; padding: 24px; max-width: 1460px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 36px 0 4px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 4px 0 12px; max-width: 900px; } .soft { color: var(--soft); font-size: 13px; }
.charts { display: flex; flex-wrap: wrap; gap: 14px; }
.chart { background: var(--card); border-radius: 8px; padding: 10px 2px 10px 18px; max-width: 100%; height: auto;
  overflow: visible; }
.chart text { font: 11px system-ui, sans-serif; fill: var(--ink); }
.chart .title { font-weight: 600; font-size: 12px; } .chart .label { text-anchor: end; }
.chart .tick { text-anchor: middle; fill: var(--soft); } .chart .value { fill: var(--soft); }
.grid { stroke: var(--line); } .whisker { stroke: var(--ink); stroke-width: 1.5; opacity: .7; }
.range { stroke-width: 2; opacity: .55; }
.epore { fill: var(--epore); stroke: var(--epore); } .asio { fill: var(--asio); stroke: var(--asio); }
.libuv { fill: var(--libuv); stroke: var(--libuv); }
.libevent { fill: var(--libevent); stroke: var(--libevent); }
.floor { fill: var(--floor); stroke: var(--floor); } rect { stroke: none !important; }
table { border-collapse: collapse; margin: 8px 0 16px; font-size: 13px; }
th, td { padding: 4px 12px; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } section { overflow-x: auto; }
.met { color: var(--good); font-weight: 600; } .missed { color: var(--bad); font-weight: 600; }
.warning { color: var(--bad); } details > summary { cursor: pointer; margin: 10px 0; }
)css";

std::string table(const Rows& rows) {
  if (rows.empty()) return "";
  std::string html = "<table>\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    html += "<tr>";
    for (const std::string& cell : rows[i]) {
      const std::string_view tag = i == 0 ? "th" : "td";
      const std::string_view css = cell == "met"       ? " class=\"met\""
                                   : cell == "not met" ? " class=\"missed\""
                                                       : "";
      absl::StrAppend(&html, "<", tag, css, ">", escape_html(cell), "</", tag, ">");
    }
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

// The first small ones are open, the others are to be opened: 24 echo trials fill screens.
bool is_open(const Trial& trial) {
  return trial.group != "echo" || absl::EndsWith(trial.id, "x64x1");
}

std::string charts(const std::string& svgs) {
  return svgs.empty() ? "" : absl::StrCat("<div class=\"charts\">\n", svgs, "</div>\n");
}

// Charts, and every number to be opened.
std::string trial_section(const ArenaResult& result, const TrialResult& trial) {
  return absl::StrCat("<h3>", escape_html(trial.trial.title), "</h3>\n",
                      charts(trial_charts(result, trial)), "<details><summary>Numbers</summary>\n",
                      table(trial_rows(result, trial)), "</details>\n");
}

std::string group_section(const ArenaResult& result, const TrialGroup& group) {
  std::string open, closed;
  for (const TrialResult& trial : result.trials) {
    if (trial.trial.group != group.name) continue;
    (is_open(trial.trial) ? open : closed) += trial_section(result, trial);
  }
  if (open.empty() && closed.empty()) return "";
  std::string html = absl::StrCat("<section>\n<h2>", group.title, "</h2>\n<p>", group.text,
                                  "</p>\n", table(ratio_rows(result, group.name)));
  if (group.name == "cpu") html += table(scaling_rows(result));
  html += open;
  if (!closed.empty()) {
    absl::StrAppend(&html, "<details><summary>More sizes and depths</summary>\n", closed,
                    "</details>\n");
  }
  return html + "</section>\n";
}

std::string section(std::string_view title, std::string_view text, const Rows& rows,
                    const std::string& svgs = "") {
  if (rows.empty()) return "";
  return absl::StrCat("<section>\n<h2>", title, "</h2>\n<p>", text, "</p>\n", charts(svgs),
                      table(rows), "</section>\n");
}

}  // namespace

std::string arena_html(const ArenaResult& result, const Machine& machine) {
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>epore: the "
      "arena</title>\n<style>",
      kStyle, "</style>\n</head>\n<body>\n<h1>epore: the arena</h1>\n<p class=\"soft\">",
      escape_html(conditions(result, machine)), ".</p>\n");
  for (const std::string& warning : arena_warnings(result, machine)) {
    absl::StrAppend(&html, "<p class=\"warning\">", escape_html(warning), "</p>\n");
  }
  absl::StrAppend(&html, table(goal_rows(result)));
  if (const std::string text = tally(result); !text.empty()) {
    absl::StrAppend(&html, "<p>", text, "</p>\n");
  }
  for (const TrialGroup& group : trial_groups()) html += group_section(result, group);
  html += section("Idle connections",
                  "Each has echoed a message before, and has its idle timeout armed where the "
                  "contender has timers. Memory is the process's own; a wakeup is any thread of it "
                  "being put on a core.",
                  idle_rows(result), idle_charts(result));
  html += section("Single operations", "epore and Boost.Asio in one process, in turns.",
                  micro_rows(result), micro_charts(result));
  html += section("Compiling", "The bare include, and the echo program.", compile_rows(result),
                  compile_charts(result));
  html += section("Size of the echo programs",
                  "With the command-line flags that all share: "
                  "echo_epoll is what there is without any library.",
                  size_rows(result), size_charts(result));
  html += section("Where epore is behind", "By more than the interval.", behind_rows(result));
  html += section("Contenders", "NAME:FLAG=VALUE is the program echo_NAME with that flag.",
                  contender_rows(result));
  return html + "</body>\n</html>\n";
}

}  // namespace epore::bench
