// The snippets of docs/guide/a-room.md, as they stand there, and a day in that room. pages_test
// compares them.

#include <unistd.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace {

class Room {
 public:
  epore::Task<> serve(epore::Connection peer);

 private:
  epore::Task<> talk(epore::Connection& peer);
  epore::Task<std::string> enter(epore::Connection& peer);
  void leave(const std::string& name, const epore::Connection& peer);
  void tell_all(std::string text);
  void drop(const std::string& name);

  std::map<std::string, epore::Connection> members_;  // only their order touches it: no mutex
};

absl::StatusOr<std::vector<epore::Listener>> open(epore::Runtime& runtime, Room& room,
                                                  std::vector<std::string> addresses) {
  epore::ListenOptions options;
  options.order = runtime.order();               // one for all connections of all listeners
  options.connection.write_high_mark = 1 << 20;  // a member with more than 1 MiB to read is slow
  options.connection.write_stall_timeout = absl::Seconds(10);  // how long it may still read that
  std::vector<epore::Listener> listeners;
  for (const std::string& address : addresses) {
    auto serve = [&room](epore::Connection peer) { return room.serve(std::move(peer)); };
    auto listener = runtime.listen(address, serve, options);
    if (!listener.ok()) return listener.status();
    listeners.push_back(*listener);
  }
  return listeners;
}

epore::Task<std::string> next_line(epore::Connection& peer) {
  epore::ByteView line = co_await epore::within(absl::Minutes(10), peer.read_until("\n", 1024));
  co_return std::string(absl::StripAsciiWhitespace(line.text()));  // the view ends soon
}

epore::Task<> Room::talk(epore::Connection& peer) {
  std::string name = co_await enter(peer);
  const absl::Cleanup at_the_end = [&] { leave(name, peer); };  // however it ends
  tell_all(absl::StrCat("* ", name, " is here\n"));
  while (true) {
    std::string line = co_await next_line(peer);
    if (line == "/quit") co_return;
    tell_all(absl::StrCat(name, ": ", line, "\n"));
  }
}

epore::Task<std::string> Room::enter(epore::Connection& peer) {
  peer.send("* your name?\n");
  while (true) {
    std::string name = co_await next_line(peer);
    if (!name.empty() && members_.emplace(name, peer).second) co_return name;
    peer.send("* take another name\n");
  }
}

void Room::leave(const std::string& name, const epore::Connection& peer) {
  auto member = members_.find(name);
  if (member == members_.end() || member->second != peer) return;  // dropped; it may have an heir
  members_.erase(member);
  tell_all(absl::StrCat("* ", name, " has left\n"));
}

void Room::tell_all(std::string text) {
  const epore::Bytes message(std::move(text));  // one piece of memory for all
  std::vector<std::string> slow;
  for (auto& [name, member] : members_) {
    if (member.send(message) == epore::SendResult::high) slow.push_back(name);
  }
  for (const std::string& name : slow) drop(name);
}

void Room::drop(const std::string& name) {
  auto member = members_.find(name);
  if (member == members_.end()) return;  // what the drop of another one said has dropped it
  epore::Connection peer = member->second;
  members_.erase(member);                // first, so that nothing more is sent to it
  peer.send("* you read too slowly\n");  // behind its queue: accepted up to the write cap
  peer.close(absl::UnavailableError("reads too slowly"));
  tell_all(absl::StrCat("* ", name, " reads too slowly\n"));
}

void say_why(epore::Connection& peer, const absl::Status& end) {
  if (!peer.is_open()) return;  // it is gone, or drop() has said why
  if (absl::IsDeadlineExceeded(end)) peer.send("* nothing from you for ten minutes\n");
  if (absl::IsResourceExhausted(end)) peer.send("* a line has at most 1024 bytes\n");
  if (absl::IsCancelled(end)) peer.send("* the server goes down\n");
}

epore::Task<> Room::serve(epore::Connection peer) {
  absl::Status end = co_await talk(peer).result();  // the member has left by now
  say_why(peer, end);
}

// -- A day in the room. --

epore::Task<std::string> hear(epore::Connection& server) {
  epore::ByteView line = co_await server.read_until("\n", 2048);
  co_return std::string(line.text());
}

epore::Task<epore::Connection> join(std::string address, std::string name) {
  epore::Connection server = co_await epore::connect(address);
  std::string question = co_await hear(server);
  EXPECT_EQ(question, "* your name?\n");
  co_await server.write(name + "\n");
  co_return server;
}

// Reads until `wanted` comes, and answers each line of her own with the next one if `talks`.
epore::Task<> hear_up_to(epore::Connection& server, std::string wanted, bool talks) {
  const std::string line = std::string(1000, 'x') + "\n";
  if (talks) co_await server.write(line);
  while (true) {
    std::string heard = co_await hear(server);
    if (heard == wanted) co_return;
    if (talks && heard == "ada: " + line) co_await server.write(line);
  }
}

epore::Task<> visit(std::string tcp, std::string local, absl::Notification& has_seen_all) {
  absl::Cleanup seen = [&] { has_seen_all.Notify(); };
  epore::Connection ada = co_await join(tcp, "ada");
  co_await hear_up_to(ada, "* ada is here\n", false);
  epore::Connection bob = co_await join(local, "ada");
  std::string heard = co_await hear(bob);
  EXPECT_EQ(heard, "* take another name\n");
  co_await bob.write("bob\nhello\n/quit\n");
  const std::vector<std::string> lines = {"* bob is here\n", "bob: hello\n", "* bob has left\n"};
  for (const std::string& line : lines) {
    heard = co_await hear(ada);
    EXPECT_EQ(heard, line);
  }
  bob.close();

  epore::Connection slow = co_await join(local, "slow");  // and does not read
  co_await hear_up_to(ada, "* slow is here\n", false);
  co_await hear_up_to(ada, "* slow reads too slowly\n", true);
  co_await hear_up_to(slow, "* you read too slowly\n", false);
  epore::ByteView end = co_await slow.read();
  EXPECT_TRUE(end.empty());
  slow.close();

  epore::Connection eve = co_await join(tcp, "eve");
  co_await eve.write(std::string(2000, 'x'));
  co_await hear_up_to(eve, "* a line has at most 1024 bytes\n", false);
  co_await hear_up_to(ada, "* eve has left\n", false);
  eve.close();
  std::move(seen).Invoke();
  co_await hear_up_to(ada, "* the server goes down\n", false);
  end = co_await ada.read();
  EXPECT_TRUE(end.empty());
}

TEST(Room, HasMembersOfTwoListeners) {
  absl::Notification has_seen_all;
  Room room;  // before the runtime, so that it outlives the handlers
  epore::Runtime clients;
  epore::Runtime runtime;
  auto listeners =
      open(runtime, room, {"127.0.0.1:0", absl::StrCat("unix:@epore-room-", ::getpid())});
  ASSERT_TRUE(listeners.ok()) << listeners.status();
  const epore::Job visitors =
      clients.spawn(visit, (*listeners)[0].address().to_string(),
                    (*listeners)[1].address().to_string(), std::ref(has_seen_all));
  has_seen_all.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(visitors.wait().ok()) << visitors.wait();
}

TEST(Room, AnAddressThatIsNoneIsAnError) {
  Room room;
  epore::Runtime runtime;
  EXPECT_FALSE(open(runtime, room, {"127.0.0.1:0", "nowhere"}).ok());
}

}  // namespace
