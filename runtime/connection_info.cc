#include "epore/runtime/connection_info.h"

#include <source_location>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace epore {
namespace {

std::string_view text_of(ConnectionInfo::Reading reading) {
  using Reading = ConnectionInfo::Reading;
  switch (reading) {
    case Reading::by_callback:
      return "read by on_data";
    case Reading::by_task:
      return "read by a task";
    case Reading::by_nobody:
      return "read by nobody now";
    case Reading::paused:
      return "reading is paused";
    case Reading::held:
      return "reading is held until the write queue is low";
    case Reading::ended:
      return "the peer has ended its half";
    case Reading::discarding:
      return "what comes is dropped";
  }
  return "?";
}

std::string_view text_of(ConnectionInfo::Timeout timeout) {
  using Timeout = ConnectionInfo::Timeout;
  switch (timeout) {
    case Timeout::none:
      return "no";
    case Timeout::idle:
      return "idle";
    case Timeout::write_stall:
      return "write stall";
    case Timeout::linger:
      return "linger";
  }
  return "?";
}

std::string text_of(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(100)));
}

std::string text_of(const std::source_location& where) {
  if (where.line() == 0) return "";
  return absl::StrCat(" at ", where.file_name(), ":", where.line());
}

void add_second_part(const ConnectionInfo& info, std::string& text) {
  if (info.phase == ConnectionInfo::Phase::closing) text += "closing, ";
  if (info.phase == ConnectionInfo::Phase::lingering) text += "waits for the peer's end, ";
  if (info.is_draining) text += "draining, ";
  const std::string place = text_of(info.where);
  const bool is_of_writer = info.has_writer && info.reading != ConnectionInfo::Reading::by_task;
  text += text_of(info.reading);
  if (!is_of_writer) text += place;
  if (info.has_unread) text += ", unread bytes or an end wait";
  if (info.has_writer) text += ", a task waits to write";
  if (is_of_writer) text += place;
  if (info.is_write_blocked) text += ", the peer takes no bytes";
  if (info.is_write_shut) text += ", our half is ended";
  if (info.timeout == ConnectionInfo::Timeout::none) return;
  absl::StrAppend(&text, ", ", text_of(info.timeout), " timeout in ", text_of(info.time_left));
}

}  // namespace

std::string ConnectionInfo::to_string() const {
  std::string text =
      absl::StrCat("connection ", id, " (peer ", peer_address.to_string(), ", local ",
                   local_address.to_string(), "), for ", text_of(age), ": ");
  if (run == Run::running) text += "runs";
  if (run == Run::queued) text += "is ready to run";
  if (is_known) {
    if (run != Run::idle) text += ", ";
    add_second_part(*this, text);
  }
  if (queued_bytes > 0) absl::StrAppend(&text, ", ", queued_bytes, " bytes queued");
  if (is_above_high_mark) text += " (above the high mark)";
  return text;
}

}  // namespace epore
