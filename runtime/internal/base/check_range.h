#ifndef EPORE_RUNTIME_INTERNAL_BASE_CHECK_RANGE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_CHECK_RANGE_H_

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace epore::internal {

// Whether an option is from `low` to `high`. Errors: InvalidArgument, which names it, and says what
// it is and must be.
template <std::integral Value>
absl::Status check_range(std::string_view name, Value value, std::int64_t low, std::int64_t high) {
  if (std::cmp_greater_equal(value, low) && std::cmp_less_equal(value, high)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", value, ", must be from ", low, " to ", high));
}

// As check_range(), for permissions of a file.
inline absl::Status check_mode(std::string_view name, unsigned mode) {
  if (mode <= 0777) return absl::OkStatus();
  char octal[16];
  std::snprintf(octal, sizeof octal, "0%o", mode);
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", octal, " (octal), must be from 0 to 0777"));
}

// The first of the statuses that is an error, or ok.
template <typename... Statuses>
absl::Status first_error(Statuses... statuses) {
  absl::Status first;
  ((first.ok() ? void(first = statuses) : void()), ...);
  return first;
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_CHECK_RANGE_H_
