// The delay server as a process, by what a client sees of it.

#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr std::string_view kDate =
    "date: [A-Z][a-z][a-z], [0-9]+ [A-Z][a-z][a-z] [0-9]+ [0-9:]+ GMT";

std::string get(std::string_view target, std::string_view headers = "") {
  return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: localhost\r\n", headers, "\r\n");
}

// An answer as a regular expression.
std::string answer(std::string_view status, std::string_view body,
                   std::string_view connection = "") {
  return absl::StrCat("HTTP/1\\.1 ", status, "\r\ncontent-length: ", body.size(), "\r\n",
                      connection, body.empty() ? "" : "content-type: text/plain; charset=utf-8\r\n",
                      kDate, "\r\n\r\n", body);
}

constexpr std::string_view kClose = "connection: close\r\n";

// The delay of an answer that is in flight when SIGTERM comes, in ms: longer than it takes to send
// that again where it may be kept back, see Server::ask_to_end().
#ifdef ABSL_HAVE_THREAD_SANITIZER
constexpr int kInFlight = 12'000;
#else
constexpr int kInFlight = 4'000;
#endif

class DelayServer : public ::testing::Test {
 protected:
  std::string ask(Client& client, std::string_view request) {
    client.send(request);
    return client.read_response();
  }
  std::string next_line() { return server_.process.read_line().value_or("none"); }

  Server server_{"delay_server", {"127.0.0.1", "--port=0", "--workers=2"}};
};

TEST_F(DelayServer, AnswersAfterTheDelay) {
  Client client(server_.address);
  const absl::Time start = absl::Now();
  EXPECT_THAT(ask(client, get("/50/hello%20world")), MatchesRegex(answer("200 OK", "hello world")));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(50));
  EXPECT_EQ(next_line(), "#1 - 50ms: hello world");
  EXPECT_EQ(body_of(ask(client, get("/0/a%2Fb+%FF?c=d"))), "a/b+\xEF\xBF\xBD");
  EXPECT_EQ(next_line(), "#2 - 0ms: a/b+\xEF\xBF\xBD");
}

TEST_F(DelayServer, PrintsItsLineBeforeTheWait) {
  Client client(server_.address);
  client.send(get("/18446744073709551615/one%0Aline"));
  EXPECT_EQ(next_line(), "#1 - 18446744073709551615ms: one\\nline");
}

TEST_F(DelayServer, DelaysHoldNothingElseUp) {
  std::vector<Client> slow;
  for (int i = 0; i < 20; ++i) slow.emplace_back(server_.address).send(get("/3600000/x"));
  for (int i = 0; i < 20; ++i) next_line();
  Client quick(server_.address);
  EXPECT_THAT(ask(quick, get("/1/quick")), MatchesRegex(answer("200 OK", "quick")));
}

TEST_F(DelayServer, AnswersPipelinedRequestsInOrderAndDelaysAddUp) {
  Client client(server_.address);
  const absl::Time start = absl::Now();
  client.send(get("/100/a") + get("/nix") + get("/0/b") + get("/60/c"));
  EXPECT_EQ(body_of(client.read_response()), "a");
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(body_of(client.read_response()), "b");
  EXPECT_EQ(body_of(client.read_response()), "c");
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(160));
}

TEST_F(DelayServer, TakesRequestsInPieces) {
  Client client(server_.address);
  for (const char c : get("/1/x")) ASSERT_TRUE(client.send({&c, 1}));
  EXPECT_EQ(body_of(client.read_response()), "x");
}

TEST_F(DelayServer, ClosesIfAsked) {
  Client client(server_.address);
  EXPECT_THAT(ask(client, get("/1/x", "Connection: close\r\n")),
              MatchesRegex(answer("200 OK", "x", kClose)));
  EXPECT_TRUE(client.is_at_end());
  Client other(server_.address);
  EXPECT_THAT(ask(other, get("/", "Connection: close\r\n")),
              MatchesRegex(answer("404 Not Found", "", kClose)));
  EXPECT_TRUE(other.is_at_end());
}

TEST_F(DelayServer, Http10ClosesUnlessItAsksToKeepAlive) {
  Client client(server_.address);
  const std::string keep = "GET /1/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  const std::string keeps = answer("200 OK", "x", "connection: keep-alive\r\n");
  EXPECT_THAT(ask(client, keep), MatchesRegex(keeps));
  EXPECT_THAT(ask(client, keep), MatchesRegex(keeps));
  EXPECT_THAT(ask(client, "GET /1/x HTTP/1.0\r\n\r\n"), MatchesRegex(answer("200 OK", "x")));
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(DelayServer, EverythingElseIsNotFound) {
  Client client(server_.address);
  for (const char* target : {"/", "/1000", "/1000/", "/1/a/b"}) {
    EXPECT_THAT(ask(client, get(target)), MatchesRegex(answer("404 Not Found", ""))) << target;
  }
  for (const char* method : {"HEAD", "POST", "DELETE"}) {
    EXPECT_THAT(ask(client, absl::StrCat(method, " /1/x HTTP/1.1\r\nHost: h\r\n\r\n")),
                MatchesRegex(answer("404 Not Found", "")))
        << method;
  }
  EXPECT_THAT(ask(client, get("/abc/x")),
              MatchesRegex(answer("404 Not Found", "can not parse \"abc\" to a u64")));
}

TEST_F(DelayServer, BodiesAreNoRequests) {
  Client client(server_.address);
  const std::string inner = get("/0/inner");
  const std::string post = "POST /1/x HTTP/1.1\r\nHost: localhost\r\n";
  client.send(absl::StrCat(post, "Content-Length: ", inner.size(), "\r\n\r\n", inner, post,
                           "Transfer-Encoding: chunked\r\n\r\n", absl::Hex(inner.size()), "\r\n",
                           inner, "\r\n0\r\n\r\n", get("/0/outer")));
  EXPECT_THAT(client.read_response(), MatchesRegex(answer("404 Not Found", "")));
  EXPECT_THAT(client.read_response(), MatchesRegex(answer("404 Not Found", "")));
  EXPECT_EQ(body_of(client.read_response()), "outer");
}

// RFC 9110, 10.1.1.
TEST_F(DelayServer, ABodyThatWaitsComesOnlyWhereItIsWanted) {
  Client client(server_.address);
  const std::string waits = "Expect: 100-continue\r\nContent-Length: 4\r\n";
  client.send(get("/0/x", waits));
  EXPECT_EQ(client.read_response(), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(body_of(ask(client, "body")), "x");
  client.send("POST /0/x HTTP/1.1\r\nHost: h\r\n" + waits + "\r\n");
  EXPECT_THAT(client.read_to_end(), MatchesRegex(answer("404 Not Found", "", kClose)));
  Client other(server_.address);
  other.send(get("/0/x", "Expect: cake\r\n"));
  EXPECT_THAT(other.read_to_end(), MatchesRegex(answer("417 Expectation Failed", "", kClose)));
}

TEST_F(DelayServer, RefusesWhatIsNoHttp) {
  Client client(server_.address);
  client.send("hello, is there anybody?\r\n\r\n" + get("/0/x"));
  EXPECT_THAT(client.read_to_end(), MatchesRegex(answer("400 Bad Request", "", kClose)));
  EXPECT_FALSE(client.was_reset());
  Client two_hosts(server_.address);
  two_hosts.send("GET /0/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  EXPECT_THAT(two_hosts.read_to_end(), MatchesRegex(answer("400 Bad Request", "", kClose)));
}

TEST_F(DelayServer, AnswersWhatCameBeforeTheNonsense) {
  Client client(server_.address);
  client.send(get("/1/x") + "nonsense\r\n\r\n");
  EXPECT_EQ(body_of(client.read_response()), "x");
  EXPECT_THAT(client.read_to_end(), MatchesRegex(answer("400 Bad Request", "", kClose)));
}

TEST_F(DelayServer, RefusesHeadsOver16KiB) {
  Client client(server_.address);
  client.send(get("/1/x", absl::StrCat("X: ", std::string(100'000, 'x'), "\r\n")));
  EXPECT_THAT(client.read_to_end(),
              MatchesRegex(answer("431 Request Header Fields Too Large", "", kClose)));
  EXPECT_FALSE(client.was_reset());
}

TEST_F(DelayServer, AnswersAfterTheClientsHalfClose) {
  Client client(server_.address);
  client.send(get("/30/x") + get("/1/y") + "GET /cut-off");
  client.half_close();
  EXPECT_EQ(body_of(client.read_response()), "x");
  EXPECT_EQ(body_of(client.read_response()), "y");
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(DelayServer, ResetsHarmNobodyElse) {
  Client good(server_.address);
  good.send(get("/100/good"));
  for (int i = 0; i < 20; ++i) {
    Client bad(server_.address);
    bad.send(get("/50/bad"));
    bad.reset();
  }
  EXPECT_EQ(body_of(good.read_response()), "good");
  EXPECT_EQ(server_.terminate(), 0);
}

// All that takes five seconds, at once.
TEST_F(DelayServer, WaitsFiveSecondsForARequest) {
  const absl::Time start = absl::Now();
  Client silent(server_.address);
  Client kept(server_.address);
  EXPECT_EQ(body_of(ask(kept, get("/0/x"))), "x");
  Client slow_head(server_.address);
  slow_head.send("GET /1/x HTTP/1.1\r\n");
  Client slow_body(server_.address);
  slow_body.send("POST /1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  Client busy(server_.address);
  busy.send(get("/6000/busy"));

  const std::string late = answer("408 Request Timeout", "", kClose);
  // Bytes that come in time do not move the deadline. The clock is one more client.
  Client clock(server_.address);
  absl::Time last_byte;
  for (int i = 0; i < 6; ++i) {
    last_byte = absl::Now();
    ASSERT_TRUE(slow_head.send("X: y\r\n"));
    EXPECT_EQ(body_of(ask(clock, get("/500/tick"))), "tick");
  }
  EXPECT_THAT(slow_head.read_to_end(), MatchesRegex(late));
  EXPECT_LT(absl::Now() - last_byte, absl::Seconds(5));
  EXPECT_THAT(slow_body.read_to_end(), MatchesRegex(late));
  EXPECT_TRUE(silent.is_at_end());
  EXPECT_TRUE(kept.is_at_end());
  const absl::Duration taken = absl::Now() - start;
  EXPECT_GE(taken, absl::Seconds(5));
  EXPECT_LT(taken, absl::Seconds(9));
  EXPECT_EQ(body_of(busy.read_response()), "busy");
}

TEST_F(DelayServer, RequestsWithoutEndAreLeftToTheSystem) {
  constexpr std::size_t kMuch = 256 << 20;
  Client client(server_.address);
  client.send(get("/3600000/x"));
  EXPECT_LT(client.send_until_stuck(get("/0/y"), kMuch), kMuch);
  EXPECT_LT(counter(server_.counters(), "bytes_in"), 128 << 10);
}

TEST_F(DelayServer, AnswersThatNobodyReadsArePausedNotBuffered) {
  constexpr std::size_t kMuch = 256 << 20;
  Client client(server_.address);
  EXPECT_LT(client.send_until_stuck(get("/"), kMuch), kMuch);
  EXPECT_LT(counter(server_.counters(), "queued_bytes"), 1 << 20);
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 404 "));
}

TEST_F(DelayServer, SigtermAnswersWhatIsInFlight) {
  Client idle(server_.address);
  Client kept(server_.address);
  EXPECT_EQ(body_of(ask(kept, get("/0/x"))), "x");
  Client in_flight(server_.address);
  in_flight.send(get(absl::StrCat("/", kInFlight, "/in-flight")));
  next_line();
  EXPECT_EQ(next_line(), absl::StrCat("#2 - ", kInFlight, "ms: in-flight"));

  server_.ask_to_end();
  EXPECT_TRUE(idle.is_at_end());
  EXPECT_TRUE(kept.is_at_end());
  EXPECT_TRUE(is_refused(server_.address));
  EXPECT_THAT(in_flight.read_to_end(), MatchesRegex(answer("200 OK", "in-flight", kClose)));
  EXPECT_EQ(server_.process.wait().value_or(-1), 0);
}

TEST_F(DelayServer, SigtermAnswersARequestThatHasBegun) {
  Client client(server_.address);
  Client clock(server_.address);
  client.send("GET /1/x HTTP/1.1\r\nHost: h\r\n");
  clock.send(get("/100/y"));
  EXPECT_EQ(body_of(clock.read_response()), "y");  // by now the half is there
  server_.ask_to_end();
  EXPECT_TRUE(clock.is_at_end());
  client.send("\r\n");
  EXPECT_THAT(client.read_to_end(), MatchesRegex(answer("200 OK", "x", kClose)));
  EXPECT_EQ(server_.process.wait().value_or(-1), 0);
}

TEST_F(DelayServer, AResetEndsTheWait) {
  Client client(server_.address);
  client.send(get("/3600000/x"));
  next_line();
  client.reset();
  EXPECT_EQ(server_.counter("handler_errors", 1), 1);
}

TEST_F(DelayServer, SigtermAnswersPipelinedRequestsToo) {
  Client client(server_.address);
  client.send(get(absl::StrCat("/", kInFlight, "/a")) + get("/0/b"));
  EXPECT_EQ(next_line(), absl::StrCat("#1 - ", kInFlight, "ms: a"));
  server_.ask_to_end();
  EXPECT_THAT(client.read_response(), MatchesRegex(answer("200 OK", "a")));
  EXPECT_THAT(client.read_to_end(), MatchesRegex(answer("200 OK", "b", kClose)));
  EXPECT_EQ(server_.process.wait().value_or(-1), 0);
}

TEST_F(DelayServer, ASecondSigtermEndsAtOnce) {
  Client client(server_.address);
  client.send(get("/18446744073709551615/x"));
  next_line();
  server_.ask_to_end();
  while (!is_refused(server_.address)) continue;  // the first one has been heard
  EXPECT_FALSE(server_.process.wait(absl::Milliseconds(300)).ok());
  server_.ask_to_end();
  EXPECT_TRUE(server_.process.wait().ok());
}

TEST_F(DelayServer, Sigusr1PrintsTheCounters) {
  Client client(server_.address);
  EXPECT_EQ(body_of(ask(client, get("/1/x"))), "x");
  EXPECT_THAT(server_.counters(), MatchesRegex("\\{.*\\}"));
  EXPECT_EQ(server_.counter("connections", 1), 1);
  EXPECT_EQ(server_.counter("accepts", 1), 1);
}

TEST_F(DelayServer, Sigusr1PrintsTheTasks) {
  Client client(server_.address);
  client.send(get("/3600000/x"));
  next_line();
  EXPECT_THAT(server_.counters(), StartsWith("{"));
  EXPECT_EQ(server_.process.read_error_line(), "tasks: 1");
  std::string tasks;
  while (!absl::StrContains(tasks, "Connection::peek")) {
    const auto line = server_.process.read_error_line();
    if (!line) break;
    tasks += *line + "\n";
  }
  EXPECT_THAT(tasks, ::testing::HasSubstr("serve_delays"));
  EXPECT_THAT(tasks, ::testing::HasSubstr("Connection::peek"));
}

// What curl makes of the arguments, an answer per URL; "none" where there is no curl.
std::string curl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"/usr/bin/curl", "-si", "--max-time", "10"});
  if (::access(arguments[0].c_str(), X_OK) != 0) return "none";
  auto process = ChildProcess::start(arguments);
  std::string text;
  while (const auto line = process->read_line()) absl::StrAppend(&text, *line, "\n");
  EXPECT_EQ(process->wait().value_or(-1), 0);
  return text;
}

TEST_F(DelayServer, CurlUnderstandsIt) {
  const std::string url = "http://" + server_.address;
  const std::string text = curl({url + "/20/hello%20curl"});
  if (text == "none") GTEST_SKIP() << "curl is not installed";
  EXPECT_THAT(text, MatchesRegex(answer("200 OK", "hello curl") + "\n"));
  EXPECT_THAT(curl({"--http1.0", url + "/1/x"}), MatchesRegex(answer("200 OK", "x") + "\n"));
  EXPECT_THAT(curl({"--http2", url + "/1/x"}), MatchesRegex(answer("200 OK", "x") + "\n"));
  EXPECT_THAT(curl({"-d", "body", url + "/1/x"}), MatchesRegex(answer("404 Not Found", "")));
  EXPECT_THAT(curl({"-I", url + "/1/x"}), MatchesRegex(answer("404 Not Found", "")));
  // The second one over the same connection.
  EXPECT_THAT(curl({url + "/1/a", url + "/1/b"}),
              MatchesRegex(answer("200 OK", "a") + answer("200 OK", "b") + "\n"));
  EXPECT_EQ(server_.counter("accepts", 6), 6);
}

TEST(DelayServerFill, ForcesPartialWrites) {
  Server server("delay_server", {"127.0.0.1", "--port=0", "--fill=8000005"});
  Client client(server.address);
  client.send(get("/1/x") + get("/1/y", "Connection: close\r\n"));
  const std::string first = body_of(client.read_response());
  EXPECT_EQ(first.size(), 5u + 8'000'005);
  EXPECT_EQ(first.substr(0, 20), "x -- HelloWorldHello");
  EXPECT_EQ(first.substr(first.size() - 10), "WorldHello");
  EXPECT_EQ(body_of(client.read_to_end()).size(), first.size());
}

TEST(DelayServerHost, BindsEveryAddress) {
  Server server("delay_server", {"--port=0"});  // localhost
  EXPECT_THAT(server.address, MatchesRegex("(127\\.0\\.0\\.1|\\[::1\\]):[0-9]+"));
  const std::string port = server.port();
  Client client("127.0.0.1:" + port);
  client.send(get("/0/x", "Connection: close\r\n"));
  EXPECT_EQ(body_of(client.read_to_end()), "x");
}

TEST(DelayServerHost, TakesIpv6) {
  ChildProcess process = start_program("delay_server", {"::1", "--port=0"});
  const std::string line = process.read_line().value_or("");
  if (line.empty()) GTEST_SKIP() << "no IPv6: " << process.read_error_line().value_or("");
  ASSERT_THAT(line, StartsWith("LISTEN [::1]:"));
  Client client(line.substr(7));
  client.send(get("/0/x"));
  EXPECT_EQ(body_of(client.read_response()), "x");
}

TEST(DelayServerHost, AddressOverridesHostAndPort) {
  Server server("delay_server", {"192.0.2.1", "--port=1", "--address=127.0.0.1:0"});
  EXPECT_THAT(server.address, StartsWith("127.0.0.1:"));
}

// Every way to run it answers the same.
class DelayServerFlags : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(DelayServerFlags, AnswersTheSame) {
  std::vector<std::string> arguments = {"--address=127.0.0.1:0"};
  arguments.insert(arguments.end(), GetParam().begin(), GetParam().end());
  Server server("delay_server", arguments);
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(server.address).send(get("/20/a") + get("/5/b"));
  }
  for (Client& client : clients) {
    EXPECT_THAT(client.read_response(), MatchesRegex(answer("200 OK", "a")));
    EXPECT_THAT(client.read_response(), MatchesRegex(answer("200 OK", "b")));
  }
  clients.clear();
  EXPECT_EQ(server.terminate(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, DelayServerFlags,
    ::testing::Values(std::vector<std::string>{"--dispatch=workers", "--selector=epoll"},
                      std::vector<std::string>{"--dispatch=workers", "--selector=poll"},
                      std::vector<std::string>{"--dispatch=poll_thread", "--selector=epoll"},
                      std::vector<std::string>{"--dispatch=poll_thread", "--selector=poll"},
                      std::vector<std::string>{"--reactors=2", "--workers=3"},
                      std::vector<std::string>{"--reactors=3", "--dispatch=poll_thread"}));

}  // namespace
}  // namespace examples
