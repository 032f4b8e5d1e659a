// A chat room, over TCP and Unix sockets at once: the first line of a client is its name, and every
// further line goes to all.
//
// All connections share the list of members, and no mutex guards it: they share an order, so one
// of their coroutines runs at a time, on whatever thread. A message is one piece of memory, however
// many have to get it. Who reads too slowly is told so and dropped, and holds nobody up.

#include <cstddef>
#include <cstdio>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/server_flags.h"
#include "examples/text.h"

ABSL_FLAG(absl::Duration, patience, absl::Minutes(1), "how long a client may take for its name");
ABSL_FLAG(absl::Duration, idle_timeout, absl::Minutes(10), "without a line in either direction");

namespace {

constexpr std::string_view kHelp = R"(chat_server [flags] [ADDRESS...]

Sends every line of a client to all, after the first one, which is its name. /who tells who is
there, /quit ends. Listens on 127.0.0.1:7000 by default, and on each ADDRESS as well, such as
unix:/run/chat.sock.

  --patience=1m        how long a client may take for its name
  --idle-timeout=10m   ends a client after so long without a line to it or from it; who listens
                       while others talk may be silent
)";

constexpr std::size_t kLongestLine = 4096;
constexpr std::size_t kLongestName = 32;

// The next line without its end. Nothing in it can move the cursor of a member's terminal.
epore::Task<std::string> read_line(epore::Connection& peer) {
  const epore::ByteView line = co_await peer.read_until("\n", kLongestLine);
  const std::string_view text = absl::StripSuffix(line.text().substr(0, line.size() - 1), "\r");
  co_return examples::on_one_line(examples::replace_invalid_utf8(text));
}

class Room {
 public:
  explicit Room(absl::Duration patience) : patience_(patience) {}

  epore::Task<> serve(epore::Connection peer) {
    const absl::StatusOr<std::string> named =
        co_await epore::within(patience_, ask_for_name(peer)).result();
    if (!named.ok()) {
      say_why(peer, named.status());
      co_return;
    }
    const std::string& name = *named;
    members_.emplace(name, peer);
    const absl::Cleanup leave = [&] {
      if (remove(name, peer)) tell_all(absl::StrCat("* ", name, " leaves\n"));
    };
    tell_all(absl::StrCat("* ", name, " enters\n"));
    while (true) {
      const absl::StatusOr<std::string> line = co_await read_line(peer).result();
      if (!line.ok()) {
        say_why(peer, line.status());
        co_return;
      }
      if (*line == "/quit") co_return;
      if (*line == "/who") {
        const std::string answer = absl::StrCat("* ", who(), "\n");
        co_await peer.write(answer);  // who does not read is held up
      } else {
        tell_all(absl::StrCat(name, ": ", *line, "\n"));
      }
    }
  }

 private:
  epore::Task<std::string> ask_for_name(epore::Connection& peer) {
    while (true) {
      std::string name = co_await read_line(peer);
      std::string answer;
      if (name.empty() || name.size() > kLongestName || name.find(' ') != std::string::npos) {
        answer = absl::StrCat("* a name is one word of 1 to ", kLongestName, " bytes\n");
      } else if (members_.contains(name)) {
        answer = absl::StrCat("* ", name, " is here already, take another name\n");
      } else {
        co_return name;
      }
      co_await peer.write(answer);
    }
  }

  // The end of the handler closes gracefully, so the peer gets this.
  static void say_why(epore::Connection& peer, const absl::Status& end) {
    if (absl::IsResourceExhausted(end)) {
      peer.send(absl::StrCat("* a line has at most ", kLongestLine, " bytes\n"));
    }
    if (absl::IsDeadlineExceeded(end)) peer.send("* it takes too long\n");
  }

  // One that was dropped may have a successor of the same name.
  bool remove(const std::string& name, const epore::Connection& peer) {
    const auto member = members_.find(name);
    if (member == members_.end() || member->second != peer) return false;
    members_.erase(member);
    return true;
  }

  // Who reads too slowly leaves, which the others are told next.
  void tell_all(std::string text) {
    std::deque<std::string> texts = {std::move(text)};
    for (; !texts.empty(); texts.pop_front()) {
      const epore::Bytes message(std::move(texts.front()));
      for (auto member = members_.begin(); member != members_.end();) {
        if (member->second.send(message) == epore::SendResult::high) {
          drop(member->second);
          texts.push_back(absl::StrCat("* ", member->first, " reads too slowly and leaves\n"));
          member = members_.erase(member);
        } else {
          ++member;
        }
      }
    }
  }

  // What waits above the high mark shall not grow. It is sent yet, with the reason behind it, if
  // the member takes it soon: see ConnectionOptions::write_stall_timeout.
  static void drop(epore::Connection& peer) {
    peer.send("* you read too slowly\n");
    peer.close(absl::ResourceExhaustedError("reads too slowly"));
  }

  std::string who() const {
    return absl::StrJoin(members_, " ", [](std::string* text, const auto& member) {
      absl::StrAppend(text, member.first);
    });
  }

  const absl::Duration patience_;
  std::map<std::string, epore::Connection> members_;  // by name
};

}  // namespace

int main(int argc, char** argv) {
  examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  const absl::Duration patience = absl::GetFlag(FLAGS_patience);
  if (patience <= absl::ZeroDuration()) examples::usage_error("--patience: more than zero");
  const absl::Duration idle_timeout = absl::GetFlag(FLAGS_idle_timeout);
  if (idle_timeout <= absl::ZeroDuration()) {
    examples::usage_error("--idle-timeout: more than zero");
  }
  Room room(patience);  // before the runtime, so that it outlives the handlers
  epore::Runtime runtime(flags.options);
  std::vector<std::string> addresses = {flags.address.empty() ? "127.0.0.1:7000" : flags.address};
  addresses.insert(addresses.end(), flags.arguments.begin(), flags.arguments.end());
  const epore::ListenOptions options = {.connection = {.idle_timeout = idle_timeout},
                                        .order = runtime.order()};
  std::vector<epore::Listener> listeners;
  for (const std::string& address : addresses) {
    absl::StatusOr<epore::Listener> listener = runtime.listen(
        address, [&room](epore::Connection peer) { return room.serve(std::move(peer)); }, options);
    if (!listener.ok()) return epore::report(listener.status());
    listeners.push_back(*std::move(listener));
  }
  return examples::run_server(runtime, listeners[0], [&listeners] {
    for (std::size_t i = 1; i < listeners.size(); ++i) {
      std::printf("LISTEN %s\n", listeners[i].address().to_string().c_str());
    }
    std::fflush(stdout);
  });
}
