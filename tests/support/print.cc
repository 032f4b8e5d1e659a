#include "tests/support/print.h"

namespace epore {

std::ostream& operator<<(std::ostream& out, Token token) { return out << token.value; }

std::ostream& operator<<(std::ostream& out, Readiness readiness) {
  const char* separator = "";
  const auto part = [&](bool is_set, const char* name) {
    if (!is_set) return;
    out << separator << name;
    separator = "|";
  };
  part(readiness.is_readable(), "readable");
  part(readiness.is_writable(), "writable");
  part(readiness.is_read_closed(), "read_closed");
  part(readiness.is_write_closed(), "write_closed");
  part(readiness.is_error(), "error");
  return readiness.is_empty() ? out << "nothing" : out;
}

std::ostream& operator<<(std::ostream& out, Interest interest) {
  if (interest.is_readable()) out << "readable";
  if (interest.is_readable() && interest.is_writable()) out << "|";
  if (interest.is_writable()) out << "writable";
  if (interest.is_empty()) out << "nothing";
  switch (interest.trigger()) {
    case Trigger::edge:
      return out << " edge";
    case Trigger::level:
      return out << " level";
    case Trigger::one_shot:
      return out << " one-shot";
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const Event& event) {
  return out << "{" << event.token << ": " << event.readiness << "}";
}

}  // namespace epore
