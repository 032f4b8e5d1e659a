#ifndef EPORE_TESTS_BENCH_ARENA_EXAMPLE_RESULT_H_
#define EPORE_TESTS_BENCH_ARENA_EXAMPLE_RESULT_H_

#include <string>
#include <vector>

#include "tests/bench/arena/arena_run.h"
#include "tests/bench/arena/trial.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/sample.h"

namespace epore::bench {

// Results that nobody measured, for tests of what is made of them.

// A sample for each round: the rate and p99 follow from the CPU per message.
inline std::vector<Sample> with_cpu(const std::vector<double>& cpu) {
  std::vector<Sample> samples;
  for (const double ns : cpu) {
    samples.push_back({.messages = 1, .rate = 1e9 / ns, .p99_us = ns / 10, .cpu_ns = ns});
  }
  return samples;
}

inline std::vector<Sample> constant(double cpu) { return with_cpu(std::vector<double>(9, cpu)); }

// By contender; 0: it is absent.
inline TrialResult example_trial(const std::string& id, const std::vector<double>& cpus) {
  TrialResult result;
  result.trial.id = id;
  result.trial.group = id.substr(0, id.find('/'));
  result.trial.title = id;
  result.trial.measures = {&kCpu, &kRate};
  for (const double cpu : cpus) {
    result.samples.push_back(cpu > 0 ? constant(cpu) : std::vector<Sample>());
    result.absences.push_back({.why = cpu > 0 ? "" : "absent"});
  }
  return result;
}

// epoll, epore, asio, asio:threads=2 and asio_uring.
inline ArenaResult example_result() {
  ArenaResult result;
  const auto specs = parse_contenders("epoll,epore,asio,asio:threads=2,asio_uring").value();
  for (const ContenderSpec& spec : specs) {
    result.contenders.push_back({.spec = spec, .version = "1"});
  }
  result.trials = {example_trial("echo/1x64x1", {100, 102, 110, 120, 0}),
                   example_trial("echo/50x64x1", {100, 103, 110, 120, 130}),
                   example_trial("echo/500x64x1", {100, 101, 110, 95, 0}),
                   example_trial("neighbour/50", {0, 50, 60, 40, 0})};
  return result;
}

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_EXAMPLE_RESULT_H_
