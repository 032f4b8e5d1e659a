#include "epore/runtime/counters.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace epore {
namespace {

std::string text_of(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\"", "'"}, {"\\", "/"}});
}

}  // namespace

std::uint64_t Counters::system_call(const std::string& name) const {
  for (const auto& [call, count] : system_calls) {
    if (call == name) return count;
  }
  return 0;
}

std::uint64_t Counters::queue_delay_us(double part) const {
  std::uint64_t all = 0;
  for (const std::uint64_t count : queue_delay) all += count;
  if (all == 0) return 0;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i + 1 < kDelayBuckets; ++i) {
    below += queue_delay[i];
    if (static_cast<double>(below) >= part * static_cast<double>(all)) return std::uint64_t{1} << i;
  }
  return std::numeric_limits<std::uint64_t>::max();
}

std::string Counters::to_json() const {
  const std::pair<std::string_view, std::uint64_t> fields[] = {
      {"connections", connections},
      {"queued_bytes", queued_bytes},
      {"timers_armed", timers_armed},
      {"accepts", accepts},
      {"accept_errors", accept_errors},
      {"accept_pauses", accept_pauses},
      {"connects", connects},
      {"connect_errors", connect_errors},
      {"polls", polls},
      {"events", events},
      {"stale_events", stale_events},
      {"callbacks", callbacks},
      {"callback_exceptions", callback_exceptions},
      {"handler_errors", handler_errors},
      {"posts", posts},
      {"wakes", wakes},
      {"reliefs", reliefs},
      {"shared", shared},
      {"timers_fired", timers_fired},
      {"bytes_in", bytes_in},
      {"bytes_out", bytes_out},
      {"bytes_of_files", bytes_of_files},
      {"bytes_spliced", bytes_spliced},
      {"read_pauses", read_pauses},
      {"connections_cut_off", connections_cut_off},
      {"high_marks", high_marks},
      {"stuck_callbacks", stuck_callbacks},
      {"longest_stuck_callback_us", longest_stuck_callback_us},
  };
  std::string json = "{";
  for (const auto& [name, value] : fields) absl::StrAppend(&json, "\"", name, "\":", value, ",");
  absl::StrAppend(&json, "\"longest_stuck_callback\":\"", text_of(longest_stuck_callback), "\",");
  absl::StrAppend(&json, "\"queue_delay_us\":{");
  for (std::size_t i = 0; i + 1 < kDelayBuckets; ++i) {
    absl::StrAppend(&json, "\"", std::uint64_t{1} << i, "\":", queue_delay[i], ",");
  }
  absl::StrAppend(&json, "\"more\":", queue_delay.back(), "},");
  absl::StrAppend(&json, "\"selector\":\"", selector, "\",\"selector_reason\":\"",
                  text_of(selector_reason), "\",");
  absl::StrAppend(&json, "\"system_calls\":{");
  std::string_view comma;
  for (const auto& [name, count] : system_calls) {
    absl::StrAppend(&json, comma, "\"", name, "\":", count);
    comma = ",";
  }
  absl::StrAppend(&json, "}}");
  return json;
}

}  // namespace epore
