#ifndef EPORE_TESTS_BENCH_OUTPUT_H_
#define EPORE_TESTS_BENCH_OUTPUT_H_

#include <string_view>

#include "absl/status/status.h"

namespace epore::bench {

// What a benchmark program shows and writes.

// One line on stderr, if that is a terminal, in the place of the last one.
void show_progress(std::string_view what, double done);
void clear_progress();

// Writes a file for the user: a relative path begins where the user is, which is not where Bazel
// runs programs. A program that measures for minutes calls it once before, with no text, so that a
// path that cannot be written is known in time.
absl::Status write_output(std::string_view path, std::string_view text);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_OUTPUT_H_
