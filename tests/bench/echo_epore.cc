// The same echo on epore, as examples/echo_server.cc has it.

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "runtime/runtime.h"
#include "tests/bench/contender_program.h"

ABSL_FLAG(int, workers, 0, "worker threads; 0: one per core");
ABSL_FLAG(int, reactors, 1, "poll threads");
ABSL_FLAG(std::string, dispatch, "",
          "who runs callbacks: workers or poll_thread; empty: the runtime's default");
ABSL_FLAG(std::string, selector, "", "the event queue's engine; empty: the best");

namespace epore::bench {
namespace {

void echo(Connection& peer) {
  peer.on_data([](Connection& c, std::span<const std::byte> bytes) {
    if (c.send(bytes) == SendResult::high) c.pause_reading();
  });
  peer.on_writable([](Connection& c) { c.resume_reading(); });
}

absl::Status serve() {
  RuntimeOptions options;
  options.workers = absl::GetFlag(FLAGS_workers);
  options.reactors = absl::GetFlag(FLAGS_reactors);
  options.selector = absl::GetFlag(FLAGS_selector);
  if (const std::string name = absl::GetFlag(FLAGS_dispatch); !name.empty()) {
    const std::optional<Dispatch> dispatch = parse_dispatch(name);
    if (!dispatch) return absl::InvalidArgumentError(absl::StrCat("no dispatch \"", name, "\""));
    options.dispatch = *dispatch;
  }
  Runtime runtime(options);
  const absl::StatusOr<Listener> listener = runtime.listen(contender_address(), echo);
  if (!listener.ok()) return listener.status();
  if (absl::Status caught = runtime.catch_signals(); !caught.ok()) return caught;
  announce_contender(listener->address().to_string(),
                     absl::StrCat("dispatch ", dispatch_name(options.dispatch)));
  return runtime.run_until_signal();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "An echo server on epore.");
  const absl::Status status = epore::bench::serve();
  return status.ok() ? 0 : epore::bench::fail_contender(status);
}
