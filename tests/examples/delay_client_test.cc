// The delay client as a process, against the delay server and against one that misbehaves.

#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/server.h"
#include "tests/support/sockets.h"

namespace examples {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Output {
  std::vector<std::string> done;  // the lines of ends: "4 status 200"
  std::string text;
  int exit_code = -1;
};

// "DONE: token 4 after 1.003 s: status 200" without the time.
std::string without_time(const std::string& line) {
  const std::size_t token = line.find("token ") + 6;
  return absl::StrCat(line.substr(token, line.find(" after") - token),
                      line.substr(line.rfind(" s: ") + 3));
}

Output run_to_end(ChildProcess& process) {
  Output output;
  while (const auto line = process.read_line()) {
    if (absl::StartsWith(*line, "DONE: ")) output.done.push_back(without_time(*line));
    absl::StrAppend(&output.text, *line, "\n");
  }
  output.exit_code = process.wait().value_or(-1);
  return output;
}

TEST(DelayClient, GetsItsFiveAnswersASecondApartOnEveryEngine) {
  Server server("delay_server", {"127.0.0.1", "--port=0"});
  const std::string port = absl::StrCat("--port=", server.port());
  const absl::Time start = absl::Now();
  ChildProcess epoll = start_program("delay_client", {"127.0.0.1", port, "--selector=epoll"});
  ChildProcess poll = start_program("delay_client", {"127.0.0.1", port, "--selector=poll"});
  for (ChildProcess* const client : {&epoll, &poll}) {
    const Output output = run_to_end(*client);
    EXPECT_THAT(output.done, ElementsAre("4 status 200", "3 status 200", "2 status 200",
                                         "1 status 200", "0 status 200"));
    EXPECT_THAT(output.text, HasSubstr("RECEIVED: token 4 readable"));
    EXPECT_THAT(output.text, HasSubstr("\r\n\r\nrequest-4\n------\n"));
    EXPECT_TRUE(absl::EndsWith(output.text, "\nFINISHED\n"));
    EXPECT_EQ(output.exit_code, 0);
  }
  const absl::Duration taken = absl::Now() - start;
  EXPECT_GE(taken, absl::Seconds(5));
  EXPECT_LT(taken, absl::Seconds(12));  // one after the other would be fifteen
}

TEST(DelayClient, GetsTwoHundredAnswersAfterRandomDelays) {
  Server server("delay_server", {"127.0.0.1", "--port=0"});
  ChildProcess client =
      start_program("delay_client", {"127.0.0.1", absl::StrCat("--port=", server.port()),
                                     "--requests=200", "--max-delay=2", "--seed=7"});
  const Output output = run_to_end(client);
  EXPECT_EQ(output.done.size(), 200u);
  EXPECT_EQ(output.exit_code, 0);
}

TEST(DelayClient, ASignalDuringTheWaitDoesNoHarm) {
  Server server("delay_server", {"127.0.0.1", "--port=0"});
  ChildProcess client = start_program(
      "delay_client", {"127.0.0.1", absl::StrCat("--port=", server.port()), "--requests=1"});
  // The request is under way, so the client waits; being continued interrupts that (signal(7)).
  EXPECT_TRUE(server.process.read_line().has_value());
  for (int i = 0; i < 10; ++i) {
    client.signal(SIGSTOP);
    client.signal(SIGCONT);
  }
  EXPECT_EQ(run_to_end(client).exit_code, 0);
}

// Takes connections one by one and plays `answers` to them, the first to the first.
class Scripted {
 public:
  explicit Scripted(std::vector<std::string> answers)
      : thread_([this, answers = std::move(answers)] { run(answers); }) {}
  ~Scripted() { thread_.join(); }
  std::string port() const { return absl::StrCat("--port=", listener_.port); }

 private:
  void run(const std::vector<std::string>& answers) {
    std::vector<epore::OwnedFd> peers;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      int fd = -1;
      while ((fd = ::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) <
             0) {
        PCHECK(errno == EAGAIN);
        std::this_thread::yield();
      }
      peers.emplace_back(fd);
      epore::read_some(fd);
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].empty()) {
        epore::reset(peers[i]);
      } else {
        epore::write_all(peers[i].get(), answers[i]);
        peers[i].reset();
      }
    }
  }

  const epore::TcpPort listener_ = epore::tcp_listener();
  std::thread thread_;
};

constexpr char kGood[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

TEST(DelayClient, OneResetConnectionDoesNotAbortTheOthers) {
  const Scripted server({kGood, "", kGood});
  ChildProcess client = start_program("delay_client", {"127.0.0.1", server.port(), "--requests=3"});
  const Output output = run_to_end(client);
  ASSERT_EQ(output.done.size(), 3u) << output.text;
  EXPECT_THAT(output.text, HasSubstr("FINISHED"));
  EXPECT_EQ(output.exit_code, 1);
}

TEST(DelayClient, AnAnswerThatIsCutShortIsAFailure) {
  const Scripted server({"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"});
  ChildProcess client = start_program("delay_client", {"127.0.0.1", server.port(), "--requests=1"});
  const Output output = run_to_end(client);
  EXPECT_THAT(output.done, ElementsAre(HasSubstr("before the answer was complete")));
  EXPECT_EQ(output.exit_code, 1);
}

TEST(DelayClient, NoAnswerIsAFailure) {
  const epore::TcpPort silent = epore::tcp_listener();  // the system connects
  ChildProcess client = start_program(
      "delay_client",
      {"127.0.0.1", absl::StrCat("--port=", silent.port), "--requests=1", "--patience=100ms"});
  EXPECT_THAT(client.read_error_line().value_or(""),
              HasSubstr("1 requests were not answered within 1.1s"));
  EXPECT_EQ(run_to_end(client).exit_code, 1);
}

TEST(DelayClient, AnotherStatusIsAFailure) {
  const Scripted server({"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"});
  ChildProcess client = start_program("delay_client", {"127.0.0.1", server.port(), "--requests=1"});
  const Output output = run_to_end(client);
  EXPECT_THAT(output.done, ElementsAre("0 status 404"));
  EXPECT_EQ(output.exit_code, 1);
}

TEST(DelayClient, NobodyThereIsAFailure) {
  const epore::TcpPort refusing = epore::refusing_port();
  ChildProcess client =
      start_program("delay_client", {"localhost", absl::StrCat("--port=", refusing.port)});
  const Output output = run_to_end(client);
  EXPECT_EQ(output.done.size(), 5u);
  EXPECT_THAT(output.text, HasSubstr("refused"));
  EXPECT_EQ(output.exit_code, 1);
}

TEST(DelayClient, EveryAddressOfTheHostIsTried) {
  // On a machine with IPv6, localhost is ::1 first, where nobody listens.
  const Scripted server({kGood});
  ChildProcess client = start_program("delay_client", {"localhost", server.port(), "--requests=1"});
  EXPECT_EQ(run_to_end(client).exit_code, 0);
}

TEST(DelayClient, ErrorsOfTheCommandLineSayWhat) {
  ChildProcess selector = start_program("delay_client", {"--selector=kqueue"});
  EXPECT_THAT(selector.read_error_line().value_or(""), HasSubstr("kqueue"));
  EXPECT_EQ(selector.wait().value_or(-1), 1);
  for (const char* flag : {"--requests=4294967295", "--patience=0"}) {
    ChildProcess client = start_program("delay_client", {flag});
    EXPECT_THAT(client.read_error_line().value_or(""), HasSubstr("ERROR: --")) << flag;
    EXPECT_EQ(client.wait().value_or(-1), 1);
  }
  // What is wrong with the flags is told before a name is looked up.
  ChildProcess both = start_program("delay_client", {"name.invalid", "--selector=kqueue"});
  EXPECT_THAT(both.read_error_line().value_or(""), HasSubstr("kqueue"));
  EXPECT_EQ(both.wait().value_or(-1), 1);
  ChildProcess host = start_program("delay_client", {"name.invalid"});
  EXPECT_THAT(host.read_error_line().value_or(""), HasSubstr("name.invalid"));
  EXPECT_EQ(host.wait().value_or(-1), 1);
}

}  // namespace
}  // namespace examples
