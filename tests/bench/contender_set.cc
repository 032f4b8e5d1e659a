#include "tests/bench/contender_set.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/contender_spec.h"
#include "tests/bench/echo_server.h"

namespace epore::bench {

absl::StatusOr<ContenderSet> ContenderSet::start(const std::vector<ContenderSpec>& specs,
                                                 int core) {
  ContenderSet set;
  for (const ContenderSpec& spec : specs) {
    absl::StatusOr<EchoServer> server = EchoServer::start(spec, core);
    if (server.ok()) {
      set.contenders_.push_back({.spec = spec, .version = server->version(), .skipped = {}});
      set.servers_.emplace_back(*std::move(server));
    } else if (absl::IsUnimplemented(server.status())) {
      set.contenders_.push_back(
          {.spec = spec, .version = {}, .skipped = std::string(server.status().message())});
      set.servers_.emplace_back();
    } else {
      return server.status();
    }
  }
  return set;
}

absl::Status ContenderSet::stop() {
  for (std::optional<EchoServer>& server : servers_) {
    if (!server) continue;
    if (absl::Status status = server->stop(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace epore::bench
