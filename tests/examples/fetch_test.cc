// examples/fetch, from http_server, from nginx where the machine has it, and from servers that
// fail.

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/examples/reserved_port.h"
#include "tests/examples/server.h"
#include "tests/examples/tool.h"

namespace examples {
namespace {

struct Fetched {
  int exit_code = -1;
  std::string summary;  // the last line of stdout
  std::vector<std::string> errors;

  bool has_error(const std::string& line) const {
    return std::find(errors.begin(), errors.end(), line) != errors.end();
  }
};

Fetched finish(ChildProcess& process) {
  Fetched fetched;
  while (std::optional<std::string> line = process.read_line(absl::Seconds(60))) {
    fetched.summary = *line;
  }
  while (std::optional<std::string> line = process.read_error_line(absl::Seconds(20))) {
    fetched.errors.push_back(*line);
  }
  fetched.exit_code = process.wait().value_or(-1);
  return fetched;
}

Fetched fetch(const std::vector<std::string>& arguments) {
  ChildProcess process = start_program("fetch", arguments);
  return finish(process);
}

// Answers each request by the next of `answers`, the last one again and again; an empty one is no
// answer at all.
class Answers {
 public:
  explicit Answers(std::vector<std::string> answers) : answers_(std::move(answers)) {
    const auto serve = [this](epore::Connection peer) -> epore::Task<> {
      co_await peer.read_until("\r\n\r\n", 4096);
      const std::size_t number = requests_.fetch_add(1);
      const std::string& answer = answers_[std::min(number, answers_.size() - 1)];
      if (number + 1 == kMany) many_.Notify();
      if (answer.empty()) {
        co_await peer.read();  // until the client goes
      } else {
        co_await peer.write(answer);
      }
    };
    absl::StatusOr<epore::Listener> listener = runtime_.listen("127.0.0.1:0", serve);
    CHECK_OK(listener);
    url_ = absl::StrCat("http://", listener->address().to_string(), "/");
  }

  static constexpr std::size_t kMany = 1'000;

  const std::string& url() const { return url_; }
  std::size_t requests() const { return requests_; }
  void await_many() { many_.WaitForNotification(); }

 private:
  const std::vector<std::string> answers_;
  std::atomic<std::size_t> requests_{0};
  absl::Notification many_;
  std::string url_;
  epore::Runtime runtime_;
};

constexpr const char* kGood = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
constexpr const char* kBusy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
constexpr const char* kMissing = "HTTP/1.1 404 None\r\ncontent-length: 0\r\n\r\n";

// A folder with a file of 10,000 bytes.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "fetch_XXXXXX";
    PCHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    write("page.txt", std::string(10'000, 'x'));
  }
  ~Folder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(absl::StrCat(path_, "/", name)) << text;
  }

 private:
  std::string path_;
};

TEST(FetchTest, AThousandAtOnceFromTheHttpServer) {
  const Folder folder;
  Server server("http_server", {"--address=127.0.0.1:0", folder.path()});
  const Fetched fetched =
      fetch({"--jobs=1000", "--times=1000", absl::StrCat("http://", server.address, "/page.txt")});
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "1000 came, 0 failed, ")) << fetched.summary;
  EXPECT_TRUE(absl::StrContains(fetched.summary, ", 10000000 bytes, ")) << fetched.summary;
  EXPECT_EQ(fetched.exit_code, 0);
  EXPECT_EQ(server.terminate(), 0);
}

TEST(FetchTest, AThousandAtOnceFromNginx) {
  const Tool nginx("nginx");
  if (nginx.is_missing()) GTEST_SKIP() << nginx.why_missing();
  const Folder folder;
  const ReservedPort port;
  std::string paths;  // it may not write where it would by default
  for (const char* of : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    absl::StrAppend(&paths, of, "_temp_path ", folder.path(), "/", of, ";");
  }
  folder.write(
      "nginx.conf",
      absl::StrCat("daemon off; master_process off; error_log stderr;\n", "pid ", folder.path(),
                   "/nginx.pid;\n", "events { worker_connections 2048; }\n",
                   "http { access_log off; ", paths, "\n", "server { listen ", port.address(),
                   " reuseport backlog=2048; root ", folder.path(), "; } }\n"));
  absl::StatusOr<ChildProcess> process =
      ChildProcess::start({nginx.path, "-p", folder.path(), "-c", folder.path() + "/nginx.conf"});
  CHECK_OK(process);
  const std::string url = absl::StrCat("http://", port.address(), "/");
  // Its tries wait until nginx listens.
  const Fetched missing = fetch({"--tries=1000", "--longest-pause=100ms", url + "missing"});
  EXPECT_TRUE(missing.has_error(url + "missing: the answer is 404")) << missing.summary;
  const Fetched fetched = fetch({"--jobs=1000", "--times=1000", url + "page.txt"});
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "1000 came, 0 failed, ")) << fetched.summary;
  EXPECT_TRUE(absl::StrContains(fetched.summary, ", 10000000 bytes, ")) << fetched.summary;
  EXPECT_EQ(fetched.exit_code, 0);
  process->signal(SIGTERM);
  EXPECT_EQ(process->wait().value_or(-1), 0);
}

TEST(FetchTest, EarlyHintsAreNoAnswer) {
  Answers server({std::string("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n") + kGood});
  const Fetched fetched = fetch({server.url()});
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "1 came, 0 failed, 0 tried again, 5 bytes, "))
      << fetched.summary;
  EXPECT_EQ(fetched.exit_code, 0);
}

TEST(FetchTest, WhatMayPassIsTriedAgain) {
  Answers server({kBusy, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", kGood});
  const Fetched fetched = fetch({"--longest-pause=1ms", server.url()});
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "1 came, 0 failed, 2 tried again, 5 bytes, "))
      << fetched.summary;
  EXPECT_EQ(fetched.exit_code, 0);
  EXPECT_EQ(server.requests(), 3u);
}

TEST(FetchTest, WhatGoesOnFailingIsToldAndTheOthersCome) {
  Answers busy({kBusy});
  Answers good({kGood});
  Answers missing({kMissing});
  Answers garbage({"SSH-2.0-OpenSSH\r\n"});
  const Fetched fetched = fetch(
      {"--tries=3", "--longest-pause=1ms", busy.url(), good.url(), missing.url(), garbage.url()});
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "1 came, 3 failed, 2 tried again, 5 bytes, "))
      << fetched.summary;
  EXPECT_EQ(fetched.exit_code, 1);
  EXPECT_EQ(busy.requests(), 3u);
  EXPECT_EQ(missing.requests(), 1u);
  EXPECT_EQ(garbage.requests(), 1u);
  EXPECT_TRUE(fetched.has_error(busy.url() + ": the answer is 503"));
  EXPECT_TRUE(fetched.has_error(missing.url() + ": the answer is 404"));
  EXPECT_TRUE(fetched.has_error(garbage.url() + ": the answer is no HTTP"));
}

TEST(FetchTest, AServerThatRefusesIsTriedAgain) {
  const ReservedPort port;  // nobody listens there
  const std::string url = absl::StrCat("http://", port.address(), "/");
  const Fetched fetched = fetch({"--tries=3", "--longest-pause=1ms", url});
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "0 came, 1 failed, 2 tried again, 0 bytes, "))
      << fetched.summary;
  EXPECT_EQ(fetched.exit_code, 1);
  ASSERT_EQ(fetched.errors.size(), 1u);
  EXPECT_TRUE(absl::StrContains(fetched.errors[0], "ECONNREFUSED")) << fetched.errors[0];
}

TEST(FetchTest, ATryHasADeadline) {
  Answers silent({"", kGood});
  const Fetched fetched =
      fetch({"--timeout=50ms", "--longest-pause=1ms", "--tries=1000", silent.url()});
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "1 came, 0 failed, ")) << fetched.summary;
  EXPECT_GE(silent.requests(), 2u);
}

// The sockets that a process has open.
std::size_t sockets_of(const ChildProcess& process) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", process.pid(), "/fd"))) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (absl::StartsWith(target, "socket:")) ++count;
  }
  return count;
}

// It says `connection: close`, and the server goes on all the same.
TEST(FetchTest, AServerThatClosesNothingKeepsNoSocket) {
  absl::Mutex mutex;
  std::vector<epore::Connection> kept;  // and so not closed
  const auto is_last = [&kept] { return kept.size() == 20; };
  const auto serve = [&](epore::Connection peer) -> epore::Task<> {
    co_await peer.read_until("\r\n\r\n", 4096);
    {
      absl::MutexLock lock(&mutex);
      kept.push_back(peer);
    }
    if (!is_last()) co_await peer.write(kGood);
    co_await epore::sleep_for(absl::InfiniteDuration());
  };
  epore::Runtime runtime({.drain_timeout = absl::ZeroDuration()});
  const auto listener = runtime.listen("127.0.0.1:0", serve, {.order = runtime.order()});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string url = absl::StrCat("http://", listener->address().to_string(), "/");
  ChildProcess process = start_program("fetch", {"--jobs=1", "--times=20", "--timeout=1h", url});
  {
    absl::MutexLock lock(&mutex);
    ASSERT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&is_last), absl::Seconds(60)));
  }
  EXPECT_LT(sockets_of(process), 5u) << "one is under way, and one may be closing";
  process.signal(SIGKILL);
}

TEST(FetchTest, APageMayBeTooLong) {
  Answers endless({"HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'x')});
  const Fetched fetched = fetch({"--longest-page=99999", endless.url()});
  EXPECT_TRUE(fetched.has_error(endless.url() + ": the page is too long"));
  EXPECT_EQ(fetch({"--longest-page=100000", endless.url()}).exit_code, 0);
}

TEST(FetchTest, TheFirstErrorEndsItIfAsked) {
  Answers silent({""});
  Answers missing({kMissing});
  const Fetched fetched =
      fetch({"--first-error", "--timeout=1h", "--times=5", silent.url(), missing.url()});
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "0 came, ")) << fetched.summary;
  EXPECT_FALSE(absl::EndsWith(fetched.summary, ", interrupted")) << fetched.summary;
  EXPECT_EQ(fetched.exit_code, 1);
}

TEST(FetchTest, CtrlCEndsAThousandThatWait) {
  Answers silent({""});
  ChildProcess process =
      start_program("fetch", {"--jobs=1000", "--times=1000", "--timeout=1h", silent.url()});
  silent.await_many();
  // ThreadSanitizer may keep a signal back until the next one comes.
  std::optional<std::string> summary;
  for (int i = 0; i < 12 && !summary; ++i) {
    process.signal(SIGINT);
    summary = process.read_line(absl::Seconds(5));
  }
  Fetched fetched = finish(process);
  if (fetched.summary.empty()) fetched.summary = summary.value_or("");
  EXPECT_TRUE(absl::StartsWith(fetched.summary, "0 came, 0 failed, 0 tried again, 0 bytes, "))
      << fetched.summary;
  EXPECT_TRUE(absl::EndsWith(fetched.summary, ", interrupted")) << fetched.summary;
  EXPECT_EQ(fetched.exit_code, 130);
}

TEST(FetchTest, ASignalTellsWhatTheTasksAndTheConnectionsWaitFor) {
  Answers silent({""});
  ChildProcess process =
      start_program("fetch", {"--jobs=1000", "--times=1000", "--timeout=1h", silent.url()});
  silent.await_many();
  bool has_counters = false;
  bool has_tasks = false;
  bool has_connections = false;
  // ThreadSanitizer may keep a signal back, and a dump leaves out who does not answer in time.
  const auto has_all = [&] { return has_counters && has_tasks && has_connections; };
  for (int i = 0; i < 20 && !has_all(); ++i) {
    process.signal(SIGUSR1);
    while (std::optional<std::string> line = process.read_error_line(absl::Seconds(2))) {
      has_counters = has_counters || absl::StartsWith(*line, "{");
      has_tasks = has_tasks || absl::EndsWith(*line, ": Connection::read");
      has_connections = has_connections || (absl::StartsWith(*line, "connection ") &&
                                            absl::StrContains(*line, ": read by a task at "));
      if (has_all()) break;
    }
  }
  EXPECT_TRUE(has_counters);
  EXPECT_TRUE(has_tasks);
  EXPECT_TRUE(has_connections);
}

TEST(FetchTest, WhatIsNoUrlIsRefused) {
  for (const char* bad : {"ftp://x/", "http://", "http:///x", "http://:80/", "http://x:99999/",
                          "http://x/a b", "http://x/\r\n", "x", ""}) {
    const Fetched fetched = fetch({bad});
    EXPECT_EQ(fetched.exit_code, 1) << bad;
    ASSERT_FALSE(fetched.errors.empty()) << bad;
    EXPECT_TRUE(absl::StrContains(fetched.errors[0], "is no URL of a page: ")) << fetched.errors[0];
  }
  for (const char* bad : {"--jobs=0", "--tries=0", "--times=0", "--timeout=0s",
                          "--longest-pause=-1s", "--longest-page=0"}) {
    EXPECT_EQ(fetch({bad, "http://x/"}).exit_code, 1) << bad;
  }
  const Fetched many = fetch({"--times=600000", "http://x/", "http://y/"});
  EXPECT_EQ(many.exit_code, 1);
  ASSERT_FALSE(many.errors.empty());
  EXPECT_TRUE(absl::StrContains(many.errors[0], "--times=600000")) << many.errors[0];
  EXPECT_EQ(fetch({}).exit_code, 1);
}

}  // namespace
}  // namespace examples
