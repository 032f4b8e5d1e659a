// An HTTP server that takes its time: `GET /1000/hello` is answered with "hello" after a second.

#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/delay_log.h"
#include "examples/delay_service.h"
#include "examples/server_flags.h"

ABSL_FLAG(std::uint16_t, port, 8080, "port to listen on; 0: any that is free");
ABSL_FLAG(std::uint32_t, fill, 0, "characters to add to each answer");

namespace {

constexpr std::string_view kHelp = R"(delay_server [HOST] [flags]

Answers GET /{delay}/{message} with the message, after so many milliseconds. HOST is localhost by
default; all of its addresses are bound.

  --port=N             port to listen on; 0: any that is free; default 8080
  --fill=N             add " -- " and N characters to each answer
)";

// " -- HelloWorldHello", so long that an answer may need many writes.
std::string make_fill(std::size_t size) {
  if (size == 0) return "";
  constexpr std::string_view kText = "HelloWorld";
  std::string fill = " -- ";
  for (std::size_t i = 0; i < size; ++i) fill += kText[i % kText.size()];
  return fill;
}

std::string address_of(const examples::ServerFlags& flags) {
  if (flags.arguments.size() > 1) examples::usage_error("more than one HOST");
  if (!flags.address.empty()) return flags.address;
  const std::string host = flags.arguments.empty() ? "localhost" : flags.arguments[0];
  const bool is_ipv6 = host.find(':') != host.npos && host[0] != '[';
  return absl::StrCat(is_ipv6 ? "[" : "", host, is_ipv6 ? "]:" : ":", absl::GetFlag(FLAGS_port));
}

}  // namespace

int main(int argc, char** argv) {
  examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  const std::string address = address_of(flags);
  examples::DelayLog log(stdout);
  const examples::DelayService service{&log, make_fill(absl::GetFlag(FLAGS_fill))};

  flags.options.drain_timeout = absl::InfiniteDuration();  // who was promised an answer gets it
  epore::Runtime runtime(flags.options);

  epore::ListenOptions options;
  options.connection.linger_timeout = absl::Seconds(1);
  const absl::StatusOr<epore::Listener> listener = runtime.listen(
      address, [&service](epore::Connection peer) { return examples::serve_delays(peer, service); },
      options);
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener, [&log] { log.open(); });
}
