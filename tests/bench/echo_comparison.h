#ifndef EPORE_TESTS_BENCH_ECHO_COMPARISON_H_
#define EPORE_TESTS_BENCH_ECHO_COMPARISON_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace epore::bench {

struct EchoComparisonOptions {
  absl::Duration duration = absl::Seconds(10);  // of everything together, at least 100 ms
  int connections = 50;
  std::size_t message_size = 64;
};

// Medians over the rounds of one server.
struct EchoRow {
  std::string name;     // "epoll loop", "epore", "Boost.Asio, 1 thread", ...
  std::string version;  // "1.38.2 (Boost 1.92.0)"
  std::string skipped;  // why there are no numbers ("built without Boost"); empty: there are
  double rate = 0;      // messages per second
  absl::Duration p50;
  absl::Duration p99;
  double cpu_ns_per_message = 0;  // user and system time of the server
  double cpu_ns_low = 0;          // of the rounds, its lower and its upper quartile
  double cpu_ns_high = 0;
};

struct EchoComparison {
  std::vector<EchoRow> rows;  // the bare epoll loop first, then epore and Boost.Asio in pairs
  int rounds = 0;
  std::string tally;  // how many rounds were disturbed and taken again
  std::string note;   // what a reader of the numbers must know ("one core only: ..."), or empty
};

// What the race of two servers says: "no difference" where their quartiles of CPU per message
// overlap, else how many more or fewer messages the first one handles in a second of CPU. Empty:
// one of them has no numbers.
std::string race_result(const EchoRow& ours, const EchoRow& theirs);

// What is being done, and how much of the whole is done, 0 to 1.
using EchoProgress = absl::FunctionRef<void(std::string_view what, double done)>;

// A short echo comparison with Boost.Asio: each server is a process of its own, pinned to one core,
// the load runs on the calling thread, pinned to another core meanwhile, and the servers take turns
// in short rounds. For numbers to rely on, run //tests/bench:compare.
//
// Blocks for at most about `duration`, and on a quiet machine for two thirds of it, calling
// `progress` before each round. The server programs are found beside the running program's build
// outputs, see programs.h. No server is left running after it.
absl::StatusOr<EchoComparison> run_echo_comparison(const EchoComparisonOptions& options,
                                                   EchoProgress progress);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ECHO_COMPARISON_H_
