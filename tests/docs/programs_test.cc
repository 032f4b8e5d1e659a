// Programs as one would write them, with small things in the place of what is not epore's.

#include <atomic>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/settle.h"
#include "tests/support/idle_kernel.h"

namespace {

std::string address_of(const absl::StatusOr<epore::Listener>& listener) {
  return listener->address().to_string();
}

// -- An echo. --

TEST(Programs, Echo) {
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", [](epore::Connection peer) -> epore::Task<> {
    while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  const absl::Status done = runtime.run([&]() -> epore::Task<> {
    epore::Connection c = co_await epore::connect(address_of(listener));
    co_await c.write("hello");
    c.shut_down_write();
    EXPECT_EQ((co_await c.read_exactly(5)).text(), "hello");
    EXPECT_TRUE((co_await c.read()).empty());
  });
  EXPECT_TRUE(done.ok()) << done;
}

// -- HTTP that keeps its connections, with a deadline for each request. --

struct Request {
  std::string path;
  bool keeps = true;

  bool keep_alive() const { return keeps; }
};

absl::StatusOr<Request> parse(std::string_view head) {
  if (!absl::ConsumePrefix(&head, "GET ")) return absl::InvalidArgumentError("no GET");
  return Request{std::string(head.substr(0, head.find(' '))),
                 !absl::StrContains(head, "Connection: close")};
}

struct Router {
  epore::Task<std::string> handle(const Request& request) {
    if (request.path == "/slow") {
      is_slow.Notify();
      co_await epore::sleep_for(absl::Hours(1));
    }
    if (request.path == "/bad") co_return absl::NotFoundError("bad");
    co_return absl::StrCat("this is ", request.path, "\n");
  }

  absl::Notification is_slow;
};

std::string error_page(const absl::Status& status) {
  return absl::StrCat("error ", absl::StatusCodeToString(status.code()), "\n");
}

epore::Task<> serve(epore::Connection peer, Router& router) {
  for (;;) {
    auto head =
        co_await epore::within(absl::Minutes(1), peer.read_until("\r\n\r\n", 16 * 1024)).result();
    if (!head.ok()) co_return;                      // idle, gone, or draining
    const Request request = co_await parse(*head);  // a StatusOr: a bad one ends the handler
    auto reply = co_await epore::within(absl::Seconds(5), router.handle(request)).result();
    // Not in the expression that awaits: gcc 12 destroys the string of a conditional operator
    // twice.
    const std::string text = reply.ok() ? *reply : error_page(reply.status());
    co_await peer.write(text);
    if (!request.keep_alive()) co_return;
  }
}

TEST(Programs, HttpWithDeadlines) {
  epore::IdleKernel kernel;
  epore::Runtime runtime({.dispatch = epore::Dispatch::poll_thread, .kernel = &kernel});
  Router router;
  auto listener =
      runtime.listen("127.0.0.1:0", [&](epore::Connection peer) { return serve(peer, router); });
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::string answers;
  epore::Job client = runtime.spawn([&]() -> epore::Task<> {
    epore::Connection c = co_await epore::connect(address_of(listener));
    co_await c.write("GET /a HTTP/1.1\r\n\r\nGET /bad HTTP/1.1\r\n\r\nGET /slow HTTP/1.1\r\n\r\n");
    co_await c.write("GET /b HTTP/1.1\r\nConnection: close\r\n\r\n");
    while (epore::ByteView bytes = co_await c.read()) answers += bytes.text();
  });
  router.is_slow.WaitForNotification();  // its deadline is set by now
  kernel.advance(absl::Seconds(5));
  EXPECT_TRUE(client.wait().ok()) << client.wait();
  EXPECT_EQ(answers, "this is /a\nerror NOT_FOUND\nerror DEADLINE_EXCEEDED\nthis is /b\n");
}

// -- A proxy. --

epore::Task<> pump(epore::Connection from, epore::Connection to) {
  while (epore::ByteView bytes = co_await from.read()) co_await to.write(bytes);
  to.shut_down_write();
}

TEST(Programs, Proxy) {
  epore::Runtime runtime;
  auto origin_listener = runtime.listen("127.0.0.1:0", [](epore::Connection c) -> epore::Task<> {
    std::string all;
    while (epore::ByteView bytes = co_await c.read()) all += bytes.text();
    co_await c.write("got " + all);
  });
  const std::string address = address_of(origin_listener);
  auto listener = runtime.listen("127.0.0.1:0", [&](epore::Connection client) -> epore::Task<> {
    epore::Connection origin = co_await epore::within(absl::Seconds(20), epore::connect(address));
    co_await epore::all(pump(client, origin), pump(origin, client));
  });
  const absl::StatusOr<std::string> answer = runtime.run([&]() -> epore::Task<std::string> {
    epore::Connection c = co_await epore::connect(address_of(listener));
    co_await c.write("hello");
    c.shut_down_write();
    co_return std::string(co_await c.read_exactly(9));
  });
  EXPECT_EQ(answer.value_or(answer.status().ToString()), "got hello");
}

// -- A question to many, whose first error stops the rest. --

struct Shard {
  int number = 0;
  bool is_broken = false;
  bool is_slow = false;
};
struct Query {
  int factor = 1;
};
using Part = int;
using Parts = std::vector<Part>;

epore::Task<Part> ask(const Shard& shard, const Query& query) {
  if (shard.is_slow) co_await epore::sleep_for(absl::InfiniteDuration());
  co_await epore::yield();
  if (shard.is_broken) co_return absl::UnavailableError("broken");
  co_return shard.number* query.factor;
}

epore::Task<Parts> gather(std::span<const Shard> shards, const Query& query) {
  Parts parts(shards.size());
  co_await epore::group([&](epore::Group& group) -> epore::Task<> {
    for (std::size_t i = 0; i < shards.size(); ++i)
      group.spawn([&, i]() -> epore::Task<> { parts[i] = co_await ask(shards[i], query); });
    co_return;
  });
  co_return parts;
}

TEST(Programs, GatherFromShards) {
  epore::Runtime runtime;
  std::vector<Shard> shards(5);
  for (int i = 0; i < 5; ++i) shards[static_cast<std::size_t>(i)].number = i;
  const Query query = {10};
  absl::StatusOr<Parts> parts =
      runtime.run(gather, std::span<const Shard>(shards), std::cref(query));
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_EQ(*parts, (Parts{0, 10, 20, 30, 40}));

  shards[0].is_slow = shards[4].is_slow = true;
  shards[2].is_broken = true;
  parts = runtime.run(gather, std::span<const Shard>(shards), std::cref(query));
  EXPECT_TRUE(absl::IsUnavailable(parts.status())) << parts.status();
}

// -- A periodic job that can be stopped from any thread. --

struct Cache {
  std::atomic<int> reloads = 0;

  epore::Task<> reload() {
    if (++reloads == 2) co_await absl::UnavailableError("for once");
    if (reloads == 3) co_await epore::sleep_for(absl::Hours(1));
  }
};

epore::Task<> refresh(Cache& cache) {
  epore::Ticker minute(absl::Minutes(1));
  for (;;) {
    co_await minute.tick();  // ends the task when it is stopped
    absl::Status done = co_await epore::within(absl::Seconds(30), cache.reload()).result();
    if (!done.ok()) LOG(WARNING) << done;
  }
}

TEST(Programs, Refresh) {
  epore::IdleKernel kernel;
  epore::Runtime runtime({.dispatch = epore::Dispatch::poll_thread, .kernel = &kernel});
  Cache cache;
  epore::Job job = runtime.spawn(refresh, std::ref(cache));
  epore::settle(kernel, runtime);
  for (int i = 1; i <= 5; ++i) {
    kernel.advance(absl::Seconds(59));
    epore::settle(kernel, runtime);
    EXPECT_EQ(cache.reloads, i - 1);
    kernel.advance(absl::Seconds(1));
    epore::settle(kernel, runtime);
    EXPECT_EQ(cache.reloads, i);
  }
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

// -- Answers to datagrams. --

std::string reply_to(std::string_view query) { return absl::StrCat("re: ", query); }

epore::Task<> answer(epore::UdpSocket socket) {
  for (;;) {
    for (const epore::Datagram& query : co_await socket.receive()) {
      (void)socket.send(reply_to(query.bytes.text()), query.peer);  // a full queue drops it
    }
  }
}

TEST(Programs, Answer) {
  epore::Runtime runtime;
  absl::StatusOr<epore::UdpSocket> socket = runtime.udp("127.0.0.1:0");
  ASSERT_TRUE(socket.ok()) << socket.status();
  epore::UdpOptions options;
  options.peer = socket->address();
  epore::Job job = runtime.spawn(answer, *std::move(socket));
  const absl::Status done = runtime.run([&]() -> epore::Task<> {
    epore::UdpSocket client = co_await runtime.udp("", options);
    std::string reply;
    while (reply.empty()) {  // a datagram may be lost
      co_await client.send("what?");
      auto got = co_await epore::within(absl::Seconds(5), client.receive()).result();
      if (got.ok()) reply = (*got)[0].bytes.text();
    }
    EXPECT_EQ(reply, "re: what?");
  });
  EXPECT_TRUE(done.ok()) << done;
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
}

}  // namespace
