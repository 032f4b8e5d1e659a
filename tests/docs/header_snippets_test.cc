// The examples in the comments of runtime/*.h, as they stand there. pages_test compares them. What
// would take a fixed port or end the process is compiled alone: [[maybe_unused]].

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/signals.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_file.h"

namespace {

// Runs a task on a runtime of its own, and expects it to end well.
template <typename F>
void expect_ok(F task) {
  epore::Runtime runtime;
  const absl::Status status = runtime.run(std::move(task));
  EXPECT_TRUE(status.ok()) << status;
}

// Serves one peer with `serve`, and gives what it sends after `question`.
template <typename F>
std::string ask(F serve, std::string question) {
  epore::Runtime runtime;
  const auto listener = runtime.listen("127.0.0.1:0", std::move(serve));
  CHECK_OK(listener.status());
  const std::string address = listener->address().to_string();
  return runtime
      .run([&]() -> epore::Task<std::string> {
        epore::Connection server = co_await epore::connect(address);
        co_await server.write(question);
        server.shut_down_write();
        std::string all;
        while (epore::ByteView bytes = co_await server.read()) all += bytes.text();
        co_return all;
      })
      .value_or("");
}

// -- Between tasks. --

namespace async_event {

epore::Task<> wait_and_set() {
  epore::AsyncEvent is_loaded;
  const auto use = [&is_loaded]() -> epore::Task<> {
    co_await is_loaded.wait();  // in any number of tasks, of any orders
  };
  const auto load = [&is_loaded]() -> epore::Task<> {
    is_loaded.set();  // in a task, a callback or any thread
    co_return;
  };
  co_await epore::all(use(), load());
}

TEST(HeaderSnippets, AsyncEvent) { expect_ok(wait_and_set); }

}  // namespace async_event

namespace async_mutex {

struct Log {
  epore::Task<> append(const std::string& record) {
    records.push_back(record);
    co_return;
  }
  std::vector<std::string> records;
};

epore::Task<> append(Log& file, std::string record) {
  epore::AsyncMutex mutex;
  EXPECT_TRUE(mutex.try_lock().has_value());
  epore::AsyncLock lock = co_await mutex.lock();
  co_await file.append(record);
}

TEST(HeaderSnippets, AsyncMutex) {
  Log file;
  expect_ok([&file] { return append(file, "one"); });
  EXPECT_EQ(file.records, std::vector<std::string>{"one"});
}

}  // namespace async_mutex

namespace channel {

using Line = std::string;

constexpr const char* kLines[] = {"one", "two"};

std::string printed;

void print(const Line& line) { printed += line; }

epore::Task<> produce(epore::Channel<Line> lines) {
  for (Line line : kLines) co_await lines.send(std::move(line));  // waits while the channel is full
  lines.close();
}
epore::Task<> consume(epore::Channel<Line> lines) {
  while (std::optional<Line> line = co_await lines.next()) print(*line);
}

epore::Task<> produce_and_consume() {
  epore::Channel<Line> lines(64);
  co_await epore::all(produce(lines), consume(lines));
}

struct Job {
  int id = 0;
};

epore::Task<> send_or_keep(epore::Channel<Job> channel, Job job, std::vector<Job>& kept) {
  const auto retry = [&kept](Job again) { kept.push_back(again); };
  auto send = channel.send(std::move(job));
  if (!(co_await send.result()).ok()) retry(std::move(send.value()));
}

TEST(HeaderSnippets, Channel) {
  expect_ok(produce_and_consume);
  EXPECT_EQ(printed, "onetwo");
  epore::Channel<Job> closed(1);
  closed.close();
  std::vector<Job> kept;
  expect_ok([&] { return send_or_keep(closed, Job{7}, kept); });
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].id, 7);
}

}  // namespace channel

namespace completion {

struct Reply {
  int value = 0;
};
struct Request {
  int value = 0;
};
struct Client {
  void call(const Request& request, absl::AnyInvocable<void(Reply)> done) {
    done(Reply{request.value});
  }
};

epore::Task<Reply> call(Client& client, const Request& request) {
  epore::Completion<Reply> reply;
  client.call(request, [done = reply.completer()](Reply r) { done.complete(std::move(r)); });
  co_return co_await reply.wait();
}

TEST(HeaderSnippets, Completion) {
  Client client;
  const Request request{5};
  epore::Runtime runtime;
  EXPECT_EQ(runtime.run(call, std::ref(client), std::cref(request))->value, 5);
}

}  // namespace completion

namespace latch {

struct Shard {
  void on_ready(absl::AnyInvocable<void()> callback) { callback(); }
};

epore::Task<> wait_for(std::vector<Shard>& shards) {
  epore::Latch ready(shards.size());
  for (Shard& shard : shards) shard.on_ready([&ready] { ready.count_down(); });
  co_await ready.wait();
}

TEST(HeaderSnippets, Latch) {
  std::vector<Shard> shards(3);
  expect_ok([&shards] { return wait_for(shards); });
}

}  // namespace latch

namespace once {

struct Config {
  int threads = 4;
};

epore::Task<Config> load_config() { co_return Config(); }

epore::Task<> load_once() {
  epore::Once<Config> config(load_config);  // epore::Task<Config> load_config();
  EXPECT_EQ(config.peek(), nullptr);
  const Config* const now = co_await config.get();  // in any number of tasks
  EXPECT_EQ(now->threads, 4);
}

TEST(HeaderSnippets, Once) { expect_ok(load_once); }

}  // namespace once

namespace semaphore {

epore::Task<> ask(int& backend) {
  ++backend;
  co_return;
}

epore::Task<> ask_with_a_slot(int& backend) {
  epore::Semaphore slots(10);
  EXPECT_EQ(slots.available(), 10u);
  epore::Permit slot = co_await slots.acquire();
  co_await ask(backend);
}

TEST(HeaderSnippets, Semaphore) {
  int backend = 0;
  expect_ok([&backend] { return ask_with_a_slot(backend); });
  EXPECT_EQ(backend, 1);
}

}  // namespace semaphore

// -- Tasks. --

namespace task {

epore::Task<int> twice(epore::Channel<int>& numbers) {
  const int number = co_await numbers.receive();  // an error ends this task with that error
  co_return 2 * number;
}

TEST(HeaderSnippets, Task) {
  epore::Channel<int> numbers(1);
  ASSERT_TRUE(numbers.try_send(21));
  epore::Runtime runtime;
  EXPECT_EQ(runtime.run(twice, std::ref(numbers)).value_or(0), 42);
}

}  // namespace task

namespace groups {

struct Shard {
  int value = 0;
};

epore::Task<> ask(const Shard& shard, int& query) {
  query += shard.value;
  co_return;
}

epore::Task<> ask_all(const std::vector<Shard>& shards, int& query) {
  co_await epore::group([&](epore::Group& group) -> epore::Task<> {
    for (const Shard& shard : shards) group.spawn(ask, std::ref(shard), std::ref(query));
    co_return;
  });
}

TEST(HeaderSnippets, Group) {
  const std::vector<Shard> shards = {{1}, {2}};
  int query = 0;
  expect_ok([&] { return ask_all(shards, query); });
  EXPECT_EQ(query, 3);
}

}  // namespace groups

namespace joins {

epore::Task<std::string> read_name(int file) { co_return absl::StrCat("file ", file); }
epore::Task<int> read_size(int file) { co_return 10 * file; }

epore::Task<> read_both(int file) {
  auto [name, size] = co_await epore::all(read_name(file), read_size(file));
  EXPECT_EQ(absl::StrCat(name, " ", size), "file 3 30");
}

epore::Task<> read_or_hear(epore::Connection peer) {
  epore::AsyncEvent bell;
  std::string text;
  const auto answer = [&text](epore::ByteView bytes) { text = bytes.text(); };
  auto first = co_await epore::any(peer.read(), bell.wait());
  if (first.index() == 0) answer(std::get<0>(first));
  co_await peer.write(text);
}

epore::Task<> ask_the_files() {
  std::vector<epore::Task<std::string>> questions;
  for (int file = 0; file < 3; ++file) questions.push_back(read_name(file));
  auto [which, answer] = co_await epore::any(std::move(questions));
  EXPECT_EQ(absl::StrCat(which, " ", answer), "0 file 0");
}

TEST(HeaderSnippets, Join) {
  expect_ok([] { return read_both(3); });
  expect_ok(ask_the_files);
  EXPECT_EQ(ask(read_or_hear, "ping"), "ping");
}

}  // namespace joins

namespace jobs {

struct Cache {
  int refreshes = 0;
};

epore::Task<> refresh(Cache& cache) {
  ++cache.refreshes;
  co_await epore::sleep_for(absl::InfiniteDuration());
}

TEST(HeaderSnippets, Job) {
  Cache cache;
  epore::Runtime runtime;
  epore::Job job = runtime.spawn(refresh, std::ref(cache));
  EXPECT_FALSE(job.status().has_value());
  job.stop();
  absl::Status status = job.wait();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

}  // namespace jobs

namespace on {

struct Cache {
  epore::Task<int> count() { co_return 3; }
};

epore::Task<> count(epore::Order cache_order) {
  Cache cache;
  const int count = co_await epore::on(cache_order, &Cache::count, std::ref(cache));
  EXPECT_EQ(count, 3);
}

TEST(HeaderSnippets, On) {
  epore::Runtime runtime;
  EXPECT_TRUE(runtime.run(count, runtime.order()).ok());
}

}  // namespace on

namespace sleep {

epore::Task<> sleep_and_tick() {
  co_await epore::sleep_for(absl::Milliseconds(100));
  epore::Ticker minute(absl::Minutes(1));
  for (;;) {
    co_await minute.tick();
    ADD_FAILURE() << "it is stopped before";
  }
}

TEST(HeaderSnippets, Sleep) {
  epore::Runtime runtime;
  const epore::Job job = runtime.spawn(sleep_and_tick);
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

}  // namespace sleep

namespace until {

epore::Task<> serve() { co_await epore::sleep_for(absl::InfiniteDuration()); }

TEST(HeaderSnippets, Until) {
  epore::Runtime runtime;
  std::stop_source source;
  epore::Job job = runtime.spawn(
      [token = source.get_token()]() -> epore::Task<> { co_await epore::until(token, serve()); });
  EXPECT_FALSE(job.status().has_value());
  source.request_stop();  // on any thread
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

}  // namespace until

namespace within {

struct Session {
  epore::Task<> log_out() {
    is_out = true;
    co_return;
  }
  bool is_out = false;
};

epore::Task<> read_head(epore::Connection peer) {
  Session session;
  absl::StatusOr<epore::ByteView> head =
      co_await epore::within(absl::Seconds(5), peer.read_until("\r\n", 1024)).result();
  const std::string text = head.ok() ? std::string(head->text()) : head.status().ToString();
  co_await epore::shield(epore::within(absl::Seconds(1), session.log_out()));
  EXPECT_TRUE(session.is_out);
  co_await peer.write(text);
}

TEST(HeaderSnippets, Within) { EXPECT_EQ(ask(read_head, "GET\r\n"), "GET\r\n"); }

}  // namespace within

// -- Connections and listeners. --

namespace connections {

epore::Task<> echo(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

epore::Task<> answer(epore::Connection peer, std::string_view head, std::string_view body) {
  co_await peer.write({head, body, "\r\n"});
  peer.send({head, body, "\r\n"});
}

epore::Task<int> compute(int request) { co_return request; }

epore::Task<> compute_unless_gone(epore::Connection peer, int request) {
  auto first = co_await epore::any(peer.closed(), compute(request));
  EXPECT_EQ(first.index(), 1u);
  co_await peer.write(std::to_string(std::get<1>(first)));
}

void tell(std::vector<epore::Connection>& members, std::string_view name, std::string_view line) {
  const epore::Bytes message(absl::StrCat(name, ": ", line, "\n"));
  for (epore::Connection& member : members) member.send(message);
}

epore::Task<> pass_memory(epore::Connection peer) {
  epore::OwnedFd memory(memfd_create("frame", MFD_CLOEXEC));
  peer.send("frame", std::move(memory));
  co_return;
}

epore::Task<std::size_t> take_buffers(epore::Connection peer) {
  epore::ByteView header = co_await peer.read_exactly(8);
  std::vector<epore::OwnedFd> buffers = peer.take_descriptors(2);
  co_return header.size() * buffers.size();
}

TEST(HeaderSnippets, Descriptors) {
  epore::Runtime runtime;
  const auto listener = runtime.listen(absl::StrCat("unix:@epore-header-snippets-", ::getpid()),
                                       [](epore::Connection peer) -> epore::Task<> {
                                         co_await pass_memory(peer);
                                         co_await pass_memory(peer);
                                       });
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = listener->address().to_string();
  const auto taken = runtime.run([&]() -> epore::Task<std::size_t> {
    co_return co_await take_buffers(co_await epore::connect(address, {.max_descriptors = 2}));
  });
  EXPECT_EQ(taken.value_or(0), 16u);
}

TEST(HeaderSnippets, Connection) {
  EXPECT_EQ(ask(echo, "text"), "text");
  EXPECT_EQ(ask([](epore::Connection peer) { return answer(peer, "a", "b"); }, ""), "ab\r\nab\r\n");
  EXPECT_EQ(ask([](epore::Connection peer) { return compute_unless_gone(peer, 4); }, ""), "4");
  const auto tells = [](epore::Connection peer) -> epore::Task<> {
    std::vector<epore::Connection> members = {peer};
    tell(members, "Ada", "hello");
    co_return;
  };
  EXPECT_EQ(ask(tells, ""), "Ada: hello\n");
}

[[maybe_unused]] void listen_with_callbacks(epore::Runtime& runtime) {
  auto listener = runtime.listen("127.0.0.1:7000", [](epore::Connection& peer) {
    peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
    peer.on_closed([](epore::Connection&, const absl::Status& why) { LOG(INFO) << why; });
  });
}

[[maybe_unused]] void listen_with_coroutines(epore::Runtime& runtime) {
  auto listener = runtime.listen(":7000", [](epore::Connection peer) -> epore::Task<> {
    while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
}

[[maybe_unused]] int serve() {
  epore::Runtime runtime;  // one poll thread, a worker per core
  auto listener = runtime.listen("127.0.0.1:7000", [](epore::Connection& peer) {
    peer.on_data([](epore::Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
  });
  if (!listener.ok()) return epore::report(listener.status());
  return epore::report(runtime.run_until_signal());  // drains on SIGINT and SIGTERM
}

[[maybe_unused]] void share_an_order() {
  // clang-format off
  std::set<std::string> names;  // before the runtime, so that it outlives the callbacks
  epore::Runtime runtime;
  const epore::Order order = runtime.order();
  auto listener = runtime.listen(":7000", [&](epore::Connection& peer) {
    names.insert(peer.peer_address().to_string());
  }, {.order = order});
  epore::Timer hourly = order.timer([&] { names.clear(); });
  hourly.arm_every(absl::Hours(1));
  // clang-format on
}

[[maybe_unused]] epore::Task<> connect_in_time() {
  epore::Connection origin =
      co_await epore::within(absl::Seconds(2), epore::connect("127.0.0.1:8080"));
}

TEST(HeaderSnippets, ConnectAttempt) {
  std::optional<absl::Status> status;
  epore::Runtime runtime({.hosts = {{"example.com", {}}}});
  const auto on_connected = [&status](absl::StatusOr<epore::Connection> connection) {
    status = connection.status();
  };
  epore::ConnectAttempt attempt = runtime.connect("example.com:80", on_connected);
  attempt.cancel();  // nobody needs the answer any more
  EXPECT_TRUE(runtime.shutdown().ok());
  ASSERT_TRUE(status.has_value());
  EXPECT_FALSE(status->ok());
}

TEST(HeaderSnippets, Resolve) {
  epore::Runtime runtime({.hosts = {{"db.example", {"127.0.0.1:0"}}}});
  const absl::Status done = runtime.run([]() -> epore::Task<> {
    for (const epore::SocketAddress& address : co_await epore::resolve("db.example:5432")) {
      std::cout << address.to_string() << "\n";
    }
  });
  EXPECT_TRUE(done.ok()) << done;
}

int try_next_port() { return 2; }

int listen_again(epore::Runtime& runtime, const std::string& address) {
  const auto listener = runtime.listen(address, echo);
  if (epore::errno_of(listener.status()) == EADDRINUSE) return try_next_port();
  return 1;
}

epore::Task<> accept_all(epore::Listener listener) {
  const auto serve = echo;
  co_await epore::group([&](epore::Group& group) -> epore::Task<> {
    for (;;) group.spawn(serve, co_await listener.accept());
  });
}

TEST(HeaderSnippets, Listener) {
  epore::Runtime runtime;
  const absl::StatusOr<epore::Listener> listener = runtime.listen("127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = listener->address().to_string();
  EXPECT_EQ(listen_again(runtime, address), 2);
  const epore::Job job = runtime.spawn(accept_all, *listener);
  const absl::Status done = runtime.run([&]() -> epore::Task<> {
    epore::Connection server = co_await epore::connect(address);
    co_await server.write("x");
    const epore::ByteView bytes = co_await server.read();
    EXPECT_EQ(bytes.text(), "x");
  });
  EXPECT_TRUE(done.ok()) << done;
  job.stop();
  EXPECT_FALSE(job.wait().ok());
}

}  // namespace connections

// -- Files, threads and timers. --

namespace files {

std::string read_file(const std::string& path) { return "of " + path; }

// A bare machine has no such file.
epore::Task<> read_hosts() {
  const std::string text = co_await epore::read_file("/etc/hosts");
  EXPECT_FALSE(text.empty());
}

epore::Task<> read_files(epore::Runtime& runtime, std::string path) {
  {
    const std::string text = co_await epore::blocking(read_file, path);
    EXPECT_EQ(text, "of " + path);
  }
  const absl::StatusOr<epore::Lane> disk = runtime.lane({.name = "disk", .threads = 2});
  CHECK_OK(disk.status());
  const std::string text = co_await epore::read_file(path, *disk);
  EXPECT_FALSE(text.empty());
}

epore::Task<> send_file(epore::Connection peer, std::string path) {
  const auto open = [](const std::string& name) { return epore::File::open(name); };
  const epore::File file = co_await epore::blocking(open, path);
  co_await peer.write(file, 0, file.size().value_or(0));
}

epore::Task<> pump(epore::Connection from, epore::Connection to) {
  co_await epore::splice(from, to);
  to.shut_down_write();
}

TEST(HeaderSnippets, Files) {
  epore::Runtime runtime;
  const absl::Status hosts = runtime.run(read_hosts);
  EXPECT_EQ(hosts.ok(), ::access("/etc/hosts", R_OK) == 0) << hosts;
  const epore::TemporaryFile file("some text");
  const absl::Status status = runtime.run(read_files, std::ref(runtime), file.path());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(ask([&](epore::Connection peer) { return send_file(peer, file.path()); }, ""),
            "some text");
  EXPECT_EQ(ask([](epore::Connection peer) { return pump(peer, peer); }, "echo"), "echo");
}

TEST(HeaderSnippets, Timer) {
  epore::Runtime runtime;
  epore::Timer tick = runtime.timer([] { std::puts("tick"); });
  tick.arm_every(absl::Seconds(1));
  EXPECT_TRUE(tick.is_armed());
}

TEST(HeaderSnippets, Options) {
  epore::Runtime runtime(
      {.hosts = {{"db.example", {"[::1]:5433", "127.0.0.1:5433"}}, {"gone.example", {}}}});
  EXPECT_TRUE(runtime.status().ok()) << runtime.status();
}

}  // namespace files

// -- Descriptors and datagrams. --

namespace descriptors {

std::string got;

epore::Task<> read_for_ever(int pipe) {
  while (true) {
    co_await epore::readable(pipe);
    char buffer[512];
    const ssize_t count = ::read(pipe, buffer, sizeof buffer);
    got.append(buffer, count > 0 ? static_cast<std::size_t>(count) : 0);
    if (count == 0) co_return;
  }
}

TEST(HeaderSnippets, Ready) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  ASSERT_EQ(::write(ends[1], "text", 4), 4);
  ::close(ends[1]);
  expect_ok([&] { return read_for_ever(ends[0]); });
  EXPECT_EQ(got, "text");
  ::close(ends[0]);
}

void read_changes(int) {}

TEST(HeaderSnippets, Watch) {
  epore::Runtime runtime;
  // clang-format off
  const int changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  inotify_add_watch(changes, "/etc/app", IN_CLOSE_WRITE);
  auto watch = runtime.watch(changes, epore::Interest::readable(),
                             [&](epore::Watch&, absl::StatusOr<epore::Readiness> ready) {
    if (ready.ok()) read_changes(changes);
  });
  // clang-format on
  ASSERT_TRUE(watch.ok()) << watch.status();
  watch->cancel();
  ::close(changes);
}

epore::Task<> echo(epore::UdpSocket socket) {
  while (true) {
    for (const epore::Datagram& d : co_await socket.receive()) {
      (void)socket.send(d.bytes, d.peer);
    }
  }
}

epore::Task<> ask_and_forget(epore::Runtime& runtime, epore::SocketAddress server, int& forgotten) {
  const auto forget = [&forgotten](const epore::SocketAddress&) { ++forgotten; };
  const epore::Order order = runtime.order();
  epore::UdpSocket socket = co_await runtime.udp("127.0.0.1:0", {.order = order});
  co_await socket.send("question", server);
  auto received = co_await socket.receive().result();
  if (epore::errno_of(received.status()) == ECONNREFUSED) {
    forget(epore::peer_of(received.status()));
  }
  EXPECT_TRUE(received.ok()) << received.status();
}

TEST(HeaderSnippets, Udp) {
  epore::Runtime runtime;
  const absl::StatusOr<epore::UdpSocket> server = runtime.udp("127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status();
  const epore::Job job = runtime.spawn(echo, *server);
  int forgotten = 0;
  const absl::Status done =
      runtime.run(ask_and_forget, std::ref(runtime), server->address(), std::ref(forgotten));
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_EQ(forgotten, 0);
  job.stop();
  EXPECT_FALSE(job.wait().ok());
}

}  // namespace descriptors

// -- Children and signals. --

namespace services {

TEST(HeaderSnippets, Command) {
  const std::string file = "/tmp/site.tar";
  epore::Command sort = {"sort", "-n"};
  epore::Command tar = epore::Command("tar", "-cf", file, ".").in("/srv/site").with("LANG=C");
  EXPECT_TRUE(sort.check().ok() && tar.check().ok());
  EXPECT_EQ(tar.folder(), "/srv/site");
}

epore::Task<std::string> sorted() {
  std::string all;
  epore::Child sort = co_await epore::start_child(
      {"sort", "-n"}, {.input = epore::ChildStream::pipe(), .output = epore::ChildStream::pipe()});
  co_await sort.input().write("3\n1\n2\n");
  sort.input().shut_down_write();  // or it waits for more
  while (epore::ByteView bytes = co_await sort.output().read()) all += bytes.text();
  epore::ExitStatus end = co_await sort.wait();
  EXPECT_TRUE(end.ok()) << end.to_string();
  co_return all;
}

TEST(HeaderSnippets, Child) {
  epore::Runtime runtime;
  EXPECT_EQ(runtime.run(sorted).value_or("?"), "1\n2\n3\n");
}

struct Config {
  void reload() { ++reloads; }
  int reloads = 0;
};

int reload_on_signal(epore::Runtime& runtime, Config& config) {
  // clang-format off
  absl::StatusOr<epore::Signal> hangup = runtime.on_signal(SIGHUP);
  if (!hangup.ok()) return epore::report(hangup.status());
  runtime.spawn([&config](epore::Signal asked) -> epore::Task<> {
    while (true) {
      co_await asked.wait();
      config.reload();
    }
  }, *hangup);
  // clang-format on
  return epore::report(runtime.run_until_signal());
}

int announce(epore::Runtime& runtime, const absl::StatusOr<epore::Listener>& listener) {
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  std::printf("LISTEN %s\n", listener->address().to_string().c_str());
  return epore::report(runtime.run_until_signal());
}

TEST(HeaderSnippets, Signals) {
  Config config;
  {
    epore::Runtime runtime;
    absl::Status set =
        runtime.on_signal(SIGUSR1, [&] { std::cerr << runtime.dump_tasks().value_or("?"); });
    EXPECT_TRUE(set.ok()) << set;
    runtime.request_shutdown();
    EXPECT_EQ(reload_on_signal(runtime, config), 0);
  }
  epore::Runtime runtime;
  const auto listener = runtime.listen("127.0.0.1:0", connections::echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  runtime.request_shutdown();
  EXPECT_EQ(announce(runtime, listener), 0);
}

int print_old(const epore::Runtime& runtime) {
  const auto all = runtime.connections();
  if (!all.ok()) return epore::report(all.status());
  for (const epore::ConnectionInfo& one : *all) {
    if (one.age > absl::Hours(1)) std::puts(one.to_string().c_str());
  }
  return 0;
}

TEST(HeaderSnippets, Connections) {
  epore::Runtime runtime;
  const auto listener = runtime.listen("127.0.0.1:0", connections::echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(print_old(runtime), 0);
}

[[maybe_unused]] void start(const char* path, char** arguments) {
  if (pid_t child = fork(); child == 0) {
    epore::unblock_signals();
    execv(path, arguments);
    _exit(127);
  }
}

}  // namespace services
}  // namespace
