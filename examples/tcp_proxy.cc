// Passes bytes on between clients and one of several other servers, both ways.

#include <atomic>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/proxy_protocol.h"
#include "examples/server_flags.h"

ABSL_FLAG(absl::Duration, idle_timeout, absl::Hours(1), "without a byte in either direction");
ABSL_FLAG(bool, proxy_protocol, false, "tell the origins the addresses of their clients");

namespace {

constexpr std::string_view kHelp = R"(tcp_proxy ORIGIN... [flags]

Connects every client to one of the ORIGINs, each a HOST:PORT or unix:PATH, in turn. One that does
not answer within two seconds is left out for ten. Listens on 127.0.0.1:7070 by default.

  --idle-timeout=1h    end a client and its origin after so long without a byte between them
  --proxy_protocol     tell the origins the addresses of their clients (PROXY protocol, version 2)
)";

constexpr absl::Duration kConnectTimeout = absl::Seconds(2);
constexpr absl::Duration kLeftOut = absl::Seconds(10);

// A server behind the proxy. Connections of any thread use it at the same time.
class Origin {
 public:
  explicit Origin(std::string address) : address_(std::move(address)) {}

  const std::string& address() const { return address_; }
  bool is_left_out() const { return absl::GetCurrentTimeNanos() < left_out_until_; }
  void note(const absl::Status& connected) {
    left_out_until_ =
        connected.ok() ? 0 : absl::GetCurrentTimeNanos() + absl::ToInt64Nanoseconds(kLeftOut);
  }

 private:
  const std::string address_;
  std::atomic<std::int64_t> left_out_until_{0};
};

class Origins {
 public:
  explicit Origins(const std::vector<std::string>& addresses)
      : origins_(addresses.begin(), addresses.end()) {}

  // All of them: first those that answer, from the next one on, and then those that are left out.
  std::vector<Origin*> in_turn() {
    const std::size_t first = next_++;
    std::vector<Origin*> turn;
    for (const bool is_left_out : {false, true}) {
      for (std::size_t i = 0; i < origins_.size(); ++i) {
        Origin& origin = origins_[(first + i) % origins_.size()];
        if (origin.is_left_out() == is_left_out) turn.push_back(&origin);
      }
    }
    return turn;
  }

 private:
  std::deque<Origin> origins_;  // an Origin cannot be moved
  std::atomic<std::size_t> next_{0};
};

epore::Task<epore::Connection> connect_to_one(Origins& origins,
                                              const epore::ConnectionOptions& options) {
  absl::Status failed;
  for (Origin* origin : origins.in_turn()) {
    absl::StatusOr<epore::Connection> connection =
        co_await epore::within(kConnectTimeout, epore::connect(origin->address(), options))
            .result();
    // A stop of this task says nothing about the origin, and ends the task at the next co_await.
    if (!absl::IsCancelled(connection.status())) origin->note(connection.status());
    if (connection.ok()) co_return *std::move(connection);
    failed = connection.status();
  }
  co_return failed;
}

// An end of one side becomes the end of our half towards the other, which may go on sending.
epore::Task<> pump(epore::Connection from, epore::Connection to) {
  co_await epore::splice(from, to);
  to.shut_down_write();
}

struct Settings {
  epore::ConnectionOptions connection;  // of both sides
  bool tells_client;
};

epore::Task<> serve(epore::Connection client, Origins& origins, const Settings& settings) {
  client.on_drain([](epore::Connection&) {});  // what is under way may end, in the drain timeout
  epore::Connection origin = co_await connect_to_one(origins, settings.connection);
  if (settings.tells_client) {
    const std::string header =
        examples::proxy_header(client.peer_address(), client.local_address());
    co_await origin.write(header);
  }
  const absl::Status passed =
      co_await epore::all(pump(client, origin), pump(origin, client)).result();
  // An error resets the client. Nor shall the origin take a part for the whole.
  if (!passed.ok()) origin.abort(passed);
  co_await passed;
}

}  // namespace

int main(int argc, char** argv) {
  const examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (flags.arguments.empty()) examples::usage_error("there must be an ORIGIN");
  Origins origins(flags.arguments);  // before the runtime: it outlives the handlers
  Settings settings = {.connection = {}, .tells_client = absl::GetFlag(FLAGS_proxy_protocol)};
  settings.connection.idle_timeout = absl::GetFlag(FLAGS_idle_timeout);
  if (settings.connection.idle_timeout <= absl::ZeroDuration()) {
    examples::usage_error("--idle-timeout: more than zero");
  }
  epore::ListenOptions options;
  options.connection = settings.connection;
  epore::Runtime runtime(flags.options);
  const absl::StatusOr<epore::Listener> listener = runtime.listen(
      flags.address.empty() ? "127.0.0.1:7070" : flags.address,
      [&](epore::Connection client) { return serve(client, origins, settings); }, options);
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener);
}
