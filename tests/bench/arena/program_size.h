#ifndef EPORE_TESTS_BENCH_ARENA_PROGRAM_SIZE_H_
#define EPORE_TESTS_BENCH_ARENA_PROGRAM_SIZE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace epore::bench {

// What of a program's file is loaded to run it: code and data, without symbols and debug
// information (elf(5): the PT_LOAD segments' sizes in the file). Shared libraries are not in it.
struct ProgramSize {
  std::string name;
  std::uint64_t loaded_bytes = 0;

  static absl::StatusOr<ProgramSize> of_file(const std::string& path);
  static absl::StatusOr<ProgramSize> of_contender(std::string_view name);  // "epoll"
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_PROGRAM_SIZE_H_
