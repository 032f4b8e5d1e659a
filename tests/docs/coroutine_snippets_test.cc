// The snippets of docs/guide/coroutines.md, as they stand there. pages_test compares them.

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/testing/manual_clock.h"
#include "gtest/gtest.h"

namespace {

std::string address_of(const absl::StatusOr<epore::Listener>& listener) {
  return listener->address().to_string();
}

epore::Task<std::string> ask(std::string address, std::string question) {
  epore::Connection peer = co_await epore::connect(address);
  co_await peer.write(question);
  epore::ByteView line = co_await peer.read_until("\n", 1024);
  co_return std::string(line.text());
}

epore::Task<> serve_peer(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

epore::Task<> accept_all(epore::Listener listener) {
  co_await epore::group([&](epore::Group& group) -> epore::Task<> {
    for (;;) {
      auto peer = co_await listener.accept().result();
      if (!peer.ok()) co_return;  // closed, or a shutdown: the children finish
      group.spawn(serve_peer, *std::move(peer));
    }
  });
}

TEST(CoroutineSnippets, AcceptInATask) {
  epore::Runtime runtime;
  absl::StatusOr<epore::Listener> listener = runtime.listen("127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  epore::Job job = runtime.spawn(accept_all, *listener);
  absl::StatusOr<std::string> answer = runtime.run(ask, address_of(listener), "hello\n");
  EXPECT_EQ(answer.value(), "hello\n");
  listener->close();
  EXPECT_TRUE(job.wait().ok()) << job.wait();
}

TEST(CoroutineSnippets, FirstHandler) {
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", [](epore::Connection peer) -> epore::Task<> {
    while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  absl::StatusOr<std::string> answer = runtime.run(ask, address_of(listener), "hello\n");
  EXPECT_EQ(*answer, "hello\n");
}

epore::Task<> check(const std::string& name) {
  if (name.empty()) co_await absl::InvalidArgumentError("a name is missing");
}

epore::Task<int> length(std::string name) {
  co_await check(name);  // an error of check() ends this coroutine, too
  co_return static_cast<int>(name.size());
}

epore::Task<int> length_or_zero(std::string name) {
  absl::StatusOr<int> size = co_await length(name).result();  // no error ends this
  co_return size.value_or(0);
}

TEST(CoroutineSnippets, Errors) {
  epore::Runtime runtime;
  EXPECT_TRUE(absl::IsInvalidArgument(runtime.run(length, "").status()));
  EXPECT_EQ(*runtime.run(length, "Ada"), 3);
  EXPECT_EQ(*runtime.run(length_or_zero, ""), 0);
}

epore::Task<> greet(epore::Connection peer) {
  epore::ByteView line = co_await peer.read_until("\n", 256);
  std::string name(absl::StripAsciiWhitespace(line.text()));  // a copy: the view ends soon
  epore::ByteView size = co_await peer.read_exactly(1);       // from here on `line` is not valid
  co_await peer.write(absl::StrCat("hello ", name, " ", size.text(), "\n"));
}

TEST(CoroutineSnippets, Views) {
  epore::Runtime runtime;
  auto listener = runtime.listen("127.0.0.1:0", greet);
  EXPECT_EQ(*runtime.run(ask, address_of(listener), "Ada\r\n7"), "hello Ada 7\n");
}

epore::Task<std::string> ask_in_time(std::string address) {
  auto answer = co_await epore::within(absl::Seconds(2), ask(address, "time?\n")).result();
  if (absl::IsDeadlineExceeded(answer.status())) co_return "too late";
  co_return answer;
}

TEST(CoroutineSnippets, Deadlines) {
  epore::Runtime runtime;
  auto silent = runtime.listen("127.0.0.1:0", [](epore::Connection peer) -> epore::Task<> {
    co_await peer.read_until("never", 1024);
  });
  absl::StatusOr<std::string> answer = runtime.run([&]() -> epore::Task<std::string> {
    co_return co_await epore::within(absl::Nanoseconds(1), ask_in_time(address_of(silent)));
  });
  EXPECT_EQ(*answer, "too late");
  epore::ManualClock clock;  // stands still, so the answer comes in time
  epore::Runtime other({.kernel = clock.kernel()});
  auto echo = other.listen("127.0.0.1:0", [](epore::Connection peer) -> epore::Task<> {
    while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
  EXPECT_EQ(*other.run(ask_in_time, address_of(echo)), "time?\n");
}

epore::Task<> log_out(bool& is_out) {
  co_await epore::sleep_for(absl::ZeroDuration());
  is_out = true;
}

epore::Task<> serve(absl::Notification& began, bool& is_out) {
  began.Notify();
  absl::Status status = co_await epore::sleep_for(absl::InfiniteDuration()).result();
  co_await epore::shield(epore::within(absl::Seconds(10), log_out(is_out)));
  co_await status;
}

TEST(CoroutineSnippets, Stop) {
  epore::Runtime runtime;
  absl::Notification began;
  bool is_out = false;
  epore::Job job = runtime.spawn(serve, std::ref(began), std::ref(is_out));
  began.WaitForNotification();
  job.stop();                        // any thread
  absl::Status status = job.wait();  // not in a callback or a task
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(is_out);
}

epore::Task<int> square(int number) {
  co_await epore::yield();
  co_return number* number;
}

epore::Task<int> sum_of_squares(int count) {
  std::vector<epore::Task<int>> parts;
  for (int i = 1; i <= count; ++i) parts.push_back(square(i));
  std::vector<int> squares = co_await epore::all(std::move(parts));
  int sum = 0;
  for (int number : squares) sum += number;
  co_return sum;
}

epore::Task<> both() {
  auto pair = co_await epore::all(square(3), square(4));
  EXPECT_EQ(std::get<0>(pair) + std::get<1>(pair), 25);
}

epore::Task<int> which_is_first(epore::AsyncEvent& bell) {
  auto first = co_await epore::any(bell.wait(), epore::sleep_for(absl::Hours(1)));
  co_return first.index();
}

epore::Task<int> sum_by_group(int count) {
  int sum = 0;  // belongs to the coroutine that awaits the group, and outlives all children
  co_await epore::group([&](epore::Group& group) -> epore::Task<> {
    for (int i = 1; i <= count; ++i) {
      group.spawn([&sum, i]() -> epore::Task<> { sum += co_await square(i); });
    }
    co_return;
  });
  co_return sum;
}

TEST(CoroutineSnippets, Structure) {
  epore::Runtime runtime;
  EXPECT_EQ(*runtime.run(sum_of_squares, 3), 14);
  EXPECT_EQ(*runtime.run(sum_by_group, 3), 14);
  EXPECT_TRUE(runtime.run(both).ok());
  epore::AsyncEvent bell(true);
  EXPECT_EQ(*runtime.run(which_is_first, std::ref(bell)), 0);
}

struct Counts {
  std::map<std::string, int> words;

  epore::Task<int> add(std::string word) { co_return ++words[word]; }
};

TEST(CoroutineSnippets, Orders) {
  Counts counts;  // only tasks of `order` touch it: no mutex
  epore::Runtime runtime;
  const epore::Order order = runtime.order();
  absl::Status status = runtime.run([&]() -> epore::Task<> {
    for (int i = 1; i <= 3; ++i) {
      int count = co_await epore::on(order, &Counts::add, std::ref(counts), "egg");
      EXPECT_EQ(count, i);
    }
  });
  EXPECT_TRUE(status.ok()) << status;
}

epore::Task<> produce(epore::Channel<int> numbers) {
  for (int i = 1; i <= 100; ++i) co_await numbers.send(i);  // waits while the channel is full
  numbers.close();
}

epore::Task<> consume(epore::Channel<int> numbers, int& sum) {
  while (std::optional<int> number = co_await numbers.next()) sum += *number;
}

TEST(CoroutineSnippets, Channel) {
  epore::Runtime runtime;
  int sum = 0;
  epore::Channel<int> numbers(8);
  epore::Job producer = runtime.spawn(produce, numbers);
  EXPECT_TRUE(runtime.run(consume, numbers, std::ref(sum)).ok());
  EXPECT_EQ(sum, 5050);
  EXPECT_TRUE(producer.wait().ok());
}

// An interface with callbacks.
struct Client {
  void call(std::string request, std::function<void(std::string)> done) { done(request + "!"); }
};

epore::Task<std::string> call(Client& client, std::string request) {
  epore::Completion<std::string> reply;
  client.call(request, [done = reply.completer()](std::string r) { done.complete(std::move(r)); });
  co_return co_await reply.wait();
}

TEST(CoroutineSnippets, Callbacks) {
  epore::Runtime runtime;
  Client client;
  EXPECT_EQ(*runtime.run(call, std::ref(client), "go"), "go!");
}

TEST(CoroutineSnippets, FromACallback) {
  epore::Runtime runtime;
  absl::Notification done;
  absl::Status posted = runtime.post([&] {
    runtime.spawn([&]() -> epore::Task<> {
      co_await epore::yield();
      done.Notify();
    });
  });
  ASSERT_TRUE(posted.ok()) << posted;
  done.WaitForNotification();
}

std::string read_file(std::string path) { return "text of " + path; }

epore::Task<std::string> load(std::string path) {
  std::string text = co_await epore::blocking(read_file, path);
  co_return text;
}

TEST(CoroutineSnippets, Blocking) {
  epore::Runtime runtime;
  EXPECT_EQ(*runtime.run(load, "x"), "text of x");
}

struct Row {
  std::string name;
  int size;
};

epore::Task<std::string> name_of(int id) { co_return absl::StrCat("row ", id); }

epore::Task<std::unique_ptr<Row>> row(int id, bool is_old) {
  std::string name;
  if (is_old) {  // not: is_old ? co_await ... : ...
    name = co_await name_of(id);
  } else {
    name = "new";
  }
  Row row{std::move(name), 1};                      // not: Row{co_await name_of(id), 1}
  co_return std::make_unique<Row>(std::move(row));  // not: new Row(co_await ...)
}

epore::Task<> drain(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read())
    continue;  // not: while (co_await peer.read())
}

TEST(CoroutineSnippets, WhatToWriteInstead) {
  epore::Runtime runtime;
  EXPECT_EQ((*runtime.run(row, 7, true))->name, "row 7");
  auto listener = runtime.listen("127.0.0.1:0", drain);
  EXPECT_TRUE(runtime
                  .run([&]() -> epore::Task<> {
                    epore::Connection peer = co_await epore::connect(address_of(listener));
                    peer.shut_down_write();
                    co_await drain(peer);
                  })
                  .ok());
}

}  // namespace
