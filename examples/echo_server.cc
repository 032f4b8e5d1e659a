// Sends back every byte. A client that does not read its bytes is not read from either.

#include <cstddef>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/server_flags.h"

namespace {

constexpr std::string_view kHelp = R"(echo_server [flags]

Sends back every byte, and ends its half of a connection after the client has ended its own. Listens
on 127.0.0.1:7000 by default.
)";

void echo(epore::Connection& peer) {
  peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) {
    if (c.send(bytes) == epore::SendResult::high) c.pause_reading();
  });
  peer.on_writable([](epore::Connection& c) { c.resume_reading(); });
  peer.on_read_closed([](epore::Connection& c) { c.close(); });  // once everything is written
}

}  // namespace

int main(int argc, char** argv) {
  const examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (!flags.arguments.empty()) {
    examples::usage_error(absl::StrCat("unexpected argument: ", flags.arguments[0]));
  }
  epore::Runtime runtime(flags.options);
  const absl::StatusOr<epore::Listener> listener =
      runtime.listen(flags.address.empty() ? "127.0.0.1:7000" : flags.address, echo);
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener);
}
