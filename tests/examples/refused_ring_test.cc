// Servers that ask for io_uring on a system that refuses it: they serve on epoll, and one line of
// the log says so.

#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"
#include "tests/support/refused_call.h"
#include "tests/support/temporary_directory.h"

namespace examples {
namespace {

struct Row {
  const char* program;
  std::vector<std::string> arguments;
  const char* request;
  const char* answer;  // how it begins
};

// The lines of the log so far that tell of the engine, and the counters.
std::pair<int, std::string> ask(Server& server) {
  int told = 0;
  server.process.signal(SIGUSR1);
  while (std::optional<std::string> line = server.process.read_error_line()) {
    if (absl::StrContains(*line, "the event queue is epoll")) ++told;
    if (absl::StartsWith(*line, "{")) return {told, *line};
  }
  return {told, ""};
}

TEST(RefusedRingTest, EveryServerServesOnEpollAndSaysSoOnce) {
  const rlimit none = {0, 0};
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &none), 0);
  const epore::TemporaryDirectory folder;
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const int error : {EPERM, ENOSYS, ENOMEM}) {
    // The last filter's errno is the one that counts.
    if (!epore::refuse_call(SYS_io_uring_setup, error)) GTEST_SKIP() << "no filters here";
    Server origin("echo_server", {"--address=127.0.0.1:0"});
    const Row rows[] = {
        {"echo_server", {}, "hello", "hello"},
        {"http_hello", {}, get.c_str(), "HTTP/1.1 200"},
        {"http_server", {folder.path("")}, "GET /no HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"},
        {"kv_server", {}, "*1\r\n$4\r\nPING\r\n", "+PONG\r\n"},
        {"chat_server", {}, "ann\n", "* ann enters\n"},
        {"tcp_proxy", {origin.address}, "hello", "hello"},
        {"delay_server", {}, "GET /1/hello HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
    };
    for (const Row& row : rows) {
      SCOPED_TRACE(absl::StrCat(row.program, " ", strerrorname_np(error)));
      std::vector<std::string> arguments = row.arguments;
      arguments.insert(arguments.end(), {"--address=127.0.0.1:0", "--selector=io_uring"});
      Server server(row.program, arguments);
      {
        Client client(server.address);
        ASSERT_TRUE(client.send(row.request));
        EXPECT_EQ(client.read_exactly(std::strlen(row.answer)), row.answer);
      }
      const auto [told, counters] = ask(server);
      EXPECT_EQ(told, 1);
      EXPECT_TRUE(absl::StrContains(counters, "\"selector\":\"epoll\"")) << counters;
      EXPECT_TRUE(absl::StrContains(counters, strerrorname_np(error))) << counters;
      EXPECT_EQ(server.terminate(), 0);
      while (std::optional<std::string> line = server.process.read_error_line()) {
        EXPECT_FALSE(absl::StrContains(*line, "the event queue is epoll")) << *line;
      }
    }
  }
}

}  // namespace
}  // namespace examples
