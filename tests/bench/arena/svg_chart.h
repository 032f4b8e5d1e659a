#ifndef EPORE_TESTS_BENCH_ARENA_SVG_CHART_H_
#define EPORE_TESTS_BENCH_ARENA_SVG_CHART_H_

#include <string>
#include <string_view>
#include <vector>

namespace epore::bench {

// Small charts as SVG text, to be put into a page whose style gives the classes used here their
// colours: "chart", "label", "value", "grid", "whisker", and those of the rows.

// A row of a bar chart: a value with its quartiles.
struct Bar {
  std::string label;
  std::string css_class;  // its colour
  double value = 0;
  double low = 0;
  double high = 0;
  std::string text;  // the value, as it is written beside the bar
};

// Horizontal bars from zero on, with whiskers for the quartiles.
std::string bar_chart(std::string_view title, const std::vector<Bar>& bars);

// A row of a percentile chart.
struct Percentiles {
  std::string label;
  std::string css_class;
  double p50 = 0;
  double p99 = 0;
  double p999 = 0;
};

// For each row a line from p50 over p99 to p99.9, on a logarithmic scale, in microseconds.
std::string percentile_chart(std::string_view title, const std::vector<Percentiles>& rows);

// With &, <, > and " as HTML and SVG need them.
std::string escape_html(std::string_view text);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_SVG_CHART_H_
