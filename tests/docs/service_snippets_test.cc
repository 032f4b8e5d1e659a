// The snippets of the pages of docs/guide about services: children.md, signals.md and
// service-manager.md, as they stand there. pages_test compares them.

#include <signal.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace {

epore::Task<> serve(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

int run_service() {
  epore::Runtime runtime;
  auto listener = runtime.listen("inherited:", serve);
  if (!listener.ok()) return epore::report(listener.status());
  return epore::report(runtime.run_until_signal());
}

TEST(ServiceSnippets, WithoutAServiceManagerItSaysSo) {
  ::unsetenv("LISTEN_FDS");
  EXPECT_NE(run_service(), 0);
}

// -- run_service() --

int run_ready_service() {
  epore::Runtime runtime;
  runtime.request_shutdown();
  return epore::report(runtime.run_service());
}

TEST(ServiceSnippets, RunService) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(run_ready_service(), 0);
}

// -- Children. --

epore::Task<std::string> sorted(std::string text) {
  epore::Child sort = co_await epore::start_child(
      {"sort", "-n"}, {.input = epore::ChildStream::pipe(), .output = epore::ChildStream::pipe()});
  co_await sort.input().write(text);
  sort.input().shut_down_write();  // or it waits for more
  std::string all;
  epore::Connection output = sort.output();
  while (epore::ByteView bytes = co_await output.read()) all += bytes.text();
  const epore::ExitStatus end = co_await sort.wait();
  if (!end.ok()) co_await absl::InternalError(end.to_string());
  co_return all;
}

TEST(ServiceSnippets, Sort) {
  epore::Runtime runtime;
  EXPECT_EQ(runtime.run(sorted, std::string("10\n9\n1\n")).value_or("?"), "1\n9\n10\n");
}

TEST(ServiceSnippets, CallbackOfAChild) {
  epore::Runtime runtime;
  auto child =
      runtime.start_child(epore::Command("tar", "-cf", "/tmp/site.tar", ".").in("/srv/site"), {},
                          [](absl::StatusOr<epore::ExitStatus> end) {
                            if (end.ok() && !end->ok()) LOG(ERROR) << end->to_string();
                          });
  EXPECT_EQ(child.status().code(), absl::StatusCode::kNotFound);  // the folder
}

epore::Task<> end_politely(epore::Child child) {  // started with ChildOptions::own_group
  (void)child.kill_group(SIGTERM);
  const auto ended = co_await epore::within(absl::Seconds(5), child.wait()).result();
  if (!ended.ok()) (void)child.kill_group(SIGKILL);
}

TEST(ServiceSnippets, EndPolitely) {
  epore::Runtime runtime;
  const absl::Status done = runtime.run([]() -> epore::Task<> {
    epore::Child child = co_await epore::start_child({"sleep", "1000"}, {.own_group = true});
    co_await end_politely(child);
    const epore::ExitStatus end = co_await child.wait();
    EXPECT_EQ(end.signal, SIGTERM);
  });
  EXPECT_TRUE(done.ok()) << done;
}

// -- Signals. --

struct Config {
  void reload() { reloaded.Notify(); }
  absl::Notification reloaded;
};

epore::Task<> reload_on(epore::Signal hangup, Config& config) {
  while (true) {
    co_await hangup.wait();
    config.reload();
  }
}

int serve_with(epore::Runtime& runtime, Config& config) {
  absl::StatusOr<epore::Signal> hangup = runtime.on_signal(SIGHUP);
  if (!hangup.ok()) return epore::report(hangup.status());
  runtime.spawn(reload_on, *hangup, std::ref(config));
  return epore::report(runtime.run_until_signal());
}

TEST(ServiceSnippets, Signals) {
  Config config;
  epore::Runtime runtime;
  absl::Status status =
      runtime.on_signal(SIGUSR1, [&] { std::cerr << runtime.counters().to_json(); });
  EXPECT_TRUE(status.ok()) << status;
  runtime.request_shutdown();
  EXPECT_EQ(serve_with(runtime, config), 0);
}

}  // namespace
