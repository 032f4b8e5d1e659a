#ifndef EPORE_TESTS_BENCH_PROGRAMS_H_
#define EPORE_TESTS_BENCH_PROGRAMS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace epore::bench {

// The path of a program of tests/bench that was built along with this one ("echo_epoll"): in this
// program's runfiles, or in the tree of build outputs that it lies in itself. NotFound says how to
// build it.
absl::StatusOr<std::string> find_program(std::string_view name);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_PROGRAMS_H_
