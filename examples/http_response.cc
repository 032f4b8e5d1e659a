#include "examples/http_response.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace examples {
namespace {

// Those that the examples send. A reason phrase may be empty (RFC 9112, 4).
std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "";
  }
}

}  // namespace

std::string http_date(absl::Time time) {
  // Not by FormatTime's %a and %b, whose names are those of the process's locale.
  static constexpr const char* kDays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const absl::CivilSecond t = absl::ToCivilSecond(time, absl::UTCTimeZone());
  const auto day = static_cast<std::size_t>(absl::GetWeekday(t));
  const auto two = [](int n) { return absl::Dec(n, absl::kZeroPad2); };
  return absl::StrCat(kDays[day], ", ", two(t.day()), " ", kMonths[t.month() - 1], " ", t.year(),
                      " ", two(t.hour()), ":", two(t.minute()), ":", two(t.second())) +
         " GMT";
}

std::string http_response_head(int status, std::size_t body_size, ConnectionHeader connection,
                               absl::Time date) {
  std::string head = absl::StrCat("HTTP/1.1 ", status, " ", reason_phrase(status),
                                  "\r\ncontent-length: ", body_size, "\r\n");
  if (connection == ConnectionHeader::close) head += "connection: close\r\n";
  if (connection == ConnectionHeader::keep_alive) head += "connection: keep-alive\r\n";
  if (body_size > 0) head += "content-type: text/plain; charset=utf-8\r\n";
  absl::StrAppend(&head, "date: ", http_date(date), "\r\n\r\n");
  return head;
}

}  // namespace examples
