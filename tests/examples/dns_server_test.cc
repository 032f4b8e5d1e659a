// examples/dns_server, by clients of both kinds, and by dig and dnsperf where the machine has them.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "examples/dns_message.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"
#include "tests/examples/tool.h"

namespace examples {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kZone = R"(
example.com.      3600 SOA ns.example.com. admin.example.com. 1 7200 900 86400 300
www.example.com.  300  A   192.0.2.1
)";

// Of one question, with `id`.
std::string query(std::string_view name, std::uint16_t type, std::size_t id = 1) {
  std::string bytes;
  append_16(bytes, id);
  bytes += "\1\0\0\1\0\0\0\0\0\0"sv;
  bytes += *parse_dns_name(name);
  append_16(bytes, type);
  append_16(bytes, 1);
  return bytes;
}

std::string with_length(const std::string& message) {
  std::string bytes;
  append_16(bytes, message.size());
  return bytes + message;
}

// A number of two bytes in an answer.
std::size_t number(const std::string& message, std::size_t at) {
  CHECK_GE(message.size(), at + 2);
  return static_cast<std::size_t>(static_cast<unsigned char>(message[at])) << 8 |
         static_cast<unsigned char>(message[at + 1]);
}
std::size_t code(const std::string& answer) { return number(answer, 2) & 0xF; }
bool is_cut(const std::string& answer) { return (number(answer, 2) & 0x200) != 0; }
std::size_t answers(const std::string& answer) { return number(answer, 6); }

class DnsServerTest : public testing::Test {
 protected:
  explicit DnsServerTest(std::string_view zone = kZone) { write(zone); }

  void write(std::string_view zone) const { std::ofstream(path_) << zone << std::flush; }

  // By UDP, from a port of its own.
  void send(std::string_view message) const {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(server().port())));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    PCHECK(::sendto(udp_.get(), message.data(), message.size(), 0,
                    reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0);
  }
  std::string receive() const {
    std::string answer(65536, '\0');
    const ssize_t size = ::recv(udp_.get(), answer.data(), answer.size(), 0);
    PCHECK(size >= 0);
    answer.resize(static_cast<std::size_t>(size));
    return answer;
  }
  std::string ask(std::string_view message) const {
    send(message);
    return receive();
  }

  Server& server() const {
    if (!server_)
      server_.emplace("dns_server", std::vector{std::string("--address=127.0.0.1:0"), path_});
    return *server_;
  }

  // Of stderr, up to the line with `text`.
  void expect_line(std::string_view text) const {
    while (auto line = server().process.read_error_line(absl::Seconds(20))) {
      if (absl::StrContains(*line, text)) return;
    }
    ADD_FAILURE() << "no line with " << text;
  }

 private:
  const std::string path_ = testing::TempDir() + "/zone";
  const epore::OwnedFd udp_ = [] {
    epore::OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval limit = {.tv_sec = 20, .tv_usec = 0};
    PCHECK(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    return fd;
  }();
  mutable std::optional<Server> server_;
};

std::string ask_by_tcp(Client& client, const std::string& message) {
  EXPECT_TRUE(client.send(with_length(message)));
  const std::string head = client.read_exactly(2);
  return client.read_exactly(number(head, 0));
}

TEST_F(DnsServerTest, AnswersByUdpAndTcpOnOnePort) {
  const std::string asked = query("www.example.com", kDnsA, 7);
  const std::string answer = ask(asked);
  EXPECT_EQ(number(answer, 0), 7u);
  EXPECT_EQ(code(answer), 0u);
  EXPECT_EQ(answers(answer), 1u);
  EXPECT_EQ(answer.substr(answer.size() - 4), "\xC0\0\2\1"sv);
  Client client(server().address);
  EXPECT_EQ(ask_by_tcp(client, asked), answer);
  EXPECT_EQ(code(ask(query("missing.example.com", kDnsA))), 3u);
  EXPECT_EQ(code(ask(query("example.org", kDnsA))), 5u);
  client.half_close();
  EXPECT_EQ(server().terminate(), 0);
}

TEST_F(DnsServerTest, WhatIsTooLongForADatagramComesByTcp) {
  std::string zone(kZone);
  for (int i = 0; i < 200; ++i) absl::StrAppend(&zone, "many.example.com. 300 A 192.0.2.", i, "\n");
  write(zone);
  const std::string asked = query("many.example.com", kDnsA);
  const std::string answer = ask(asked);
  EXPECT_TRUE(is_cut(answer));
  EXPECT_EQ(answers(answer), 0u);
  EXPECT_LE(answer.size(), 512u);
  Client client(server().address);
  const std::string whole = ask_by_tcp(client, asked);
  EXPECT_FALSE(is_cut(whole));
  EXPECT_EQ(answers(whole), 200u);
  client.half_close();
  EXPECT_EQ(server().terminate(), 0);
}

TEST_F(DnsServerTest, ASignalReadsTheZoneAgainAndABadOneChangesNothing) {
  const std::string asked = query("new.example.com", kDnsA);
  EXPECT_EQ(code(ask(asked)), 3u);
  write(absl::StrCat(kZone, "new.example.com. 300 A 192.0.2.9\n"));
  server().process.signal(SIGHUP);
  expect_line("3 records");
  EXPECT_EQ(answers(ask(asked)), 1u);
  write(absl::StrCat(kZone, "new.example.com. 300 A nonsense\n"));
  server().process.signal(SIGHUP);
  expect_line("zone: line 4: not an address: \"nonsense\"");
  EXPECT_EQ(answers(ask(asked)), 1u);
  EXPECT_EQ(server().terminate(), 0);
}

TEST_F(DnsServerTest, WhatIsNoQuestionHarmsNobody) {
  std::string an_answer = query("www.example.com", kDnsA);
  an_answer[2] = '\x81';
  for (const std::string& bad :
       {std::string(), std::string("short"), an_answer, std::string(5'000, 'x')}) {
    send(bad);
  }
  EXPECT_EQ(answers(ask(query("www.example.com", kDnsA))), 1u) << "the first answer that comes";
  EXPECT_EQ(code(ask(query("www.example.com", kDnsA) + "x")), 1u);
  {
    Client client(server().address);
    ASSERT_TRUE(client.send(with_length("short")));
    EXPECT_TRUE(client.is_at_end());
    client.half_close();
  }
  {
    Client client(server().address);
    ASSERT_TRUE(client.send("\0"sv));
    client.half_close();
    EXPECT_TRUE(client.is_at_end());
  }
  EXPECT_EQ(server().terminate(), 0);
}

TEST_F(DnsServerTest, AClientByTcpMayAskBeforeItIsAnswered) {
  Client client(server().address);
  std::string all;
  for (std::size_t id = 0; id < 100; ++id) all += with_length(query("www.example.com", kDnsA, id));
  ASSERT_TRUE(client.send(all));
  for (std::size_t id = 0; id < 100; ++id) {
    const std::string answer = client.read_exactly(number(client.read_exactly(2), 0));
    EXPECT_EQ(number(answer, 0), id);
  }
  client.half_close();
  EXPECT_TRUE(client.is_at_end());
  EXPECT_EQ(server().terminate(), 0);
}

// Also if it has told that it asks no more.
TEST_F(DnsServerTest, AClientByTcpThatHasAskedGetsAllAnswers) {
  constexpr std::size_t kMany = 4000;
  Client client(server().address);
  const int little = 4096;  // so that most of them wait at the server
  ASSERT_EQ(::setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
  const std::string asked = query("www.example.com", kDnsA);
  const std::string answer = with_length(ask_by_tcp(client, asked));
  std::string all;
  for (std::size_t i = 0; i < kMany; ++i) all += with_length(asked);
  ASSERT_TRUE(client.send(all));
  client.half_close();
  EXPECT_EQ(client.read_to_end().size(), kMany * answer.size());
  EXPECT_FALSE(client.was_reset());
}

TEST_F(DnsServerTest, ABadZoneIsToldAtTheStart) {
  const std::string path = testing::TempDir() + "/bad_zone";
  std::ofstream(path) << "example.com. x A 1.2.3.4\n" << std::flush;
  ChildProcess process = start_program("dns_server", {"--address=127.0.0.1:0", path});
  const auto line = process.read_error_line(absl::Seconds(20));
  EXPECT_TRUE(line && absl::StrContains(*line, "bad_zone: line 1: not a number"))
      << line.value_or("");
  EXPECT_EQ(process.wait().value_or(-1), 1);
}

// The words of a text, with one blank between them.
std::string words(std::string_view text) {
  return absl::StrJoin(absl::StrSplit(text, absl::ByAnyChar(" \t\n"), absl::SkipEmpty()), " ");
}

TEST_F(DnsServerTest, TalksWithDig) {
  const Tool dig("dig");
  if (dig.is_missing()) GTEST_SKIP() << dig.why_missing();
  std::string zone(kZone);
  for (int i = 0; i < 200; ++i) absl::StrAppend(&zone, "many.example.com. 300 A 192.0.2.", i, "\n");
  absl::StrAppend(
      &zone, "example.com. 300 MX 10 mail.example.com.\n",
      "_http._tcp.example.com. 300 SRV 10 60 8080 www.example.com.\n",
      "alias.example.com. 300 CNAME www.example.com.\n",
      "www.example.com. 300 TXT \"two words\" one\n",
      "*.pages.example.com. 300 CNAME www.example.com.\n",
      "*.example.com. 300 MX 20 spare.example.com.\n",
      "lab.example.com. 300 NS ns.lab.example.com.\n", "lab.example.com. 300 NS ns.example.org.\n",
      "ns.lab.example.com. 300 A 192.0.2.53\n", "ns.lab.example.com. 300 AAAA 2001:db8::53\n",
      "web.example.com. 300 CNAME www.lab.example.com.\n");
  write(zone);
  const auto ask = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"@127.0.0.1", "-p", server().port(), "+tries=1"});
    return dig.run(arguments).output;
  };
  EXPECT_EQ(ask({"+short", "www.example.com"}), "192.0.2.1\n");
  EXPECT_EQ(ask({"+short", "+tcp", "www.example.com"}), "192.0.2.1\n");
  EXPECT_EQ(ask({"+short", "+noedns", "WWW.Example.Com"}), "192.0.2.1\n");
  EXPECT_EQ(ask({"+short", "alias.example.com"}), "www.example.com.\n192.0.2.1\n");
  EXPECT_EQ(ask({"+short", "example.com", "MX"}), "10 mail.example.com.\n");
  EXPECT_EQ(ask({"+short", "_http._tcp.example.com", "SRV"}), "10 60 8080 www.example.com.\n");
  EXPECT_EQ(ask({"+short", "www.example.com", "TXT"}), "\"two words\" \"one\"\n");
  EXPECT_EQ(ask({"+short", "example.com", "SOA"}),
            "ns.example.com. admin.example.com. 1 7200 900 86400 300\n");
  const std::string many = ask({"many.example.com"});
  EXPECT_TRUE(absl::StrContains(many, "Truncated, retrying in TCP mode")) << many;
  EXPECT_TRUE(absl::StrContains(many, "ANSWER: 200")) << many;
  EXPECT_EQ(ask({"+short", "any.example.com", "MX"}), "20 spare.example.com.\n");
  EXPECT_EQ(ask({"+short", "a.b.Pages.example.com"}), "www.example.com.\n192.0.2.1\n");
  const std::string wild = ask({"+noall", "+answer", "any.example.com", "MX"});
  EXPECT_TRUE(absl::StartsWith(wild, "any.example.com.")) << wild;
  const std::string no_type = ask({"any.example.com"});
  EXPECT_TRUE(absl::StrContains(no_type, "status: NOERROR")) << no_type;
  EXPECT_TRUE(absl::StrContains(no_type, "ANSWER: 0, AUTHORITY: 1")) << no_type;
  const std::string lab = ask({"x.lab.example.com"});
  EXPECT_TRUE(absl::StrContains(lab, "status: NOERROR")) << lab;
  EXPECT_TRUE(absl::StrContains(lab, "flags: qr rd;")) << lab;
  EXPECT_TRUE(absl::StrContains(lab, "ANSWER: 0, AUTHORITY: 2, ADDITIONAL: 3")) << lab;
  EXPECT_EQ(words(ask({"+noall", "+authority", "+additional", "x.lab.example.com"})),
            "lab.example.com. 300 IN NS ns.lab.example.com. "
            "lab.example.com. 300 IN NS ns.example.org. "
            "ns.lab.example.com. 300 IN A 192.0.2.53 "
            "ns.lab.example.com. 300 IN AAAA 2001:db8::53");
  const std::string web = ask({"web.example.com"});
  EXPECT_TRUE(absl::StrContains(web, "flags: qr aa rd;")) << web;
  EXPECT_TRUE(absl::StrContains(web, "ANSWER: 1, AUTHORITY: 2, ADDITIONAL: 3")) << web;
  const std::string missing = ask({"missing.www.example.com"});
  EXPECT_TRUE(absl::StrContains(missing, "status: NXDOMAIN")) << missing;
  EXPECT_TRUE(absl::StrContains(missing, "flags: qr aa rd;")) << missing;
  EXPECT_TRUE(absl::StrContains(ask({"example.org"}), "status: REFUSED"));
  EXPECT_TRUE(absl::StrContains(ask({"+edns=1", "+noednsneg", "example.com"}), "status: BADVERS"));
  EXPECT_TRUE(absl::StrContains(ask({"+opcode=UPDATE", "example.com"}), "status: NOTIMP"));
  EXPECT_EQ(server().terminate(), 0);
}

TEST_F(DnsServerTest, AnswersAllThatDnsperfAsks) {
  const Tool dnsperf("dnsperf");
  if (dnsperf.is_missing()) GTEST_SKIP() << dnsperf.why_missing();
  write(absl::StrCat(kZone, "*.example.com. 300 A 192.0.2.2\n",
                     "lab.example.com. 300 NS ns.lab.example.com.\n"));
  const std::string questions = testing::TempDir() + "/questions";
  std::ofstream(questions) << "www.example.com A\nany.example.com A\nany.example.com MX\n"
                              "x.lab.example.com A\nx.www.example.com A\n";
  for (const char* mode : {"udp", "tcp"}) {
    const Tool::Result result =
        dnsperf.run({"-s", "127.0.0.1", "-p", server().port(), "-d", questions, "-m", mode, "-e",
                     "-c", "10", "-n", "2000", "-t", "20"});
    EXPECT_EQ(result.exit_code, 0);
    const std::string counts = words(result.output);
    EXPECT_TRUE(absl::StrContains(counts, "Queries completed: 10000 (100.00%)")) << result.output;
    EXPECT_TRUE(absl::StrContains(counts, "NOERROR 8000 (80.00%), NXDOMAIN 2000 (20.00%)"))
        << result.output;
  }
  EXPECT_EQ(server().terminate(), 0);
}

}  // namespace
}  // namespace examples
