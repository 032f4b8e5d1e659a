#include "examples/server_flags.h"

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/address.h"
#include "epore/runtime/options.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/dump_signal.h"

ABSL_FLAG(std::string, address, "",
          "HOST:PORT, unix:PATH or inherited:NAME to listen on; port 0: any that is free");
ABSL_FLAG(int, workers, 0, "worker threads; 0: one per core");
ABSL_FLAG(int, reactors, 1, "poll threads, each with an event queue of its own");
ABSL_FLAG(std::string, dispatch,
          std::string(epore::dispatch_name(epore::RuntimeOptions().dispatch)),
          "who runs callbacks: adaptive, workers or poll_thread");
ABSL_FLAG(std::string, selector, "",
          "the event queue's engine: epoll, poll or io_uring; empty: epoll");

namespace examples {
namespace {

constexpr std::string_view kSharedHelp = R"(
Flags that all servers share:
  --address=HOST:PORT  listen here; port 0: any that is free; or unix:PATH; or
                       inherited:NAME, a socket of the service manager
  --workers=N          worker threads; 0, the default: one per core
  --reactors=N         poll threads, each with an event queue of its own; default 1
  --dispatch=NAME      who runs callbacks: adaptive (default), workers or poll_thread
  --selector=NAME      the event queue's engine: epoll, poll or io_uring; default: epoll
  --help               print this

The first line on stdout is `LISTEN address:port`. SIGTERM drains and exits with 0, a second one ends
at once. SIGUSR1 prints on stderr the counters, as one line of JSON, and what each task and each
connection waits for.
)";

int at_least(int least, const absl::Flag<int>& flag, std::string_view name) {
  const int value = absl::GetFlag(flag);
  if (value < least) usage_error(absl::StrCat("--", name, "=", value, ": at least ", least));
  return value;
}

}  // namespace

ServerFlags parse_server_flags(int argc, char** argv, std::string_view help) {
  ServerFlags flags;
  flags.arguments = parse_command_line(argc, argv, absl::StrCat(help, kSharedHelp));
  flags.address = absl::GetFlag(FLAGS_address);
  if (!flags.address.empty() && !absl::StartsWith(flags.address, "inherited:")) {
    const bool is_unix = absl::StartsWith(flags.address, "unix:");
    const absl::Status bad = is_unix ? epore::SocketAddress::parse(flags.address).status()
                                     : epore::HostPort::parse(flags.address).status();
    if (!bad.ok()) usage_error(absl::StrCat("--address: ", bad.message()));
  }
  flags.options.workers = at_least(0, FLAGS_workers, "workers");
  flags.options.reactors = at_least(1, FLAGS_reactors, "reactors");
  const std::string name = absl::GetFlag(FLAGS_dispatch);
  const std::optional<epore::Dispatch> dispatch = epore::parse_dispatch(name);
  if (!dispatch) {
    usage_error(absl::StrCat("--dispatch=", name,
                             ": unknown; there are adaptive, workers and poll_thread"));
  }
  flags.options.dispatch = *dispatch;
  flags.options.selector = absl::GetFlag(FLAGS_selector);
  if (const epore::RuntimeOptions only = {.selector = flags.options.selector}; !only.check().ok()) {
    usage_error(absl::StrCat("--selector=", only.selector,
                             ": unknown; there are epoll, poll and io_uring"));
  }
  return flags;
}

int run_server(epore::Runtime& runtime, const epore::Listener& listener,
               absl::AnyInvocable<void()> on_listening) {
  if (absl::Status bad = dump_on_signal(runtime); !bad.ok()) return epore::report(bad);

  // Who reads the first line may signal at once.
  if (absl::Status caught = runtime.catch_signals(); !caught.ok()) return epore::report(caught);
  for (const epore::SocketAddress& address : listener.addresses()) {
    std::printf("LISTEN %s\n", address.to_string().c_str());
  }
  std::fflush(stdout);
  on_listening();
  return epore::report(runtime.run_service());
}

}  // namespace examples
