#include "tests/support/print.h"

namespace epore {

void PrintTo(Readiness readiness, std::ostream* out) {
  const char* separator = "";
  const auto part = [&](bool is_set, const char* name) {
    if (!is_set) return;
    *out << separator << name;
    separator = "|";
  };
  part(readiness.is_readable(), "readable");
  part(readiness.is_writable(), "writable");
  part(readiness.is_read_closed(), "read_closed");
  part(readiness.is_write_closed(), "write_closed");
  part(readiness.is_error(), "error");
  if (readiness.is_empty()) *out << "nothing";
}

void PrintTo(Interest interest, std::ostream* out) {
  if (interest.is_readable()) *out << "readable";
  if (interest.is_readable() && interest.is_writable()) *out << "|";
  if (interest.is_writable()) *out << "writable";
  if (interest.is_empty()) *out << "nothing";
  switch (interest.trigger()) {
    case Trigger::edge:
      *out << " edge";
      break;
    case Trigger::level:
      *out << " level";
      break;
    case Trigger::one_shot:
      *out << " one-shot";
      break;
  }
}

void PrintTo(const Event& event, std::ostream* out) {
  *out << "{" << event.token.value << ": ";
  PrintTo(event.readiness, out);
  *out << "}";
}

}  // namespace epore
