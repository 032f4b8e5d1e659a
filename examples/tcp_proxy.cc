// Passes bytes on between clients and another server, both ways.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/server_flags.h"

namespace {

constexpr std::string_view kHelp = R"(tcp_proxy ORIGIN [flags]

Connects every client to ORIGIN, a HOST:PORT. Listens on 127.0.0.1:7070 by default.
)";

// An end of one side becomes the end of our half towards the other, which may go on sending.
epore::Task<> pump(epore::Connection from, epore::Connection to) {
  while (epore::ByteView bytes = co_await from.read()) co_await to.write(bytes);
  to.shut_down_write();
}

epore::Task<> serve(epore::Connection client, std::string_view address) {
  client.on_drain([](epore::Connection&) {});  // what is under way may end, in the drain timeout
  epore::Connection origin = co_await epore::within(absl::Seconds(2), epore::connect(address));
  co_await epore::all(pump(client, origin), pump(origin, client));
}

}  // namespace

int main(int argc, char** argv) {
  const examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (flags.arguments.size() != 1) examples::usage_error("there must be one ORIGIN");
  const std::string origin = flags.arguments[0];
  epore::Runtime runtime(flags.options);
  const absl::StatusOr<epore::Listener> listener =
      runtime.listen(flags.address.empty() ? "127.0.0.1:7070" : flags.address,
                     [&origin](epore::Connection client) { return serve(client, origin); });
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener);
}
