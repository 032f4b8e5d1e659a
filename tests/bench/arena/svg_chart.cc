#include "tests/bench/arena/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace epore::bench {
namespace {

// In pixels.
constexpr double kWidth = 452;
constexpr double kLabels = 216;  // the column of labels
constexpr double kPlotEnd = kWidth - 56;
constexpr double kRow = 18;
constexpr double kTop = 26;

std::string begin_chart(std::string_view title, std::size_t rows, double below) {
  const double height = kTop + kRow * static_cast<double>(rows) + below;
  return absl::StrFormat(
      "<svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\" "
      "aria-label=\"%s\">\n<text class=\"title\" x=\"0\" y=\"14\">%s</text>\n",
      kWidth, height, kWidth, height, escape_html(title), escape_html(title));
}

std::string row_label(std::string_view label, double middle) {
  return absl::StrFormat("<text class=\"label\" x=\"%.0f\" y=\"%.1f\">%s</text>\n", kLabels - 8,
                         middle + 4, escape_html(label));
}

double middle_of(std::size_t row) { return kTop + kRow * (static_cast<double>(row) + 0.5); }

std::string line(std::string_view css_class, double x1, double y1, double x2, double y2) {
  return absl::StrFormat("<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                         css_class, x1, y1, x2, y2);
}

}  // namespace

std::string escape_html(std::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string bar_chart(std::string_view title, const std::vector<Bar>& bars) {
  double largest = 0;
  for (const Bar& bar : bars) largest = std::max({largest, bar.value, bar.high});
  const auto x_of = [&](double value) {
    return largest > 0 ? kLabels + (kPlotEnd - kLabels) * value / largest : kLabels;
  };
  std::string svg = begin_chart(title, bars.size(), 4);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const Bar& bar = bars[i];
    const double middle = middle_of(i);
    svg += row_label(bar.label, middle);
    absl::StrAppendFormat(&svg,
                          "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                          "rx=\"2\"/>\n",
                          bar.css_class, kLabels, middle - kRow / 2 + 2.5,
                          x_of(bar.value) - kLabels, kRow - 5);
    svg += line("whisker", x_of(bar.low), middle, x_of(bar.high), middle);
    absl::StrAppendFormat(&svg, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                          std::max(x_of(bar.value), x_of(bar.high)) + 5, middle + 4,
                          escape_html(bar.text));
  }
  return svg + "</svg>\n";
}

std::string percentile_chart(std::string_view title, const std::vector<Percentiles>& rows) {
  double least = 1e300, largest = 0;
  for (const Percentiles& row : rows) {
    if (row.p50 <= 0) continue;
    least = std::min(least, row.p50);
    largest = std::max({largest, row.p50, row.p99, row.p999});
  }
  if (largest <= 0) return "";
  // Whole decades, at least one.
  const double begin = std::floor(std::log10(least));
  const double end = std::max(std::ceil(std::log10(largest)), begin + 1);
  const auto x_of = [&](double value) {
    return kLabels + (kPlotEnd - kLabels) * (std::log10(value) - begin) / (end - begin);
  };
  const double bottom = kTop + kRow * static_cast<double>(rows.size());
  std::string svg = begin_chart(title, rows.size(), 18);
  for (double decade = begin; decade <= end; ++decade) {
    const double us = std::pow(10, decade);
    svg += line("grid", x_of(us), kTop, x_of(us), bottom);
    const std::string text = us >= 1000 ? absl::StrCat(us / 1000, " ms") : absl::StrCat(us, " us");
    absl::StrAppendFormat(&svg, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", x_of(us),
                          bottom + 13, text);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Percentiles& row = rows[i];
    const double middle = middle_of(i);
    svg += row_label(row.label, middle);
    if (row.p50 <= 0) continue;
    svg +=
        line(absl::StrCat("range ", row.css_class), x_of(row.p50), middle, x_of(row.p999), middle);
    constexpr double kRadii[] = {5, 3.5, 2.5};
    const double values[] = {row.p50, row.p99, row.p999};
    for (std::size_t dot = 0; dot < 3; ++dot) {
      absl::StrAppendFormat(&svg, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n",
                            row.css_class, x_of(values[dot]), middle, kRadii[dot]);
    }
    absl::StrAppendFormat(&svg, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%.0f</text>\n",
                          x_of(row.p999) + 7, middle + 4, row.p99);
  }
  return svg + "</svg>\n";
}

}  // namespace epore::bench
