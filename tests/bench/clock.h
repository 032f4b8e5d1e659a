#ifndef EPORE_TESTS_BENCH_CLOCK_H_
#define EPORE_TESTS_BENCH_CLOCK_H_

#include <time.h>

#include <cstdint>

#include "absl/time/time.h"

namespace epore::bench {

// Nanoseconds of CLOCK_MONOTONIC: a plain number, because the load asks once per message.
inline std::uint64_t now_ns() {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// `timeout` from now, which must not be negative; a far future for an infinite one.
inline std::uint64_t deadline_ns(absl::Duration timeout) {
  constexpr absl::Duration kFar = absl::Hours(24 * 365 * 100);
  return now_ns() +
         static_cast<std::uint64_t>(absl::ToInt64Nanoseconds(timeout < kFar ? timeout : kFar));
}

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CLOCK_H_
