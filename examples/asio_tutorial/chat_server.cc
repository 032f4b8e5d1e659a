// Asio's chat server: every line goes to all, and a new member hears the last hundred.

#include <cstdio>
#include <deque>
#include <string>
#include <unordered_set>

#include "epore/runtime/runtime.h"

class Room {
 public:
  epore::Task<> serve(epore::Connection peer) {
    members_.insert(peer);
    for (const std::string& line : recent_) peer.send(line);
    for (;;) {
      auto line = co_await peer.read_until("\n", 1024).result();
      if (!line.ok()) break;  // the end, an error, a line that is too long, or the shutdown
      tell_all(std::string(line->text()));
    }
    members_.erase(peer);
  }

 private:
  void tell_all(std::string line) {
    for (epore::Connection member : members_) member.send(line);
    recent_.push_back(std::move(line));
    if (recent_.size() > 100) recent_.pop_front();
  }

  std::unordered_set<epore::Connection> members_;
  std::deque<std::string> recent_;
};

int main(int argc, char** argv) {
  Room room;  // its tasks share an order, so no mutex guards it
  epore::Runtime runtime;
  auto listener = runtime.listen(argc > 1 ? argv[1] : ":7000",
                                 [&room](epore::Connection peer) { return room.serve(peer); },
                                 {.order = runtime.order()});
  if (!listener.ok()) return epore::report(listener.status());
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  std::printf("LISTEN %s\n", listener->address().to_string().c_str());
  std::fflush(stdout);
  return epore::report(runtime.run_until_signal());
}
