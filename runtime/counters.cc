#include "epore/runtime/counters.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace epore {

std::uint64_t Counters::system_call(const std::string& name) const {
  for (const auto& [call, count] : system_calls) {
    if (call == name) return count;
  }
  return 0;
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
  };
  std::string json = "{";
  for (const auto& [name, value] : fields) absl::StrAppend(&json, "\"", name, "\":", value, ",");
  absl::StrAppend(&json, "\"selector\":\"", selector, "\",\"selector_reason\":\"",
                  absl::StrReplaceAll(selector_reason, {{"\"", "'"}, {"\\", "/"}}), "\",");
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
