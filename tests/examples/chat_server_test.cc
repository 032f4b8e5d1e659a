// examples/chat_server.cc, by clients that talk.

#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"
#include "tests/examples/tool.h"

namespace examples {
namespace {

class ChatServerTest : public testing::TestWithParam<std::string> {
 protected:
  Server server_{"chat_server",
                 {"--address=127.0.0.1:0", "--workers=2", "--reactors=2",
                  absl::StrCat("--dispatch=", GetParam())}};
};

INSTANTIATE_TEST_SUITE_P(Everywhere, ChatServerTest,
                         testing::Values("adaptive", "workers", "poll_thread"),
                         [](const auto& info) { return info.param; });

void expect(Client& client, const std::string& text) {
  EXPECT_EQ(client.read_exactly(text.size()), text);
}

TEST_P(ChatServerTest, EveryLineGoesToAllAndSoDoComingAndGoing) {
  Client ann(server_.address);
  ASSERT_TRUE(ann.send("ann\n"));
  expect(ann, "* ann enters\n");
  {
    Client ben(server_.address);
    ASSERT_TRUE(ben.send("ben\nhe"));
    expect(ben, "* ben enters\n");
    expect(ann, "* ben enters\n");
    ASSERT_TRUE(ben.send("llo\nall\n"));
    expect(ben, "ben: hello\nben: all\n");
    expect(ann, "ben: hello\nben: all\n");
    ben.half_close();
    EXPECT_TRUE(ben.is_at_end());
  }
  expect(ann, "* ben leaves\n");
  ann.half_close();
  EXPECT_TRUE(ann.is_at_end());
  EXPECT_EQ(server_.terminate(), 0);
}

TEST_P(ChatServerTest, ALineThatDoesNotEndIsTheEnd) {
  Client client(server_.address);
  ASSERT_TRUE(client.send(std::string(4096, 'x')));
  EXPECT_EQ(client.read_to_end(), "* a line has at most 4096 bytes\n");
  EXPECT_FALSE(client.was_reset());
  client.half_close();
  EXPECT_EQ(server_.terminate(), 0);
}

TEST(ChatServerFlags, AClientWithoutANameIsNotWaitedFor) {
  Server server("chat_server", {"--address=127.0.0.1:0", "--patience=100ms"});
  Client silent(server.address);
  Client half(server.address);
  ASSERT_TRUE(half.send("ann"));
  for (Client* client : {&silent, &half}) {
    EXPECT_EQ(client->read_to_end(), "* it takes too long\n");
    EXPECT_FALSE(client->was_reset());
  }
  ChildProcess process = start_program("chat_server", {"--patience=-1s"});
  EXPECT_TRUE(absl::StrContains(process.read_error_line().value_or(""), "--patience"));
  EXPECT_EQ(process.wait().value_or(-1), 1);
}

TEST(ChatServerFlags, AClientThatIsIdleIsEnded) {
  Server server("chat_server", {"--address=127.0.0.1:0", "--idle-timeout=100ms"});
  Client silent(server.address);
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_EQ(server.counter("connections", 0), 0);
  ChildProcess process = start_program("chat_server", {"--idle-timeout=0"});
  EXPECT_TRUE(absl::StrContains(process.read_error_line().value_or(""), "--idle-timeout"));
  EXPECT_EQ(process.wait().value_or(-1), 1);
}

TEST_P(ChatServerTest, ANameIsOneWordThatNobodyElseHas) {
  Client ann(server_.address);
  ASSERT_TRUE(ann.send("ann\r\n"));
  expect(ann, "* ann enters\n");
  Client other(server_.address);
  for (const std::string& bad : {std::string(), std::string("two words"), std::string(33, 'x')}) {
    ASSERT_TRUE(other.send(bad + "\n"));
    expect(other, "* a name is one word of 1 to 32 bytes\n");
  }
  ASSERT_TRUE(other.send("ann\n"));
  expect(other, "* ann is here already, take another name\n");
  ASSERT_TRUE(other.send("a\x1b[2Jb\n/who\n"));
  expect(other, "* a\\x1b[2Jb enters\n* a\\x1b[2Jb ann\n");
  expect(ann, "* a\\x1b[2Jb enters\n");
  ASSERT_TRUE(other.send("b\xff\n/quit\n"));
  expect(ann, "a\\x1b[2Jb: b\xEF\xBF\xBD\n* a\\x1b[2Jb leaves\n");
  ASSERT_TRUE(ann.send("\xC2\x9B\x32J\n"));  // the same escape sequence in one character
  expect(ann, "ann: \\u009b2J\n");
  other.half_close();
  ann.half_close();
  EXPECT_EQ(server_.terminate(), 0);
}

// It gets what was on its way and the reason, and the others do not wait for it.
TEST_P(ChatServerTest, WhoReadsTooSlowlyIsToldSoAndLeaves) {
  Client ann(server_.address);
  ASSERT_TRUE(ann.send("ann\n"));
  expect(ann, "* ann enters\n");
  Client ben(server_.address);
  ASSERT_TRUE(ben.send("ben\n"));
  expect(ben, "* ben enters\n");
  const std::string line(4000, 'x');
  const std::string heard = absl::StrCat("ben: ", line, "\n");
  const std::string leaves = "* ann reads too slowly and leaves\n";
  std::string told;
  int lines = 0;
  for (; told.empty() && lines < 10'000; ++lines) {
    ASSERT_TRUE(ben.send(line + "\n"));
    const std::string next = ben.read_exactly(1);
    if (next == "*") {  // it comes before the line that was too much for ann, or behind it
      told = absl::StrCat(next, ben.read_exactly(leaves.size() - 1));
      expect(ben, heard);
    } else {
      EXPECT_EQ(next + ben.read_exactly(heard.size() - 1), heard);
    }
  }
  EXPECT_EQ(told, leaves);
  ASSERT_TRUE(ben.send("/who\n"));
  expect(ben, "* ben\n");
  const std::string rest = ann.read_to_end();
  EXPECT_FALSE(ann.was_reset());
  EXPECT_TRUE(absl::EndsWith(rest, absl::StrCat(line, "\n* you read too slowly\n")));
  EXPECT_GT(rest.size(), 256u * 1024);
  ann.half_close();
  ben.half_close();
  EXPECT_EQ(server_.terminate(), 0);
}

// A client without a name, and a member.
TEST_P(ChatServerTest, WhoAsksAndDoesNotReadIsHeldUp) {
  const std::string name(32, 'x');
  const std::string enters = absl::StrCat("* ", name, " enters\n");
  const std::string bad = "* a name is one word of 1 to 32 bytes\n";
  for (const bool is_member : {false, true}) {
    Client client(server_.address);
    if (is_member) {
      ASSERT_TRUE(client.send(name + "\n"));
      expect(client, enters);
    }
    (void)client.send_until_stuck(is_member ? "/who\n" : "\n", 6'000'000);
    EXPECT_LT(counter(server_.counters(), "queued_bytes"), 1'000'000);
    const std::string answer = is_member ? absl::StrCat("* ", name, "\n") : bad;
    for (int i = 0; i < 20'000; ++i) ASSERT_EQ(client.read_exactly(answer.size()), answer);
    EXPECT_FALSE(client.was_reset());
  }
}

// All hear all in one sequence, as the room's order says it.
TEST_P(ChatServerTest, AllHearTheSame) {
  constexpr int kTalkers = 8;
  constexpr int kLines = 50;
  std::vector<std::unique_ptr<Client>> talkers;
  for (int i = 0; i < kTalkers; ++i) {
    talkers.push_back(std::make_unique<Client>(server_.address));
    ASSERT_TRUE(talkers.back()->send(absl::StrCat(i, "\n")));
    const std::string enters = absl::StrCat("* ", i, " enters\n");
    for (const std::unique_ptr<Client>& talker : talkers) expect(*talker, enters);
  }
  for (int line = 0; line < kLines; ++line) {
    for (const std::unique_ptr<Client>& talker : talkers) ASSERT_TRUE(talker->send("hello\n"));
  }
  const std::size_t size = kTalkers * kLines * std::string("0: hello\n").size();
  const std::string heard = talkers[0]->read_exactly(size);
  EXPECT_EQ(heard.size(), size);
  for (const std::unique_ptr<Client>& talker : talkers) {
    if (talker == talkers[0]) continue;
    EXPECT_EQ(talker->read_exactly(size), heard);
  }
  talkers.clear();
  EXPECT_EQ(server_.terminate(), 0);
}

// A server that listens on TCP and on a Unix socket.
struct TwoDoors {
  TwoDoors() : server("chat_server", {"--address=127.0.0.1:0", "unix:" + path}) {
    EXPECT_EQ(server.process.read_line().value_or(""), "LISTEN unix:" + path);
  }
  ~TwoDoors() {
    ::unlink(path.c_str());
    ::rmdir(path.substr(0, path.rfind('/')).c_str());
  }

  // Short, as the path of a socket must be.
  static std::string make_path() {
    std::string folder = "/tmp/chat.XXXXXX";
    CHECK(::mkdtemp(folder.data()) != nullptr);
    return folder + "/sock";
  }

  const std::string path = make_path();
  Server server;
};

TEST(ChatServerDoorsTest, ACrowdOfAThousandTalksOverTcpAndUnixSockets) {
  constexpr std::size_t kCrowd = 1'000;
  TwoDoors doors;
  std::vector<std::unique_ptr<Client>> crowd;
  const auto enters = [](std::size_t i) { return absl::StrCat("* guest", i, " enters\n"); };
  for (std::size_t i = 0; i < kCrowd; ++i) {
    crowd.push_back(
        std::make_unique<Client>(i % 2 == 0 ? doors.server.address : "unix:" + doors.path));
    ASSERT_TRUE(crowd[i]->send(absl::StrCat("guest", i, "\n")));
    expect(*crowd[i], enters(i));
  }
  std::string later;
  for (std::size_t i = kCrowd; i-- > 0;) {
    EXPECT_TRUE(crowd[i]->read_exactly(later.size()) == later) << i;
    later = enters(i) + later;
  }
  const std::string line(1'000, 'x');
  for (const std::size_t talker : {0, 1, 999}) {
    ASSERT_TRUE(crowd[talker]->send(line + "\n"));
    const std::string heard = absl::StrCat("guest", talker, ": ", line, "\n");
    for (std::size_t i = 0; i < kCrowd; ++i) {
      ASSERT_TRUE(crowd[i]->read_exactly(heard.size()) == heard) << i;
    }
  }
  crowd.clear();
  EXPECT_EQ(doors.server.counter("connections", 0), 0);
  EXPECT_EQ(doors.server.terminate(), 0);
}

// They have got the same, so the same line is too much for all of them. None is told of another one
// that leaves with it.
TEST(ChatServerDoorsTest, ThoseThatReadTooSlowlyLeaveTogether) {
  TwoDoors doors;
  Client talker("unix:" + doors.path);
  ASSERT_TRUE(talker.send("talker\n"));
  expect(talker, "* talker enters\n");
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 5; ++i) {
    slow.push_back(std::make_unique<Client>("unix:" + doors.path));
    const std::string enters = absl::StrCat("* slow", i, " enters\n");
    ASSERT_TRUE(slow.back()->send(absl::StrCat("slow", i, "\n")));
    for (const std::unique_ptr<Client>& client : slow) expect(*client, enters);
    expect(talker, enters);
  }
  const std::string line(4000, 'x');
  const std::string everybody = "* slow0 slow1 slow2 slow3 slow4 talker\n";
  const auto leaves = [](int i) {
    return absl::StrCat("* slow", i, " reads too slowly and leaves\n");
  };
  std::string next = everybody;
  for (int lines = 0; next == everybody && lines < 10'000; ++lines) {
    ASSERT_TRUE(talker.send(line + "\n/who\n"));
    expect(talker, absl::StrCat("talker: ", line, "\n"));
    next = talker.read_exactly(leaves(0).size());
    if (next != leaves(0)) next += talker.read_exactly(everybody.size() - next.size());
  }
  EXPECT_EQ(next, leaves(0));
  for (int i = 1; i < 5; ++i) expect(talker, leaves(i));
  expect(talker, "* talker\n");
  for (const std::unique_ptr<Client>& client : slow) {
    const std::string rest = client->read_to_end();
    EXPECT_TRUE(absl::EndsWith(rest, "x\n* you read too slowly\n"));
    EXPECT_FALSE(absl::StrContains(rest, "leaves"));
  }
}

TEST(ChatServerDoorsTest, TalksWithNetcat) {
  const Tool netcat("nc");
  if (netcat.is_missing()) GTEST_SKIP() << netcat.why_missing();
  TwoDoors doors;
  for (const std::string& where : {"127.0.0.1 " + doors.server.port(), "-U " + doors.path}) {
    const Tool::Result talk =
        Tool("sh").run({"-c", "printf 'nat\\nhello\\n/quit\\n' | nc " + where});
    EXPECT_EQ(talk.output, "* nat enters\nnat: hello\n") << where;
    EXPECT_EQ(talk.exit_code, 0) << where;
  }
  EXPECT_EQ(doors.server.terminate(), 0);
}

}  // namespace
}  // namespace examples
