#ifndef EPORE_TESTS_BENCH_ECHO_ROUND_H_
#define EPORE_TESTS_BENCH_ECHO_ROUND_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/load.h"
#include "tests/bench/sample.h"

namespace epore::bench {

// What `load` did to the server, and what it cost the server. Nothing must be in flight before and
// after it, so that what the server used up belongs to it alone.
absl::StatusOr<Sample> measure(const EchoServer& server,
                               absl::FunctionRef<absl::StatusOr<LoadResult>()> load);

// Fresh connections, a fifth of `round` to warm up, then `round` measured.
absl::StatusOr<Sample> run_echo_round(const EchoServer& server, const LoadOptions& load,
                                      absl::Duration round);

// `status` of a round of `what` ("50 connections"), which is more often the fault of a dead server
// than of the load.
absl::Status explain(const absl::Status& status, EchoServer& server, std::string_view what);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ECHO_ROUND_H_
