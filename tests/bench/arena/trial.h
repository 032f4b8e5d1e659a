#ifndef EPORE_TESTS_BENCH_ARENA_TRIAL_H_
#define EPORE_TESTS_BENCH_ARENA_TRIAL_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/sample.h"

namespace epore::bench {

// A number that a trial gives, and how it is shown.
struct Measure {
  std::string_view name;   // for programs: "p99_us"
  std::string_view title;  // for people: "p99 us"
  double Sample::*value;
  double unit;  // shown are values divided by this
  int digits;
  bool more_is_better;
};

inline constexpr Measure kCpu = {"cpu_ns_per_message", "CPU ns", &Sample::cpu_ns, 1, 0, false};
inline constexpr Measure kRate = {"rate", "k/s", &Sample::rate, 1000, 1, true};
inline constexpr Measure kP50 = {"p50_us", "p50 us", &Sample::p50_us, 1, 0, false};
inline constexpr Measure kP99 = {"p99_us", "p99 us", &Sample::p99_us, 1, 0, false};
inline constexpr Measure kP999 = {"p999_us", "p99.9 us", &Sample::p999_us, 1, 0, false};

// Where servers may run. `one`: pinned to one core, and the load to another. `all`: neither is
// pinned, for what more than one core is needed for.
enum class Cores { one, all };

// Something that all contenders do in turn.
struct Trial {
  std::string id;     // "echo/50x64x1"
  std::string group;  // "echo", see trial_groups()
  std::string title;  // "50 connections, 64 B, 1 in flight"
  std::vector<std::string> server_flags = {};
  Cores cores = Cores::one;
  std::vector<const Measure*> measures = {};  // the first one is what it is about
  bool is_closed_loop = true;                 // else the load is busy all the time

  // Of a round, besides the load: about how long connecting takes, and until all that is in flight
  // is back. For expected_time().
  absl::Duration overhead = absl::Milliseconds(5);

  // One round against one server.
  std::function<absl::StatusOr<Sample>(const EchoServer&, absl::Duration round)> run = {};
};

// Whether the second of two can go on with the first one's servers.
inline bool same_servers(const Trial& a, const Trial& b) {
  return a.server_flags == b.server_flags && a.cores == b.cores;
}

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_TRIAL_H_
