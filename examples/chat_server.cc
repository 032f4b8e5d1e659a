// A chat room: the first line of a client is its name, and every further line goes to all.
//
// All connections share the list of members, and no mutex guards it: they share an order, so one
// callback of theirs runs at a time, on whatever thread.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/runtime/report.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/server_flags.h"

namespace {

constexpr std::string_view kHelp = R"(chat_server [flags]

Sends every line of a client to all, after the first one, which is its name. Listens on
127.0.0.1:7000 by default.
)";

constexpr std::size_t kLongestLine = 4096;

class Room {
 public:
  void enter(epore::Connection& peer) {
    members_[peer.id()].connection = peer;
    peer.on_data([this](epore::Connection& c, std::span<const std::byte> bytes) {
      read(c, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    });
    peer.on_closed([this](epore::Connection& c, const absl::Status&) { leave(c); });
  }

 private:
  struct Member {
    epore::Connection connection;
    std::string name;
    std::string unread;  // the beginning of a line
  };

  void read(epore::Connection& c, std::string_view bytes) {
    Member& member = members_[c.id()];
    member.unread += bytes;
    for (std::size_t end; (end = member.unread.find('\n')) != std::string::npos;) {
      hear(member, member.unread.substr(0, end));
      member.unread.erase(0, end + 1);
    }
    if (member.unread.size() > kLongestLine) c.abort();
  }

  void hear(Member& member, const std::string& line) {
    if (member.name.empty()) {
      member.name = line;
      tell_all(absl::StrCat("* ", line, " enters\n"));
    } else {
      tell_all(absl::StrCat(member.name, ": ", line, "\n"));
    }
  }

  void leave(epore::Connection& c) {
    const std::string name = members_[c.id()].name;
    members_.erase(c.id());
    if (!name.empty()) tell_all(absl::StrCat("* ", name, " leaves\n"));
  }

  void tell_all(std::string_view text) {
    for (auto& [id, member] : members_) {
      if (!member.name.empty()) member.connection.send(text);
    }
  }

  std::map<std::uint64_t, Member> members_;  // by the connection's id
};

}  // namespace

int main(int argc, char** argv) {
  const examples::ServerFlags flags = examples::parse_server_flags(argc, argv, kHelp);
  if (!flags.arguments.empty()) {
    examples::usage_error(absl::StrCat("unexpected argument: ", flags.arguments[0]));
  }
  Room room;  // before the runtime, so that it outlives the callbacks
  epore::Runtime runtime(flags.options);
  const absl::StatusOr<epore::Listener> listener = runtime.listen(
      flags.address.empty() ? "127.0.0.1:7000" : flags.address,
      [&room](epore::Connection& peer) { room.enter(peer); }, {.order = runtime.order()});
  if (!listener.ok()) return epore::report(listener.status());
  return examples::run_server(runtime, *listener);
}
