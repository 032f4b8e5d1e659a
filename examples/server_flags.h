#ifndef EPORE_EXAMPLES_SERVER_FLAGS_H_
#define EPORE_EXAMPLES_SERVER_FLAGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "epore/runtime/listener.h"
#include "epore/runtime/options.h"
#include "epore/runtime/runtime.h"

namespace examples {

// What the command line of a server says.
struct ServerFlags {
  std::string address;  // --address, empty if it is not given
  epore::RuntimeOptions options;
  std::vector<std::string> arguments;  // those that are no flags
};

// Reads the flags that all servers share, and the program's own. Ends the program after --help,
// with `help` and the shared flags on stdout, and after a bad flag, with 1 and a message on stderr.
ServerFlags parse_server_flags(int argc, char** argv, std::string_view help);

// The life of a server that listens: prints `LISTEN address:port` for each address, calls
// `on_listening`, and prints the counters, the tasks and the connections on stderr whenever SIGUSR1
// comes; runs until SIGTERM or SIGINT. Returns the exit code.
int run_server(
    epore::Runtime& runtime, const epore::Listener& listener,
    absl::AnyInvocable<void()> on_listening = [] {});

}  // namespace examples

#endif  // EPORE_EXAMPLES_SERVER_FLAGS_H_
