#ifndef EPORE_TESTS_BENCH_SAMPLE_H_
#define EPORE_TESTS_BENCH_SAMPLE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace epore::bench {

// What one round of one contender gave.
struct Sample {
  std::uint64_t messages = 0;
  double rate = 0;    // messages per second
  double p50_us = 0;  // round trip of a message
  double p99_us = 0;
  double p999_us = 0;
  double cpu_ns = 0;         // user and system time of the server per message
  double server_busy = 0;    // share of the time that the server ran; 1: a whole core
  double load_busy = 0;      // of the load. Near 1 where the server is not: the load was the limit
  double server_waited = 0;  // share of the time that threads waited for the core: for one another,
                             // or for work that has nothing to do with this
  double load_waited = 0;    // the same of the load, a single thread: only the latter
};

struct Metric {
  std::string_view name;
  double Sample::*value;
};

inline constexpr std::array<Metric, 9> kMetrics = {{
    {"rate", &Sample::rate},
    {"p50_us", &Sample::p50_us},
    {"p99_us", &Sample::p99_us},
    {"p999_us", &Sample::p999_us},
    {"cpu_ns_per_message", &Sample::cpu_ns},
    {"server_busy", &Sample::server_busy},
    {"load_busy", &Sample::load_busy},
    {"server_waited", &Sample::server_waited},
    {"load_waited", &Sample::load_waited},
}};

// One number of every sample, in order of the rounds.
inline std::vector<double> values(const std::vector<Sample>& samples, double Sample::*value) {
  std::vector<double> all;
  for (const Sample& sample : samples) all.push_back(sample.*value);
  return all;
}

// The same divided, round by round, by another contender's: what disturbs the machine for longer
// than a round disturbs both.
inline std::vector<double> ratios(const std::vector<Sample>& samples,
                                  const std::vector<Sample>& base, double Sample::*value) {
  std::vector<double> all;
  for (std::size_t i = 0; i < samples.size() && i < base.size(); ++i) {
    all.push_back(samples[i].*value / base[i].*value);
  }
  return all;
}

// The means of several trials' ratios, round by round.
inline std::vector<double> means_by_round(const std::vector<std::vector<double>>& trials) {
  std::size_t rounds = trials.empty() ? 0 : trials.front().size();
  for (const std::vector<double>& trial : trials) rounds = std::min(rounds, trial.size());
  std::vector<double> means(rounds);
  for (std::size_t i = 0; i < rounds; ++i) {
    for (const std::vector<double>& trial : trials) means[i] += trial[i];
    means[i] /= static_cast<double>(trials.size());
  }
  return means;
}

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_SAMPLE_H_
