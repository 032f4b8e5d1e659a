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
    if (!server.ok() && !absl::IsUnimplemented(server.status())) return server.status();
    set.add(spec, std::move(server));
  }
  return set;
}

ContenderSet ContenderSet::start_who_can(const std::vector<ContenderSpec>& specs, int core) {
  ContenderSet set;
  for (const ContenderSpec& spec : specs) set.add(spec, EchoServer::start(spec, core));
  return set;
}

void ContenderSet::add(const ContenderSpec& spec, absl::StatusOr<EchoServer> server) {
  Contender& contender = contenders_.emplace_back();
  contender.spec = spec;
  if (server.ok()) {
    contender.version = server->version();
    servers_.emplace_back(*std::move(server));
  } else {
    contender.skipped = std::string(server.status().message());
    contender.has_failed = !absl::IsUnimplemented(server.status());
    servers_.emplace_back();
  }
}

absl::Status ContenderSet::stop() {
  absl::Status first;
  for (std::optional<EchoServer>& server : servers_) {
    if (server) first.Update(server->stop());
  }
  return first;
}

}  // namespace epore::bench
