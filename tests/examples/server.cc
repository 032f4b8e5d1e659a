#include "tests/examples/server.h"

#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "examples/child_process.h"
#include "tests/examples/client.h"

namespace examples {
namespace {

#ifdef ABSL_HAVE_THREAD_SANITIZER
constexpr bool kMayKeepSignals = true;
#else
constexpr bool kMayKeepSignals = false;
#endif

}  // namespace

ChildProcess start_program(const std::string& name, const std::vector<std::string>& arguments) {
  const char* const runfiles = std::getenv("TEST_SRCDIR");
  const char* const workspace = std::getenv("TEST_WORKSPACE");
  CHECK(runfiles != nullptr && workspace != nullptr) << "to be run by `bazel test`";
  static const int set = ::setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
  CHECK_EQ(set, 0);
  std::vector<std::string> command = {absl::StrCat(runfiles, "/", workspace, "/examples/", name)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  absl::StatusOr<ChildProcess> process =
      ChildProcess::start(command, ChildProcess::Errors::captured);
  CHECK_OK(process.status());
  return *std::move(process);
}

Server::Server(const std::string& name, const std::vector<std::string>& arguments)
    : process(start_program(name, arguments)) {
  constexpr std::string_view kListen = "LISTEN ";
  const std::optional<std::string> line = process.read_line();
  CHECK(line && absl::StartsWith(*line, kListen))
      << (line ? *line : process.read_error_line(absl::ZeroDuration()).value_or("no first line"));
  address = line->substr(kListen.size());
}

std::string Server::counters() {
  for (int i = 0; i < 4; ++i) {  // see ask_to_end()
    process.signal(SIGUSR1);
    while (std::optional<std::string> line = process.read_error_line(absl::Seconds(10))) {
      if (absl::StartsWith(*line, "{")) return *line;
    }
  }
  return "";
}

long long Server::counter(const std::string& name, long long expected) {
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  long long value = -1;
  do {
    value = examples::counter(counters(), name);
  } while (value != expected && absl::Now() < deadline);
  return value;
}

void Server::ask_to_end() {
  const bool was_open = kMayKeepSignals && !is_refused(address);
  process.signal(SIGTERM);
  if (!kMayKeepSignals) return;
  const absl::Time deadline = absl::Now() + absl::Seconds(4);
  while (!process.wait(absl::Milliseconds(20)).ok() && !(was_open && is_refused(address))) {
    if (absl::Now() < deadline) continue;
    process.signal(SIGTERM);
    return;
  }
}

int Server::terminate() {
  ask_to_end();
  return process.wait().value_or(-1);
}

long long counter(const std::string& json, const std::string& name) {
  const std::string key = absl::StrCat("\"", name, "\":");
  const std::size_t at = json.find(key);
  return at == json.npos ? -1 : std::strtoll(json.c_str() + at + key.size(), nullptr, 10);
}

}  // namespace examples
