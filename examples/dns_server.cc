// A name server for one zone: UDP and TCP on one port, and a new zone at SIGHUP.
//
// Datagrams come in batches, and their answers leave in batches: a batch costs two system calls. An
// answer that is too long for a datagram says so, and the client asks again by TCP. A zone never
// changes: the new one takes the place of the old one, and questions that are being answered
// keep the old one.

#include <signal.h>

#include <cstddef>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/dns_message.h"
#include "examples/dns_zone.h"
#include "examples/server_flags.h"

namespace {

constexpr std::string_view kHelp = R"(dns_server [flags] ZONE

Answers questions about the names in the file ZONE, by UDP and TCP. SIGHUP reads the file again; if
it is bad, the old zone stays. Listens on 127.0.0.1:5300 by default. A record stands on each line:
  example.com.     3600 SOA ns.example.com. admin.example.com. 1 7200 900 86400 300
  www.example.com. 300  A   192.0.2.1
)";

constexpr std::size_t kLongestMessage = 65535;  // by TCP, where two bytes are its length

// A client by TCP that asks nothing for so long is gone (RFC 7766).
constexpr absl::Duration kIdle = absl::Seconds(10);

class Names {
 public:
  void replace(examples::DnsZone zone) {
    auto next = std::make_shared<const examples::DnsZone>(std::move(zone));
    const absl::MutexLock lock(&mutex_);
    zone_.swap(next);
  }

  // Empty: there is none, or it is no question.
  std::string answer(std::string_view message, bool is_udp) const {
    const std::optional<examples::DnsQuery> query = examples::parse_dns_query(message);
    if (!query) return "";
    const std::size_t limit = is_udp ? query->udp_size : kLongestMessage;
    if (query->code != examples::DnsCode::ok) {
      return examples::make_dns_answer(*query, {.code = query->code}, limit);
    }
    const std::shared_ptr<const examples::DnsZone> zone = current();
    return examples::make_dns_answer(*query, zone->find(query->name, query->type), limit);
  }

 private:
  std::shared_ptr<const examples::DnsZone> current() const {
    const absl::MutexLock lock(&mutex_);
    return zone_;
  }

  mutable absl::Mutex mutex_;
  std::shared_ptr<const examples::DnsZone> zone_ ABSL_GUARDED_BY(mutex_);
};

epore::Task<> serve_udp(epore::UdpSocket socket, const Names& names) {
  while (true) {
    for (const epore::Datagram& datagram : co_await socket.receive()) {
      if (datagram.is_truncated) continue;  // no question is so long
      const std::string answer = names.answer(datagram.bytes.text(), true);
      // From the address that was asked. A full queue drops, as the network does.
      if (!answer.empty()) (void)socket.send(answer, datagram.peer, datagram.local);
    }
  }
}

// Questions may come before the answers to earlier ones are read.
epore::Task<> serve_tcp(epore::Connection peer, const Names& names) {
  while (true) {
    // Also at an error: it ends in peace, for answers may be on their way.
    const auto head = co_await epore::within(kIdle, peer.read_exactly(2)).result();
    if (!head.ok()) co_return;
    const std::size_t size =
        std::to_integer<std::size_t>((*head)[0]) << 8 | std::to_integer<std::size_t>((*head)[1]);
    const auto question = co_await epore::within(kIdle, peer.read_exactly(size)).result();
    if (!question.ok()) co_return;
    const std::string answer = names.answer(question->text(), false);
    if (answer.empty()) co_return;
    std::string message;
    examples::append_16(message, answer.size());
    message += answer;
    co_await peer.write(message);
  }
}

absl::StatusOr<examples::DnsZone> parse_zone(const std::string& path,
                                             const absl::StatusOr<std::string>& text) {
  if (!text.ok()) return text.status();
  absl::StatusOr<examples::DnsZone> zone = examples::DnsZone::parse(*text);
  if (zone.ok()) return zone;
  return absl::Status(zone.status().code(), absl::StrCat(path, ": ", zone.status().message()));
}

epore::Task<> reload(epore::Signal hangup, std::string path, Names& names) {
  while (true) {
    co_await hangup.wait();
    const absl::StatusOr<std::string> text = co_await epore::read_file(path).result();
    absl::StatusOr<examples::DnsZone> zone = parse_zone(path, text);
    if (zone.ok()) {
      std::fprintf(stderr, "dns_server: %zu records\n", zone->size());
      names.replace(*std::move(zone));
    } else {
      std::fprintf(stderr, "dns_server: the old zone stays: %s\n",
                   std::string(zone.status().message()).c_str());
    }
  }
}

struct Doors {
  epore::UdpSocket udp;
  epore::Listener tcp;
};

// Port 0 is one that is free for both: what UDP has got may be taken for TCP, then it tries again.
absl::StatusOr<Doors> open_doors(epore::Runtime& runtime, const std::string& address,
                                 const Names& names) {
  for (int left = absl::EndsWith(address, ":0") ? 100 : 1;; --left) {
    absl::StatusOr<epore::UdpSocket> udp =
        runtime.udp(address, {.local_address = true, .receive_buffer = 1 << 20});
    if (!udp.ok()) return udp.status();
    absl::StatusOr<epore::Listener> tcp =
        runtime.listen(udp->address().to_string(),
                       [&names](epore::Connection peer) { return serve_tcp(peer, names); });
    if (tcp.ok()) return Doors{*std::move(udp), *std::move(tcp)};
    if (left == 1 || !absl::IsAlreadyExists(tcp.status())) return tcp.status();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (flags.arguments.size() != 1) examples::usage_error("there must be one ZONE");
  const std::string path = flags.arguments[0];
  Names names;  // before the runtime: it outlives the handlers
  epore::Runtime runtime(flags.options);
  const auto read = [path]() -> epore::Task<std::string> { return epore::read_file(path); };
  absl::StatusOr<examples::DnsZone> zone = parse_zone(path, runtime.run(read));
  if (!zone.ok()) return epore::report(zone.status());
  names.replace(*std::move(zone));

  const absl::StatusOr<Doors> doors =
      open_doors(runtime, flags.address.empty() ? "127.0.0.1:5300" : flags.address, names);
  if (!doors.ok()) return epore::report(doors.status());
  const absl::StatusOr<epore::Signal> hangup = runtime.on_signal(SIGHUP);
  if (!hangup.ok()) return epore::report(hangup.status());
  runtime.spawn(serve_udp, doors->udp, std::cref(names));
  runtime.spawn(reload, *hangup, path, std::ref(names));
  return examples::run_server(runtime, doors->tcp);
}
