#ifndef EPORE_TESTS_BENCH_CONTENDER_SET_H_
#define EPORE_TESTS_BENCH_CONTENDER_SET_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/echo_server.h"

namespace epore::bench {

struct Contender {
  ContenderSpec spec;
  std::string version = {};
  std::string skipped = {};  // why it took no part; empty: it did
  bool has_failed = false;   // and should have
};

// The contenders of a comparison and their servers, all running, but for those that say that they
// cannot run here.
class ContenderSet {
 public:
  // On `core`; -1: on all that there are. No server is left running after an error.
  static absl::StatusOr<ContenderSet> start(const std::vector<ContenderSpec>& specs, int core);

  // The same without who fails to start.
  static ContenderSet start_who_can(const std::vector<ContenderSpec>& specs, int core);

  std::size_t size() const { return contenders_.size(); }
  const std::vector<Contender>& contenders() const { return contenders_; }

  // Null: it was skipped.
  EchoServer* server(std::size_t index) { return servers_[index] ? &*servers_[index] : nullptr; }

  // Ends its server, if it still runs; from now on it counts as skipped.
  void drop(std::size_t index) { servers_[index].reset(); }

  // Whose turn it is: each follows each of the others in some round.
  std::size_t in_turn(int round, std::size_t turn) const {
    return (turn + static_cast<std::size_t>(round)) % size();
  }

  // Ends all servers in peace. An error is the first one's that did not end so; none is left
  // running.
  absl::Status stop();

 private:
  void add(const ContenderSpec& spec, absl::StatusOr<EchoServer> server);

  std::vector<Contender> contenders_;
  std::vector<std::optional<EchoServer>> servers_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CONTENDER_SET_H_
