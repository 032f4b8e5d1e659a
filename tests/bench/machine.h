#ifndef EPORE_TESTS_BENCH_MACHINE_H_
#define EPORE_TESTS_BENCH_MACHINE_H_

#include <string>

namespace epore::bench {

// What numbers depend on and a report must name.
struct Machine {
  std::string kernel;         // "Linux 6.18.44 x86_64"
  std::string cpu;            // "AMD EPYC"
  int cores = 0;              // that this process may use
  std::string compiler;       // "gcc 12.2.0"
  std::string build;          // "optimised", "not optimised, with ThreadSanitizer"
  bool is_optimised = false;  // and without sanitizers: worth measuring

  static Machine here();
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MACHINE_H_
