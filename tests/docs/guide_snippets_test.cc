// The snippets of the pages in docs/guide, as they stand there. pages_test compares them.

#include <sched.h>
#include <signal.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/testing/faulty_network.h"
#include "epore/runtime/testing/manual_clock.h"
#include "gtest/gtest.h"

namespace {

// -- first-service.md --

epore::Task<> greet(epore::Connection peer) {
  for (;;) {
    epore::ByteView line = co_await peer.read_until("\n", 256);
    std::string name(absl::StripAsciiWhitespace(line.text()));  // a copy: the view ends soon
    if (name == "quit") co_return;                              // closes gracefully
    co_await peer.write(absl::StrCat("hello ", name, "\n"));
  }
}

int serve(std::string address) {
  epore::Runtime runtime;
  auto listener = runtime.listen(address, greet);
  if (!listener.ok()) return epore::report(listener.status());
  return epore::report(runtime.run_until_signal());  // drains on SIGINT and SIGTERM
}

epore::Task<std::string> ask(std::string address, std::string name) {
  epore::Connection server = co_await epore::connect(address);
  co_await server.write(name + "\n");
  epore::ByteView answer = co_await server.read_until("\n", 1024);
  co_return std::string(answer.text());
}

TEST(FirstService, GreetsAndQuits) {
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", greet);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = listener->address().to_string();
  absl::StatusOr<std::string> answer = runtime.run(ask, address, "Ada");
  EXPECT_EQ(answer.value_or(""), "hello Ada\n");
  EXPECT_FALSE(runtime.run(ask, address, "quit").ok());
}

TEST(FirstService, ReportsAnAddressThatIsNone) { EXPECT_EQ(serve("nowhere"), 1); }

// -- timeouts.md --

epore::Task<std::string> ask_in_time(std::string address) {
  auto answer = co_await epore::within(absl::Seconds(2), ask(address, "Ada")).result();
  if (absl::IsDeadlineExceeded(answer.status())) co_return "too late";
  co_return answer;
}

epore::ListenOptions patient() {
  epore::ListenOptions options;
  options.connection.idle_timeout = absl::Minutes(5);          // no byte in or out
  options.connection.write_stall_timeout = absl::Seconds(30);  // the peer takes nothing
  options.connection.linger_timeout = absl::Seconds(5);        // its end after ours
  return options;
}

epore::Task<> beat(int& beats) {
  for (; beats < 3; ++beats) co_await epore::sleep_for(absl::Milliseconds(1));
}

TEST(Timeouts, OfTasksConnectionsAndTimers) {
  epore::ManualClock clock;
  absl::Notification done;
  int beats = 0;
  epore::Runtime runtime({.dispatch = epore::Dispatch::caller, .kernel = clock.kernel()});
  auto listener = runtime.listen("127.0.0.1:0", greet, patient());
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(runtime.run(ask_in_time, listener->address().to_string()).value_or(""), "hello Ada\n");
  epore::Timer once = runtime.post_after(absl::Milliseconds(5), [&] { done.Notify(); });
  clock.advance(absl::Milliseconds(5));
  EXPECT_TRUE(runtime.run_until([&] { return done.HasBeenNotified(); }).ok());
  const epore::Job job = runtime.spawn(beat, std::ref(beats));
  for (; !job.status().has_value(); clock.advance(absl::Milliseconds(1))) {
    ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  }
  EXPECT_TRUE(job.status()->ok()) << *job.status();
  EXPECT_EQ(beats, 3);
}

// -- cancellation.md --

epore::Task<> poll_for_ever(int& rounds) {
  absl::Status status;
  while (status.ok()) {
    ++rounds;
    status = co_await epore::sleep_for(absl::Milliseconds(1)).result();
  }
  co_await epore::shield(epore::within(absl::Seconds(1), epore::yield()));  // for example: log out
  co_await status;
}

epore::Task<std::string> ask_any(std::string a, std::string b) {
  auto first = co_await epore::any(ask(a, "Ada"), ask(b, "Ada"));  // the other is stopped
  co_return first.index() == 0 ? std::get<0>(first) : std::get<1>(first);
}

TEST(Cancellation, OfAJobAndOfALoser) {
  int rounds = 0;
  epore::Runtime runtime;
  epore::Job job = runtime.spawn(poll_for_ever, std::ref(rounds));
  job.stop();
  absl::Status status = job.wait();  // Cancelled; not in a callback or a task
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  auto listener = runtime.listen("127.0.0.1:0", greet);
  auto silent = runtime.listen("127.0.0.1:0", [](epore::Connection peer) -> epore::Task<> {
    co_await peer.read_until("never", 1024);
  });
  ASSERT_TRUE(listener.ok() && silent.ok());
  EXPECT_EQ(runtime.run(ask_any, silent->address().to_string(), listener->address().to_string())
                .value_or(""),
            "hello Ada\n");
}

// -- backpressure.md --

epore::Task<> echo(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

void produce(epore::Connection& peer, int& left) {
  while (left > 0) {
    --left;
    if (peer.send(std::string(1024, 'x')) == epore::SendResult::high)
      return;  // on_writable goes on
  }
  peer.close();
}

epore::Task<> produce_numbers(epore::Channel<int> numbers) {
  for (int i = 1; i <= 100; ++i) co_await numbers.send(i);
  numbers.close();
}

epore::Task<std::size_t> count_bytes(std::string address) {
  std::size_t count = 0;
  epore::Connection server = co_await epore::connect(address);
  while (epore::ByteView bytes = co_await server.read()) count += bytes.size();
  co_return count;
}

epore::Task<int> sum(epore::Channel<int> numbers) {
  int sum = 0;
  while (std::optional<int> number = co_await numbers.next()) sum += *number;
  co_return sum;
}

TEST(Backpressure, OfConnectionsAndChannels) {
  int left = 8192;
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", [&left](epore::Connection& peer) {
    peer.on_writable([&left](epore::Connection& c) { produce(c, left); });
    produce(peer, left);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(runtime.run(count_bytes, listener->address().to_string()).value_or(0), 8192u * 1024);
  auto echoes = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(echoes.ok()) << echoes.status();
  EXPECT_EQ(runtime.run(ask, echoes->address().to_string(), "Ada").value_or(""), "Ada\n");
  epore::Channel<int> numbers(8);
  epore::Job producer = runtime.spawn(produce_numbers, numbers);
  EXPECT_EQ(runtime.run(sum, numbers).value_or(0), 5050);
  EXPECT_TRUE(producer.wait().ok());
}

// -- broadcast.md --

// clang-format off
void tell_all(std::vector<epore::Connection>& members, std::string text) {
  const epore::Bytes message(std::move(text));  // takes over the memory of the string
  std::erase_if(members, [&](epore::Connection& member) {
    if (member.send(message) != epore::SendResult::high) return false;
    member.close(absl::ResourceExhaustedError("reads too slowly"));  // gets what was on its way
    return true;
  });
}
// clang-format on

epore::Task<> answer(epore::Connection peer, epore::Bytes page) {
  const std::string head = absl::StrCat("content-length: ", page.size(), "\r\n\r\n");
  const std::array<epore::Bytes, 2> pieces = {epore::Bytes(head), page};
  co_await peer.write(pieces);
}

epore::Task<> respond(epore::Connection peer, std::string_view body) {
  const std::string head = absl::StrCat("content-length: ", body.size(), "\r\n\r\n");
  co_await peer.write({head, body, "\n"});
}

epore::Task<std::string> read_all(std::string address) {
  std::string text;
  epore::Connection server = co_await epore::connect(address);
  while (epore::ByteView bytes = co_await server.read()) text += bytes.text();
  co_return text;
}

TEST(GuideSnippets, Broadcast) {
  epore::Runtime runtime;
  std::vector<epore::Connection> members;
  auto room = runtime.listen("127.0.0.1:0", [&members](epore::Connection& peer) {
    members.push_back(peer);
    tell_all(members, std::string(1000, 'x'));
    peer.close();
  });
  ASSERT_TRUE(room.ok()) << room.status();
  EXPECT_EQ(runtime.run(read_all, room->address().to_string()).value_or(""),
            std::string(1000, 'x'));
  const epore::Bytes page(std::string(500, 'p'));
  auto pages =
      runtime.listen("127.0.0.1:0", [&page](epore::Connection peer) { return answer(peer, page); });
  ASSERT_TRUE(pages.ok()) << pages.status();
  EXPECT_EQ(runtime.run(read_all, pages->address().to_string()).value_or(""),
            "content-length: 500\r\n\r\n" + std::string(500, 'p'));
  auto texts =
      runtime.listen("127.0.0.1:0", [](epore::Connection peer) { return respond(peer, "text"); });
  ASSERT_TRUE(texts.ok()) << texts.status();
  EXPECT_EQ(runtime.run(read_all, texts->address().to_string()).value_or(""),
            "content-length: 4\r\n\r\ntext\n");
}

// -- shutdown.md --

epore::Task<> open_and_read(std::string address, absl::Notification& is_open, std::string& text) {
  epore::Connection server = co_await epore::connect(address);
  epore::ByteView hello = co_await server.read_until("\n", 64);
  text = hello.text();
  is_open.Notify();
  epore::ByteView bye = co_await server.read_until("\n", 64);
  text += bye.text();
}

TEST(Shutdown, TellsThoseWhoAskForIt) {
  absl::Notification is_open;
  std::string text;
  epore::Runtime clients;
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", [](epore::Connection& peer) {
    peer.on_drain([](epore::Connection& c) {
      c.send("bye\n");
      c.close();
    });
    peer.on_data([](epore::Connection&, std::span<const std::byte>) {});
    peer.send("hello\n");
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  epore::Job job = clients.spawn(open_and_read, listener->address().to_string(), std::ref(is_open),
                                 std::ref(text));
  is_open.WaitForNotification();
  absl::Status status = runtime.shutdown(absl::Seconds(5));  // returns when no callback runs
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(text, "hello\nbye\n");
}

// -- threads.md --

struct Room {
  std::set<std::string> names;  // only what is in the order touches it: no mutex
};

std::function<epore::Task<>(epore::Connection)> enter(Room& room) {
  return [&room](epore::Connection peer) -> epore::Task<> {
    epore::ByteView line = co_await peer.read_until("\n", 64);
    room.names.emplace(absl::StripAsciiWhitespace(line.text()));
    co_await peer.write(absl::StrCat(room.names.size(), "\n"));
  };
}

epore::RuntimeOptions on_processor(int processor) {
  epore::RuntimeOptions options;
  options.thread_name = "svc";  // svc-poll0, svc-worker3
  options.on_thread_start = [processor](std::string_view) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    (void)::sched_setaffinity(0, sizeof set, &set);
  };
  return options;
}

TEST(Threads, AnOrderNeedsNoMutex) {
  Room room;
  epore::Runtime runtime(on_processor(0));
  const epore::Order order = runtime.order();
  epore::ListenOptions options;
  options.order = order;  // of all its connections
  auto listener = runtime.listen("127.0.0.1:0", enter(room), options);
  ASSERT_TRUE(listener.ok()) << listener.status();
  absl::Status posted = order.post([&room] { room.names.insert("the host"); });
  EXPECT_TRUE(posted.ok()) << posted;
  EXPECT_EQ(runtime.run(ask, listener->address().to_string(), "Ada").value_or(""), "2\n");
}

// -- testing.md --

TEST(Greeting, IsForTheName) {
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", greet);  // port 0: a free one
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::string address = listener->address().to_string();
  absl::StatusOr<std::string> answer = runtime.run(ask, address, "Ada");
  EXPECT_EQ(answer.value_or(""), "hello Ada\n");
}

TEST(Greeting, StepByStep) {
  epore::Runtime runtime({.dispatch = epore::Dispatch::caller});
  bool is_first = false;
  ASSERT_TRUE(runtime.post([&] { is_first = true; }).ok());
  EXPECT_FALSE(is_first);  // nothing runs outside of run_once()
  ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  EXPECT_TRUE(is_first);
}

epore::Task<> fall_silent(std::string address, absl::Notification& answered) {
  epore::Connection server = co_await epore::connect(address);
  co_await server.write("Ada\n");
  co_await server.read_until("\n", 1024);
  answered.Notify();
  co_await server.read();  // the end of the stream
}

TEST(Greeting, ASilentClientIsClosed) {
  absl::Notification answered;
  epore::ManualClock clock;
  epore::Runtime runtime({.kernel = clock.kernel()});
  auto listener =
      runtime.listen("127.0.0.1:0", greet, {.connection = {.idle_timeout = absl::Seconds(30)}});
  ASSERT_TRUE(listener.ok()) << listener.status();
  epore::Job client =
      runtime.spawn(fall_silent, listener->address().to_string(), std::ref(answered));
  answered.WaitForNotification();
  clock.advance(absl::Seconds(29));
  EXPECT_FALSE(client.status().has_value());
  clock.advance(absl::Seconds(1));
  EXPECT_TRUE(client.wait().ok());
}

TEST(Greeting, ByteByByte) {
  epore::FaultyNetwork network;
  network.shrink_reads(1);
  network.shrink_writes(1);
  epore::Runtime runtime({.kernel = network.kernel()});
  auto listener = runtime.listen("127.0.0.1:0", greet);
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::string address = listener->address().to_string();
  EXPECT_EQ(runtime.run(ask, address, "Ada").value_or(""), "hello Ada\n");
  network.refuse_next_connect(ECONNREFUSED);
  EXPECT_EQ(epore::errno_of(runtime.run(ask, address, "Ada").status()), ECONNREFUSED);
}

// -- tuning.md --

epore::RuntimeOptions for_a_proxy(int processors) {
  epore::RuntimeOptions options;
  options.reactors = processors;                    // each has a queue and a poll thread
  options.dispatch = epore::Dispatch::poll_thread;  // right if nothing blocks or computes for long
  return options;
}

epore::ListenOptions for_many_idle_clients() {
  epore::ListenOptions options;
  options.connection.idle_timeout = absl::Minutes(10);
  options.connection.write_high_mark = 32 * 1024;  // for each peer that does not read
  options.connection.write_low_mark = 8 * 1024;
  options.connection.write_cap = 1 << 20;
  return options;
}

TEST(Tuning, OfThreadsAndMemory) {
  epore::Runtime runtime(for_a_proxy(2));
  auto listener = runtime.listen("127.0.0.1:0", greet, for_many_idle_clients());
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(runtime.run(ask, listener->address().to_string(), "Ada").value_or(""), "hello Ada\n");
}

// -- names.md --

epore::Task<std::string> read_from(std::string address) {
  epore::ConnectOptions options;
  options.timeout = absl::Seconds(5);                          // for the name and all addresses
  options.connection_attempt_delay = absl::Milliseconds(100);  // then the next address joins
  epore::Connection server = co_await epore::connect(address, options);
  epore::ByteView bytes = co_await server.read();
  co_return std::string(bytes.text());
}

TEST(Names, AreThoseOfTheTest) {
  auto greet = [](epore::Connection peer) -> epore::Task<> { co_await peer.write("hello"); };
  epore::Runtime servers;
  auto listener = servers.listen("127.0.0.1:0", greet);
  ASSERT_TRUE(listener.ok()) << listener.status();
  epore::Runtime runtime({.hosts = {
                              {"db.example", {"127.0.0.1:1", listener->address().to_string()}},
                              {"gone.example", {}},
                          }});
  std::string name = "db.example:5432";  // port 1 refuses, and the next address answers
  EXPECT_EQ(runtime.run(read_from, name).value_or(""), "hello");
  std::string gone = "gone.example:80";
  EXPECT_TRUE(absl::IsNotFound(runtime.run(read_from, gone).status()));
}

// -- observing.md --

std::vector<epore::ConnectionInfo> held_up(const epore::Runtime& runtime) {
  auto all = runtime.connections(100'000);
  if (!all.ok()) return {};
  std::erase_if(*all, [](const epore::ConnectionInfo& one) {
    return !one.has_unread || one.reading == epore::ConnectionInfo::Reading::by_task;
  });
  return *std::move(all);
}

std::uint64_t p99_of_queue_delay(const epore::Runtime& runtime, epore::Counters& last) {
  epore::Counters now = runtime.counters();
  epore::Counters since = now;
  for (std::size_t i = 0; i < since.queue_delay.size(); ++i) {
    since.queue_delay[i] -= last.queue_delay[i];
  }
  last = std::move(now);
  return since.queue_delay_us(0.99);
}

std::string oldest_connections(const epore::Runtime& runtime) {
  return runtime.dump_connections(10).value_or("?");  // and how many are younger
}

TEST(Observing, WhatARuntimeTells) {
  epore::Runtime runtime;
  absl::Status set = runtime.on_signal(SIGUSR1, [&] {
    std::cerr << runtime.counters().to_json() << '\n'
              << runtime.dump_connections().value_or("no connections to tell of\n")
              << runtime.dump_tasks().value_or("no tasks to tell of\n");
  });
  EXPECT_TRUE(set.ok()) << set;
  EXPECT_TRUE(held_up(runtime).empty());
  EXPECT_EQ(oldest_connections(runtime), "connections: 0\n");
  epore::Counters last = runtime.counters();
  absl::Notification done;
  for (int i = 1; i < 64; ++i) EXPECT_TRUE(runtime.post([] {}).ok());
  EXPECT_TRUE(runtime.post([&done] { done.Notify(); }).ok());
  done.WaitForNotification();
  EXPECT_GT(p99_of_queue_delay(runtime, last), 0u);
  EXPECT_EQ(p99_of_queue_delay(runtime, last), 0u);
}

}  // namespace
