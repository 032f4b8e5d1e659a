// What docs/guide/ends.md says: each row of its table happens here, and its snippets run.

#include <cctype>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace {

// -- The table. --

// The cells of a row, as a coroutine sees them whose read has ended.
struct Cells {
  std::string read = "the coroutine ends there";
  std::string is_open = "-";
  std::string write = "-";
  std::string send = "-";
};

// "DeadlineExceeded", as in the page.
std::string name_of(const absl::Status& status) {
  if (status.ok()) return "ok";
  std::string name;
  bool is_first = true;
  for (const char c : absl::StatusCodeToString(status.code())) {
    if (c != '_') name += is_first ? c : static_cast<char>(std::tolower(c));
    is_first = c == '_';
  }
  return name;
}

epore::Task<> look(epore::Connection peer, absl::Duration limit, Cells& cells) {
  auto bytes = co_await epore::within(limit, peer.read()).result();
  cells.read = name_of(bytes.status());
  if (bytes.ok()) cells.read = bytes->empty() ? "an empty view" : "bytes";
  cells.is_open = peer.is_open() ? "yes" : "no";
  const absl::Status written = co_await peer.write("x").result();
  cells.write = name_of(written);
  cells.send = peer.send("y").ok() ? "accepted" : "dropped";
}

using Handler = std::function<epore::Task<>(epore::Connection)>;
using Happening = std::function<void(epore::Runtime&, epore::Connection&, epore::Peer&)>;

// `handler` serves a connection, and when it waits for the first time, that happens.
void serve(const Handler& handler, const Happening& happen,
           const epore::ConnectionOptions& options = {}) {
  absl::Notification waits;
  absl::Notification has_ended;
  epore::Connection connection;
  epore::Runtime runtime;
  epore::ListenOptions listen;
  listen.connection = options;
  auto listener = runtime.listen(
      "127.0.0.1:0",
      [&](epore::Connection peer) -> epore::Task<> {
        connection = peer;
        waits.Notify();  // what happens then comes to the order when the handler waits
        co_await handler(peer);
        has_ended.Notify();
      },
      listen);
  ASSERT_TRUE(listener.ok()) << listener.status();
  epore::Peer peer(listener->address());
  waits.WaitForNotification();
  happen(runtime, connection, peer);
  has_ended.WaitForNotification();
}

Cells see(const Happening& happen, absl::Duration limit = absl::InfiniteDuration(),
          absl::Duration idle_timeout = absl::InfiniteDuration()) {
  Cells cells;
  epore::ConnectionOptions options;
  options.idle_timeout = idle_timeout;
  serve([&](epore::Connection peer) { return look(peer, limit, cells); }, happen, options);
  return cells;
}

void drain(epore::Runtime& runtime, epore::Connection&, epore::Peer& peer) {
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  EXPECT_EQ(peer.end(), 0);
  peer.close();
  shutdown.join();
}

// A job reads, and is stopped.
Cells stop_the_job() {
  Cells cells;
  absl::Notification waits;
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0");
  EXPECT_TRUE(listener.ok()) << listener.status();
  const epore::Job job = runtime.spawn([&]() -> epore::Task<> {
    epore::Connection peer = co_await listener->accept();
    waits.Notify();
    co_await look(peer, absl::InfiniteDuration(), cells);
  });
  epore::Peer peer(listener->address());
  waits.WaitForNotification();
  job.stop();
  EXPECT_TRUE(job.wait().ok()) << job.wait();
  return cells;
}

// A shield keeps the stop of the job away, so only the end of the drain timeout ends the read.
Cells end_the_drain() {
  Cells cells;
  absl::Notification waits;
  epore::Runtime servers;
  auto silent = servers.listen("127.0.0.1:0", [](epore::Connection peer) -> epore::Task<> {
    (void)co_await peer.read().result();
  });
  EXPECT_TRUE(silent.ok()) << silent.status();
  const std::string address = silent->address().to_string();
  epore::Runtime runtime;
  const epore::Job job = runtime.spawn([&]() -> epore::Task<> {
    epore::Connection server = co_await epore::connect(address);
    waits.Notify();
    co_await epore::shield(look(server, absl::InfiniteDuration(), cells));
  });
  waits.WaitForNotification();
  (void)runtime.shutdown(absl::ZeroDuration());
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  return cells;
}

std::map<std::string, std::function<Cells()>> happenings() {
  const absl::Duration moment = absl::Milliseconds(1);
  const absl::Duration never = absl::InfiniteDuration();
  const auto nothing = [](auto&, auto&, auto&) {};
  return {
      {"the peer ends its half, or closes",
       [] { return see([](auto&, auto&, auto& peer) { peer.half_close(); }); }},
      {"the peer resets it", [] { return see([](auto&, auto&, auto& peer) { peer.reset(); }); }},
      {"`close()`", [] { return see([](auto&, auto& c, auto&) { c.close(); }); }},
      {"`close(Aborted)`",
       [] { return see([](auto&, auto& c, auto&) { c.close(absl::AbortedError("")); }); }},
      {"`abort()`", [] { return see([](auto&, auto& c, auto&) { c.abort(); }); }},
      {"`abort(DataLoss)`",
       [] { return see([](auto&, auto& c, auto&) { c.abort(absl::DataLossError("")); }); }},
      {"`idle_timeout`", [=] { return see(nothing, never, moment); }},
      {"`within()` around the read", [=] { return see(nothing, moment); }},
      {"a shutdown drains", [] { return see(drain); }},
      {"the task is stopped", stop_the_job},
      {"the drain timeout is over", end_the_drain},
  };
}

// The rows of the table that begins with `head`, by their first cells.
std::map<std::string, std::vector<std::string>> table(std::string_view head) {
  std::ifstream page("docs/guide/ends.md");
  std::map<std::string, std::vector<std::string>> rows;
  bool is_in = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with(head)) {
      is_in = true;
    } else if (is_in && !line.starts_with("| ")) {
      if (!line.starts_with("|--")) break;
    } else if (is_in) {
      std::vector<std::string> cells = absl::StrSplit(line.substr(2, line.size() - 4), " | ");
      rows[cells[0]] = {cells.begin() + 1, cells.end()};
    }
  }
  return rows;
}

TEST(Ends, AreThoseOfTheTable) {
  const auto rows = table("| what happens |");
  const auto all = happenings();
  EXPECT_EQ(rows.size(), all.size());
  for (const auto& [what, happen] : all) {
    const auto row = rows.find(what);
    ASSERT_NE(row, rows.end()) << what;
    const Cells cells = happen();
    const std::vector<std::string> seen = {cells.read, cells.is_open, cells.write, cells.send};
    EXPECT_EQ(row->second, seen) << what;
  }
}

// So a peer that has closed is not told from one that has ended its half, until it is written to.
TEST(Ends, APeerThatHasClosedResetsWhatIsWritten) {
  absl::Notification is_told;
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", [&](epore::Connection peer) -> epore::Task<> {
    epore::ByteView bytes = co_await peer.read();
    EXPECT_TRUE(bytes.empty());
    absl::Status status = co_await peer.write("x").result();
    EXPECT_TRUE(status.ok()) << status;
    const epore::ConnectionEnd end = co_await peer.closed();
    EXPECT_TRUE(absl::IsUnavailable(end.reason) || absl::IsFailedPrecondition(end.reason))
        << end.reason;
    status = co_await peer.write("x").result();
    EXPECT_EQ(status, end.reason);
    is_told.Notify();
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  epore::Peer(listener->address()).close();
  is_told.WaitForNotification();
}

// -- Who has ended a read. --

epore::Task<> read_a_line(epore::Connection peer, absl::Duration limit, std::string& ended_by) {
  auto line = co_await epore::within(limit, peer.read_until("\n", 1024)).result();
  if (line.ok()) co_return;
  bool is_open = peer.is_open();
  absl::Status task = co_await epore::yield().result();  // what else this task would get now
  if (!is_open) {
    ended_by = "the connection";  // a reset, close(), abort(), a timeout of its options
  } else if (!task.ok()) {
    ended_by = "the task";  // Job::stop(), until(), any(), all(), a deadline further out
  } else if (absl::IsDeadlineExceeded(line.status())) {
    ended_by = "the deadline";  // of this read alone
  } else if (absl::IsCancelled(line.status())) {
    ended_by = "the shutdown";  // it drains: write() and send() still work
  } else {
    ended_by = "the peer";  // OutOfRange: it ended its half; ResourceExhausted: a long line
  }
}

epore::Task<> stop_and_read(epore::Connection peer, std::string& ended_by) {
  auto read = read_a_line(peer, absl::InfiniteDuration(), ended_by);
  (void)co_await epore::within(absl::Milliseconds(1), std::move(read)).result();
}

TEST(Ends, TellWhoItWas) {
  const absl::Duration never = absl::InfiniteDuration();
  const absl::Duration moment = absl::Milliseconds(1);
  const auto nothing = [](auto&, auto&, auto&) {};
  const auto close = [](auto&, auto& connection, auto&) { connection.close(); };
  const auto half_close = [](auto&, auto&, auto& peer) { peer.half_close(); };
  epore::ConnectionOptions impatient;
  impatient.idle_timeout = moment;
  std::string by;
  const auto read = [&by](absl::Duration limit) {
    return [&by, limit](epore::Connection peer) { return read_a_line(peer, limit, by); };
  };
  serve(read(never), close);
  EXPECT_EQ(by, "the connection");
  serve(read(never), nothing, impatient);
  EXPECT_EQ(by, "the connection");
  serve([&by](epore::Connection peer) { return stop_and_read(peer, by); }, nothing);
  EXPECT_EQ(by, "the task");
  serve(read(moment), nothing);
  EXPECT_EQ(by, "the deadline");
  serve(read(never), drain);
  EXPECT_EQ(by, "the shutdown");
  serve(read(never), half_close);
  EXPECT_EQ(by, "the peer");
}

// -- A goodbye. --

epore::Task<> say_goodbye(epore::Connection peer) {
  co_await peer.write("bye\n");
  co_await peer.flush();                                         // the system has all of it
  peer.shut_down_write();                                        // the peer reads its end after it
  while (epore::ByteView late = co_await peer.read()) continue;  // up to the peer's end
  peer.close();                                                  // nothing is under way any more
}

epore::Task<> wait_and_leave(epore::Connection peer, absl::Notification& waits) {
  waits.Notify();
  absl::Status status = co_await epore::sleep_for(absl::InfiniteDuration()).result();
  co_await epore::shield(epore::within(absl::Seconds(5), say_goodbye(peer)));
  co_await status;
}

TEST(Ends, AGoodbyeAfterAStop) {
  absl::Notification waits;
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  const epore::Job job = runtime.spawn([&]() -> epore::Task<> {
    epore::Connection client = co_await listener->accept();
    co_await wait_and_leave(client, waits);
  });
  epore::Peer peer(listener->address());
  waits.WaitForNotification();
  job.stop();
  EXPECT_EQ(peer.receive_all(), "bye\n");
  EXPECT_FALSE(job.status().has_value());  // it waits for the peer's end
  peer.send("late");
  peer.close();
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
}

}  // namespace
