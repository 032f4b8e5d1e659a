// Runtime::connections() and dump_connections(): what they say of a connection in each state, from
// which threads, and which connections they leave out.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"

namespace epore {
namespace {

using Info = ConnectionInfo;

std::vector<Info> list(const Runtime& runtime, std::size_t most = 1000) {
  absl::StatusOr<std::vector<Info>> all = runtime.connections(most);
  CHECK_OK(all.status());
  return *std::move(all);
}

// Looks until the connection is as `is_so` wants it. Its thread may be in a run meanwhile.
Info await(const Runtime& runtime, std::uint64_t id, std::function<bool(const Info&)> is_so) {
  for (;;) {
    for (const Info& one : list(runtime)) {
      if (one.id == id && is_so(one)) return one;
    }
    std::this_thread::yield();
  }
}
Info await_known(const Runtime& runtime, std::uint64_t id) {
  return await(runtime, id, [](const Info& one) { return one.is_known; });
}

class ConnectionListTest : public RuntimeTest {};

INSTANTIATE_TEST_SUITE_P(Everywhere, ConnectionListTest, testing::ValuesIn(every_mode()),
                         mode_name);

TEST(ConnectionInfoTest, ALineSaysWhatIsKnown) {
  Info info;
  info.id = 7;
  info.peer_address = *SocketAddress::parse("10.0.0.2:40312");
  info.local_address = *SocketAddress::parse("10.0.0.1:80");
  info.age = absl::Milliseconds(12'567);
  const std::string head = "connection 7 (peer 10.0.0.2:40312, local 10.0.0.1:80), for 12.5s: ";
  info.run = Info::Run::running;
  EXPECT_EQ(info.to_string(), head + "runs");
  info.queued_bytes = 70'000;
  info.is_above_high_mark = true;
  info.run = Info::Run::queued;
  EXPECT_EQ(info.to_string(), head + "is ready to run, 70000 bytes queued (above the high mark)");
  info.run = Info::Run::idle;
  info.is_known = true;
  info.reading = Info::Reading::held;
  info.is_write_blocked = true;
  info.timeout = Info::Timeout::write_stall;
  info.time_left = absl::Seconds(47);
  EXPECT_EQ(info.to_string(),
            head +
                "reading is held until the write queue is low, the peer takes no bytes, write "
                "stall timeout in 47s, 70000 bytes queued (above the high mark)");
  info = Info();
  info.is_known = true;
  info.phase = Info::Phase::lingering;
  info.reading = Info::Reading::discarding;
  EXPECT_EQ(info.to_string(),
            "connection 0 (peer , local ), for 0: waits for the peer's end, what comes is dropped");
}

TEST(ConnectionInfoTest, ThePlaceStandsBehindWhatWaitsThere) {
  Info info;
  info.is_known = true;
  info.where = std::source_location::current();
  const std::string place = absl::StrCat(" at ", info.where.file_name(), ":", info.where.line());
  const std::string head = "connection 0 (peer , local ), for 0: ";
  info.reading = Info::Reading::by_task;
  info.has_unread = true;
  EXPECT_EQ(info.to_string(), head + "read by a task" + place + ", unread bytes or an end wait");
  info.has_unread = false;
  info.has_writer = true;
  EXPECT_EQ(info.to_string(), head + "read by a task" + place + ", a task waits to write");
  info.reading = Info::Reading::by_nobody;
  EXPECT_EQ(info.to_string(), head + "read by nobody now, a task waits to write" + place);
}

TEST_P(ConnectionListTest, OneThatWaitsForItsPeer) {
  Observer observer;
  DrivenRuntime runtime(options());
  EXPECT_TRUE(list(runtime).empty());
  EXPECT_EQ(*runtime.dump_connections(), "connections: 0\n");
  const Link link = open_link(runtime, observer);
  const Info info = await_known(runtime, link.connection.id());
  EXPECT_EQ(info.run, Info::Run::idle);
  EXPECT_EQ(info.phase, Info::Phase::open);
  EXPECT_EQ(info.reading, Info::Reading::by_callback);
  EXPECT_EQ(info.local_address, link.connection.local_address());
  EXPECT_EQ(info.peer_address, link.connection.peer_address());
  EXPECT_EQ(info.queued_bytes, 0u);
  EXPECT_FALSE(info.has_unread || info.is_write_blocked || info.has_writer || info.is_write_shut);
  EXPECT_FALSE(info.is_draining || info.is_above_high_mark);
  EXPECT_EQ(info.timeout, Info::Timeout::none);
  EXPECT_EQ(info.where.line(), 0u);
  const absl::StatusOr<std::string> text = runtime.dump_connections();
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(absl::StartsWith(
      *text, absl::StrCat("connections: 1\nconnection ", link.connection.id(), " (peer ",
                          link.connection.peer_address().to_string(), ", local ")))
      << *text;
}

TEST_P(ConnectionListTest, WhyNobodyReads) {
  Observer observer;
  Observer halves;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  const std::uint64_t id = link.connection.id();
  link.connection.pause_reading();
  (void)await(runtime, id, [](const Info& one) { return one.reading == Info::Reading::paused; });
  link.connection.resume_reading();
  link.connection.on_data(nullptr);
  const auto is_by_nobody = [](const Info& one) {
    return one.is_known && one.reading == Info::Reading::by_nobody;
  };
  (void)await(runtime, id, is_by_nobody);
  link.peer.send("x");
  (void)await(runtime, id, [](const Info& one) { return one.has_unread; });

  halves.when_read_closed = [](Connection&) {};
  Link half = open_link(runtime, halves);
  half.peer.half_close();
  halves.await_read_closed();
  const Info ended = await(runtime, half.connection.id(),
                           [](const Info& one) { return one.reading == Info::Reading::ended; });
  EXPECT_EQ(ended.phase, Info::Phase::open);
  half.connection.abort();
  (void)halves.await_closed();
}

TEST_P(ConnectionListTest, AboveTheHighMark) {
  use_small_buffers();
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer, marks(1000, 2000));
  EXPECT_EQ(link.connection.send(pattern(4'000'000)), SendResult::high);
  link.peer.send("x");
  const Info info = await(runtime, link.connection.id(), [](const Info& one) {
    return one.reading == Info::Reading::held && one.is_write_blocked;
  });
  EXPECT_GT(info.queued_bytes, 2000u);
  EXPECT_TRUE(info.is_above_high_mark);
  EXPECT_EQ(info.timeout, Info::Timeout::write_stall);
  EXPECT_GT(info.time_left, absl::ZeroDuration());
  EXPECT_LE(info.time_left, absl::Seconds(60));
  link.connection.abort();
  (void)observer.await_closed();
}

TEST_P(ConnectionListTest, OneThatCloses) {
  Observer observer;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.close();
  const Info info = await(runtime, link.connection.id(),
                          [](const Info& one) { return one.phase == Info::Phase::lingering; });
  EXPECT_EQ(info.reading, Info::Reading::discarding);
  EXPECT_EQ(info.timeout, Info::Timeout::linger);
  EXPECT_TRUE(info.is_write_shut);
  link.peer.close();
  (void)observer.await_closed();
  EXPECT_TRUE(list(runtime).empty());
}

// The stuck one is seen from another thread, and the others beside it.
TEST_P(ConnectionListTest, OneWhoseCallbackDoesNotReturn) {
  Observer observer;
  Observer stuck;
  absl::Notification is_in;
  absl::Notification may_return;
  stuck.when_data = [&](Connection&, std::string_view) {
    is_in.Notify();
    may_return.WaitForNotification();
  };
  DrivenRuntime runtime(options());
  Link other = open_link(runtime, observer);
  (void)await_known(runtime, other.connection.id());
  Link link = open_link(runtime, stuck);
  link.peer.send("x");
  is_in.WaitForNotification();
  const std::vector<Info> all = list(runtime);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].id, other.connection.id());
  EXPECT_TRUE(all[0].is_known);
  EXPECT_EQ(all[0].run, Info::Run::idle);
  EXPECT_EQ(all[1].id, link.connection.id());
  EXPECT_FALSE(all[1].is_known);
  EXPECT_EQ(all[1].run, Info::Run::running);
  EXPECT_TRUE(absl::StrContains(*runtime.dump_connections(), ": runs\n"));
  may_return.Notify();
  (void)stuck.await_bytes(1);
  (void)await_known(runtime, link.connection.id());
}

TEST_P(ConnectionListTest, FromACallbackAlsoOfAConnectionItself) {
  Observer observer;
  std::vector<Info> seen;
  std::vector<Info> seen_by_a_closure;
  absl::Notification done;
  DrivenRuntime runtime(options());
  observer.when_data = [&](Connection&, std::string_view) { seen = list(runtime); };
  Link link = open_link(runtime, observer);
  (void)await_known(runtime, link.connection.id());
  ASSERT_TRUE(runtime
                  .post([&] {
                    seen_by_a_closure = list(runtime);
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  ASSERT_EQ(seen_by_a_closure.size(), 1u);
  EXPECT_EQ(seen_by_a_closure[0].id, link.connection.id());
  link.peer.send("x");
  (void)observer.await_bytes(1);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].id, link.connection.id());
  EXPECT_EQ(seen[0].run, Info::Run::running);
  EXPECT_TRUE(seen[0].is_known);
}

TEST_P(ConnectionListTest, WhereATaskWaitsForOne) {
  AsyncEvent may_read;
  DrivenRuntime runtime(options());
  constexpr unsigned kReadLine = __LINE__ + 4;
  const absl::StatusOr<Listener> listener =
      runtime.listen("127.0.0.1:0", [&may_read](Connection peer) -> Task<> {
        co_await may_read.wait();
        (void)co_await peer.read();
        co_await sleep_for(absl::Hours(1));
      });
  ASSERT_TRUE(listener.ok()) << listener.status();
  Peer peer(listener->address());
  const auto await_reading = [&](Info::Reading reading) {
    for (;;) {
      for (const Info& one : list(runtime)) {
        if (one.is_known && one.reading == reading) return one;
      }
      std::this_thread::yield();
    }
  };
  EXPECT_EQ(await_reading(Info::Reading::by_nobody).where.line(), 0u);
  may_read.set();
  const Info info = await_reading(Info::Reading::by_task);
  EXPECT_TRUE(absl::EndsWith(info.where.file_name(), "connection_list_test.cc"));
  EXPECT_EQ(info.where.line(), kReadLine);
  EXPECT_TRUE(absl::StrContains(info.to_string(), absl::StrCat(":", kReadLine)))
      << info.to_string();
  peer.send("x");
  (void)await_reading(Info::Reading::by_nobody);
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
}

// While one member of the order runs, the others are not looked into; its own thread may.
TEST_P(ConnectionListTest, MembersOfAnOrder) {
  Observer first;
  Observer second;
  std::vector<Info> seen;
  absl::Notification is_in;
  absl::Notification may_return;
  DrivenRuntime runtime(options());
  ListenOptions listen;
  listen.order = runtime.order();
  first.when_data = [&](Connection&, std::string_view) {
    seen = list(runtime);
    is_in.Notify();
    may_return.WaitForNotification();
  };
  Link one = open_link(runtime, first, listen);
  Link two = open_link(runtime, second, listen);
  (void)await_known(runtime, two.connection.id());
  one.peer.send("x");
  is_in.WaitForNotification();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].run, Info::Run::running);
  EXPECT_EQ(seen[1].run, Info::Run::idle);
  EXPECT_TRUE(seen[0].is_known && seen[1].is_known);
  for (const Info& member : list(runtime)) {
    EXPECT_EQ(member.run, Info::Run::running);
    EXPECT_FALSE(member.is_known);
  }
  may_return.Notify();
  (void)first.await_bytes(1);
  (void)await_known(runtime, one.connection.id());
  (void)await_known(runtime, two.connection.id());
}

TEST_P(ConnectionListTest, TheOldestComeFirstAndTheRestIsCounted) {
  constexpr std::size_t kCount = 150;  // more than are looked up at once
  DrivenRuntime runtime(options());
  const Listener listener = listen_on_loopback(
      runtime, [](Connection& c) { c.on_data([](Connection&, std::span<const std::byte>) {}); });
  std::vector<Peer> peers;
  for (std::size_t i = 0; i < kCount; ++i) peers.emplace_back(listener.address());
  while (runtime.counters().connections < kCount) std::this_thread::yield();
  const std::vector<Info> all = list(runtime);
  ASSERT_EQ(all.size(), kCount);
  for (std::size_t i = 1; i < kCount; ++i) EXPECT_LT(all[i - 1].id, all[i].id);
  const std::vector<Info> few = list(runtime, 3);
  ASSERT_EQ(few.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(few[i].id, all[i].id);
  const std::vector<std::string> lines = absl::StrSplit(*runtime.dump_connections(2), '\n');
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0], "connections: 150");
  EXPECT_EQ(lines[3], "... 148 younger ones");
  EXPECT_EQ(*runtime.dump_connections(0), "connections: 150\n... 150 younger ones\n");
  EXPECT_TRUE(list(runtime, 0).empty());
  peers.clear();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(list(runtime).empty());
  EXPECT_EQ(*runtime.dump_connections(), "connections: 0\n");
}

TEST(ConnectionsTest, OfARuntimeThatCouldNotStart) {
  const Runtime runtime({.reactors = -1});
  EXPECT_EQ(runtime.connections().status(), runtime.status());
  EXPECT_EQ(runtime.dump_connections().status(), runtime.status());
}

// A thread of blocking() has no cached time.
TEST(ConnectionsTest, AgesOfThoseThatABlockingFunctionHasMade) {
  Runtime runtime({.workers = 1});
  absl::StatusOr<Child> child = absl::UnknownError("not started");
  const absl::Status ran = runtime.run([&]() -> Task<> {
    co_await blocking(
        [&] { child = runtime.start_child({"cat"}, {.input = ChildStream::pipe()}); });
  });
  ASSERT_TRUE(ran.ok()) << ran;
  ASSERT_TRUE(child.ok()) << child.status();
  const std::vector<Info> all = list(runtime);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_LT(all[0].age, absl::Minutes(10));
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
}

TEST(ConnectionsTest, AgesAndTimeouts) {
  Observer observer;
  ClockKernel clock;
  Runtime runtime({.workers = 1, .kernel = &clock});
  ConnectionOptions options;
  options.idle_timeout = absl::Minutes(10);
  const Link link = open_link(runtime, observer, options);
  Info info = await_known(runtime, link.connection.id());
  EXPECT_EQ(info.age, absl::ZeroDuration());
  EXPECT_EQ(info.timeout, Info::Timeout::idle);
  EXPECT_EQ(info.time_left, absl::Minutes(10));
  clock.advance(absl::Minutes(4));
  info = await_known(runtime, link.connection.id());
  EXPECT_LE(absl::AbsDuration(info.age - absl::Minutes(4)), absl::Milliseconds(100));
  EXPECT_EQ(info.time_left, absl::Minutes(6));
}

}  // namespace
}  // namespace epore
