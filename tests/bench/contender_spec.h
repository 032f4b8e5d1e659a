#ifndef EPORE_TESTS_BENCH_CONTENDER_SPEC_H_
#define EPORE_TESTS_BENCH_CONTENDER_SPEC_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace epore::bench {

// An echo server and how to run it, from the text "NAME" or "NAME:FLAG=VALUE:FLAG=VALUE": the
// program echo_NAME with these flags, as in "asio:threads=2".
struct ContenderSpec {
  std::string label;  // the text; "#2" follows where it is there a second time, to compare it with
                      // itself
  std::string name;
  std::vector<std::string> flags;  // "--threads=2"

  static absl::StatusOr<ContenderSpec> parse(std::string_view text);
};

// Several of them, separated by commas.
absl::StatusOr<std::vector<ContenderSpec>> parse_contenders(std::string_view text);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CONTENDER_SPEC_H_
