// examples/kv_server.cc, by sockets and by Redis' own clients.

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"
#include "tests/examples/tool.h"

namespace examples {
namespace {

#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

class KvServer : public testing::Test {
 protected:
  explicit KvServer(std::vector<std::string> flags = {})
      : server_("kv_server", [&] {
          flags.push_back("--address=127.0.0.1:0");
          return flags;
        }()) {}

  Server server_;
  Client client_{server_.address};
};

std::string bulk(std::string_view text) {
  return absl::StrCat("$", text.size(), "\r\n", text, "\r\n");
}

std::string request(const std::vector<std::string>& arguments) {
  std::string text = absl::StrCat("*", arguments.size(), "\r\n");
  for (const std::string& argument : arguments) text += bulk(argument);
  return text;
}

// The memory of a process, in bytes.
std::size_t resident(int pid) {
  std::ifstream statm(absl::StrCat("/proc/", pid, "/statm"));
  std::size_t size = 0;
  std::size_t pages = 0;
  statm >> size >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// How many bytes have come that nobody has received.
int waiting(const Client& client) {
  int count = -1;
  EXPECT_EQ(::ioctl(client.fd(), FIONREAD, &count), 0);
  return count;
}

void expect(Client& client, std::string_view reply) {
  EXPECT_EQ(client.read_exactly(reply.size()), reply);
}

// Up to the end of the line.
std::string read_line(Client& client) {
  std::string line;
  do {
    const std::string next = client.read_exactly(1);
    if (next.empty()) break;
    line += next;
  } while (line.back() != '\n');
  return line;
}

void ask(Client& client, std::string_view line, std::string_view reply) {
  ASSERT_TRUE(client.send(absl::StrCat(line, "\r\n")));
  SCOPED_TRACE(line);
  expect(client, reply);
}

TEST_F(KvServer, KeepsKeys) {
  ask(client_, "PING", "+PONG\r\n");
  ask(client_, "ping hello", bulk("hello"));
  ask(client_, "ECHO hello", bulk("hello"));
  ask(client_, "GET a", "$-1\r\n");
  ask(client_, "SET a 1", "+OK\r\n");
  ask(client_, "GET a", bulk("1"));
  ask(client_, "INCR a", ":2\r\n");
  ask(client_, "INCR b", ":1\r\n");
  ask(client_, "SET a x NX", "$-1\r\n");
  ask(client_, "SET c x NX", "+OK\r\n");
  ask(client_, "SET d x XX", "$-1\r\n");
  ask(client_, "EXISTS a b c d a", ":4\r\n");
  ask(client_, "MSET d 4 e 5", "+OK\r\n");
  ask(client_, "MGET a nothing e", "*3\r\n" + bulk("2") + "$-1\r\n" + bulk("5"));
  ask(client_, "DBSIZE", ":5\r\n");
  ask(client_, "KEYS [a]", "*1\r\n" + bulk("a"));
  ask(client_, "DEL a b nothing", ":2\r\n");
  ask(client_, "DBSIZE", ":3\r\n");
  ask(client_, "FLUSHDB", "+OK\r\n");
  ask(client_, "KEYS *", "*0\r\n");
  client_.half_close();
  EXPECT_EQ(server_.terminate(), 0);
}

TEST_F(KvServer, RefusesWhatIsWrong) {
  ask(client_, "nonsense a b",
      "-ERR unknown command 'nonsense', with args beginning with: 'a' 'b' \r\n");
  ask(client_, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
  ask(client_, "mset a", "-ERR wrong number of arguments for 'mset' command\r\n");
  ask(client_, "mset a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
  ask(client_, "SET a x", "+OK\r\n");
  ask(client_, "INCR a", "-ERR value is not an integer or out of range\r\n");
  ask(client_, "SET a 9223372036854775807", "+OK\r\n");
  ask(client_, "INCR a", "-ERR increment or decrement would overflow\r\n");
  ask(client_, "SET a x NX XX", "-ERR syntax error\r\n");
  ask(client_, "SET a x EX", "-ERR syntax error\r\n");
  ask(client_, "SET a x EX y", "-ERR value is not an integer or out of range\r\n");
  ask(client_, "SET a x EX 0", "-ERR invalid expire time in 'set' command\r\n");
  ask(client_, "SET a x PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n");
  ask(client_, "EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n");
  ask(client_, "SELECT 1", "-ERR DB index is out of range\r\n");
}

TEST_F(KvServer, KeysEndAtTheirDeadline) {
  ask(client_, "TTL a", ":-2\r\n");
  ask(client_, "SET a x", "+OK\r\n");
  ask(client_, "TTL a", ":-1\r\n");
  ask(client_, "EXPIRE a 1000\r\nTTL a", ":1\r\n:1000\r\n");  // in one go: the clock runs
  ask(client_, "SET a x", "+OK\r\n");
  ask(client_, "TTL a", ":-1\r\n");
  ask(client_, "EXPIRE a -1", ":1\r\n");
  ask(client_, "EXPIRE a 1000", ":0\r\n");
  ask(client_, "SET a x EX 1000", "+OK\r\n");
  ask(client_, "INCR b", ":1\r\n");
  ask(client_, "EXPIRE b 1000\r\nINCR b\r\nTTL b", ":1\r\n:2\r\n:1000\r\n");
  std::string requests;
  std::string replies;
  for (int i = 0; i < 3000; ++i) {  // more than are removed at once
    requests += request({"SET", absl::StrCat("key", i), "x", "PX", "1"});
    replies += "+OK\r\n";
  }
  ASSERT_TRUE(client_.send(requests));
  expect(client_, replies);
  std::string size;
  do {  // nobody looks at the keys
    ASSERT_TRUE(client_.send("DBSIZE\r\n"));
    size = read_line(client_);
  } while (size != ":2\r\n" && !size.empty());
  ask(client_, "GET key1", "$-1\r\n");
}

TEST_F(KvServer, AnswersAPipeline) {
  std::string requests;
  std::string replies;
  for (int i = 0; i < 20000; ++i) {
    const std::string key = absl::StrCat("key", i % 100);
    const std::string value(static_cast<std::size_t>(i % 300), 'x');
    requests += request({"SET", key, value}) + request({"GET", key});
    replies += "+OK\r\n" + bulk(value);
    if (i % 1000 == 999) {
      ASSERT_TRUE(client_.send(requests));
      expect(client_, replies);
      requests.clear();
      replies.clear();
    }
  }
}

TEST_F(KvServer, TakesRequestsInPieces) {
  for (const char c : request({"SET", "a", "b"})) ASSERT_TRUE(client_.send({&c, 1}));
  expect(client_, "+OK\r\n");
  const std::string large(1'000'000, 'x');
  ASSERT_TRUE(client_.send(request({"SET", "a", large}) + request({"GET", "a"})));
  expect(client_, "+OK\r\n" + bulk(large));
}

// As many as a request has room for, without a look at each byte again and again.
TEST_F(KvServer, TakesManyArguments) {
  constexpr std::size_t kMany = 150'000;
  std::string all = absl::StrCat("*", kMany + 1, "\r\n$4\r\nMGET\r\n");
  std::string nothing = absl::StrCat("*", kMany, "\r\n");
  for (std::size_t i = 0; i < kMany; ++i) {
    all += "$0\r\n\r\n";
    nothing += "$-1\r\n";
  }
  ASSERT_TRUE(client_.send(all));
  EXPECT_TRUE(client_.read_exactly(nothing.size()) == nothing);
}

// A web page may send a browser here, and name the commands in the body.
TEST_F(KvServer, RunsNoCommandsOfABrowser) {
  ask(client_, "SET a 1", "+OK\r\n");
  for (const char* head : {"POST / HTTP/1.1\r\n", "OPTIONS / HTTP/1.1\r\nHost: localhost\r\n"}) {
    Client browser(server_.address);
    ASSERT_TRUE(browser.send(absl::StrCat(head, "\r\nFLUSHDB\r\n")));
    EXPECT_FALSE(absl::StrContains(browser.read_to_end(), "+OK")) << head;
  }
  ask(client_, "GET a", bulk("1"));
}

TEST_F(KvServer, RefusesAPatternThatTakesTooLong) {
  ASSERT_TRUE(client_.send(request({"SET", std::string(400'000, 'a'), "x"})));
  expect(client_, "+OK\r\n");
  ASSERT_TRUE(client_.send(request({"KEYS", "*" + std::string(200'000, 'a') + "b"})));
  expect(client_, "-ERR the pattern takes too long\r\n");
}

// Its replies come as they are made, and others get theirs between them.
TEST_F(KvServer, APipelineOfLongCommandsHoldsUpNobody) {
  std::vector<std::string> keys = {"MSET"};
  for (int i = 0; i < 40'000; ++i) keys.insert(keys.end(), {absl::StrCat("key", i), "x"});
  ASSERT_TRUE(client_.send(request(keys)));
  expect(client_, "+OK\r\n");
  constexpr int kMany = 20'000;  // much more than the server gets done in a moment
  Client greedy(server_.address);
  std::string all;
  for (int i = 0; i < kMany; ++i) all += "KEYS x\r\n";
  ASSERT_TRUE(greedy.send(all));
  char first[4];
  ASSERT_EQ(::recv(greedy.fd(), first, sizeof first, MSG_WAITALL), 4);
  ask(client_, "PING", "+PONG\r\n");
  EXPECT_LT(waiting(greedy), (kMany - 1) * 4);
  greedy.reset();  // the rest would take long
}

TEST_F(KvServer, AnswersBeforeAProtocolError) {
  ASSERT_TRUE(client_.send("PING\r\n*1\r\n$x\r\nPING\r\n"));
  EXPECT_EQ(client_.read_to_end(), "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n");
  EXPECT_FALSE(client_.was_reset());
}

TEST_F(KvServer, QuitEnds) {
  ASSERT_TRUE(client_.send("QUIT\r\nPING\r\n"));
  EXPECT_EQ(client_.read_to_end(), "+OK\r\n");
  EXPECT_FALSE(client_.was_reset());
}

TEST_F(KvServer, AnswersBeforeTheClientsEnd) {
  ASSERT_TRUE(client_.send("PING\r\nPING"));
  client_.half_close();
  EXPECT_EQ(client_.read_to_end(), "+PONG\r\n");
}

// A client that asks for much and reads nothing is held up, and needs no more memory. The requests
// that it could send are answered when it reads.
TEST_F(KvServer, HoldsUpAClientThatDoesNotRead) {
  const std::string value(500'000, 'x');
  ASSERT_TRUE(client_.send(request({"SET", "a", value})));
  expect(client_, "+OK\r\n");
  Client greedy(server_.address);
  const std::string get = request({"GET", "a"});
  const std::size_t sent = greedy.send_until_stuck(get, get.size() * 1'000'000);
  EXPECT_LT(sent, get.size() * 1'000'000);
  ask(client_, "PING", "+PONG\r\n");
  for (int i = 0; i < 20; ++i) expect(greedy, bulk(value));
}

// A long reply is made while the client takes it: those who ask and do not read need no more memory
// than one value each.
TEST_F(KvServer, ManyClientsThatDoNotReadLongRepliesTakeLittleMemory) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer has malloc(), and keeps what is freed";
  const std::string value(1'000'000, 'x');
  ASSERT_TRUE(client_.send(request({"SET", "a", value})));
  expect(client_, "+OK\r\n");
  const std::size_t before = resident(server_.process.pid());
  std::vector<std::unique_ptr<Client>> greedy;
  for (int i = 0; i < 40; ++i) {
    greedy.push_back(std::make_unique<Client>(server_.address));
    ASSERT_TRUE(greedy.back()->send("MGET a a a a a a a a a a a a a a a a\r\n"));
    expect(*greedy.back(), "*16\r\n");  // it has begun
  }
  EXPECT_LT(resident(server_.process.pid()), before + 200'000'000);
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(greedy[0]->read_exactly(1'000'012) == bulk(value));
  ask(*greedy[0], "PING", "+PONG\r\n");
}

TEST_F(KvServer, ALongReplyHasValuesInTheirSequence) {
  std::string all = absl::StrCat("*301\r\n", bulk("MGET"));
  std::string replies = "*300\r\n";
  for (std::size_t i = 0; i < 300; ++i) {
    const std::string key = absl::StrCat("key", i);
    const std::string value(i * 17, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(client_.send(request({"SET", key, value})));
    expect(client_, "+OK\r\n");
    all += bulk(key);
    replies += bulk(value);
  }
  ASSERT_TRUE(client_.send("PING\r\n" + all + "PING\r\nGET key1\r\nQUIT\r\n"));
  EXPECT_TRUE(client_.read_to_end() ==
              "+PONG\r\n" + replies + "+PONG\r\n" + bulk(std::string(17, 'b')) + "+OK\r\n");
}

// The names are there at once, so what waits has a limit for all clients together.
TEST_F(KvServer, NamesThatNobodyReadsHaveALimit) {
  constexpr std::size_t kName = 60'000;
  for (int i = 0; i < 250; ++i) {
    std::string key = absl::StrCat(i, "-");
    key.resize(kName, 'x');
    ASSERT_TRUE(client_.send(request({"SET", key, ""})));
    expect(client_, "+OK\r\n");
  }
  std::vector<std::unique_ptr<Client>> greedy;
  for (int i = 0; i < 10; ++i) {
    greedy.push_back(std::make_unique<Client>(server_.address));
    ASSERT_TRUE(greedy.back()->send("KEYS *\r\n"));
    // Each has 15 MB.
    expect(*greedy.back(), i < 4 ? "*250\r\n" : "-ERR too many long replies wait, try again\r\n");
  }
  const std::size_t name = bulk(std::string(kName, 'x')).size();
  EXPECT_EQ(greedy[0]->read_exactly(250 * name).size(), 250 * name);
  ask(*greedy[0], "PING", "+PONG\r\n");
  greedy.clear();  // they give up
  std::string reply;
  do {
    ASSERT_TRUE(client_.send("KEYS *\r\n"));
    reply = read_line(client_);
  } while (reply[0] == '-');
  EXPECT_EQ(reply, "*250\r\n");
  EXPECT_EQ(client_.read_exactly(250 * name).size(), 250 * name);
  ask(client_, "KEYS nothing", "*0\r\n");
}

TEST_F(KvServer, NobodySubscribesToMoreThanThereMayBe) {
  std::string all = absl::StrCat("*1026\r\n");
  std::string names;
  for (int i = 0; i < 1025; ++i) names += bulk("a");
  ASSERT_TRUE(client_.send(all + bulk("UNSUBSCRIBE") + names));
  expect(client_, "-ERR too many subscriptions, or a name is too long\r\n");
  ASSERT_TRUE(client_.send(all + bulk("SUBSCRIBE") + names));
  expect(client_, "-ERR too many subscriptions, or a name is too long\r\n");
  ask(client_, "GET a", "$-1\r\n");  // it is no subscriber
}

TEST_F(KvServer, Publishes) {
  Client first(server_.address);
  Client second(server_.address);
  ask(client_, "PUBLISH news x", ":0\r\n");
  ask(first, "SUBSCRIBE news other",
      "*3\r\n" + bulk("subscribe") + bulk("news") + ":1\r\n*3\r\n" + bulk("subscribe") +
          bulk("other") + ":2\r\n");
  ask(second, "SUBSCRIBE news", "*3\r\n" + bulk("subscribe") + bulk("news") + ":1\r\n");
  ask(client_, "PUBLISH news hello", ":2\r\n");
  const std::string message = "*3\r\n" + bulk("message") + bulk("news") + bulk("hello");
  expect(first, message);
  expect(second, message);
  ask(first, "PING", "*2\r\n" + bulk("pong") + bulk(""));
  ask(first, "GET a",
      "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
      "allowed in this context\r\n");
  ask(first, "UNSUBSCRIBE news", "*3\r\n" + bulk("unsubscribe") + bulk("news") + ":1\r\n");
  ask(client_, "PUBLISH news hello", ":1\r\n");
  expect(second, message);
  ask(first, "UNSUBSCRIBE", "*3\r\n" + bulk("unsubscribe") + bulk("other") + ":0\r\n");
  ask(first, "GET a", "$-1\r\n");
  second.half_close();
  EXPECT_TRUE(second.is_at_end());
  ask(client_, "PUBLISH news hello", ":0\r\n");
}

// What a slow subscriber is asked to keep has a limit, at which it loses its connection.
TEST_F(KvServer, DropsASubscriberThatDoesNotRead) {
  Client slow(server_.address);
  ask(slow, "SUBSCRIBE news", "*3\r\n" + bulk("subscribe") + bulk("news") + ":1\r\n");
  const std::string publish = request({"PUBLISH", "news", std::string(1'000'000, 'x')});
  int published = 0;
  do {
    ASSERT_TRUE(client_.send(publish));
  } while (client_.read_exactly(4) == ":1\r\n" && ++published < 1000);
  EXPECT_LT(published, 1000);
  (void)slow.read_to_end();
  EXPECT_TRUE(slow.was_reset());
}

// The memory of a large value counts for the limit, so it must go with the value.
TEST_F(KvServer, ASmallValueTakesLittleMemoryAlsoAfterALargeOne) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer has malloc(), and keeps what is freed";
  const std::size_t before = resident(server_.process.pid());
  for (int i = 0; i < 600; ++i) {
    const std::string key = absl::StrCat("key", i);
    ASSERT_TRUE(client_.send(request({"SET", key, std::string(1'000'000, 'x')}) +
                             request({"SET", key, "x"})));
    expect(client_, "+OK\r\n+OK\r\n");
  }
  EXPECT_LT(resident(server_.process.pid()), before + 400'000'000);
}

TEST_F(KvServer, AnIdleClientTakesLittleMemoryAlsoAfterALongReply) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer has malloc(), and keeps what is freed";
  const std::string text(900'000, 'x');
  const std::size_t before = resident(server_.process.pid());
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 500; ++i) {
    idle.push_back(std::make_unique<Client>(server_.address));
    ASSERT_TRUE(idle.back()->send(request({"ECHO", text})));
    ASSERT_TRUE(idle.back()->read_exactly(text.size() + 11) == bulk(text));
  }
  EXPECT_LT(resident(server_.process.pid()), before + 350'000'000);
}

// However many it is for. The first messages are in the system, and copies of the next ones would
// take 1 MB for each subscriber before it is cut off.
TEST_F(KvServer, AMessageTakesMemoryOnce) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer has malloc(), and keeps what is freed";
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 100; ++i) {
    slow.push_back(std::make_unique<Client>(server_.address));
    ask(*slow.back(), "SUBSCRIBE news", "*3\r\n" + bulk("subscribe") + bulk("news") + ":1\r\n");
  }
  const std::size_t before = resident(server_.process.pid());
  std::size_t most = before;
  int published = 0;
  do {
    most = std::max(most, resident(server_.process.pid()));
    ASSERT_TRUE(client_.send(request({"PUBLISH", "news", std::string(1'000'000, 'x')})));
  } while (read_line(client_) == ":100\r\n" && ++published < 1000);
  EXPECT_LT(published, 1000);
  EXPECT_LT(most, before + 60'000'000);
}

TEST_F(KvServer, HoldsUpASubscriberThatDoesNotRead) {
  Client greedy(server_.address);
  ask(greedy, "SUBSCRIBE news", "*3\r\n" + bulk("subscribe") + bulk("news") + ":1\r\n");
  const std::string text(20'000, 'x');
  const std::string ping = request({"PING", text});
  (void)greedy.send_until_stuck(ping, 40'000'000);
  EXPECT_LT(counter(server_.counters(), "queued_bytes"), 2'000'000);
  for (int i = 0; i < 20; ++i) expect(greedy, "*2\r\n" + bulk("pong") + bulk(text));
  EXPECT_FALSE(greedy.was_reset());
}

TEST_F(KvServer, AnswersWhatClientsAskAtFirst) {
  ask(client_, "COMMAND DOCS", "*0\r\n");
  ask(client_, "CLIENT SETNAME me", "+OK\r\n");
  ask(client_, "CLIENT GETNAME", bulk("me"));
  ask(client_, "CONFIG GET appendonly", "*2\r\n" + bulk("appendonly") + bulk("no"));
  ask(client_, "CONFIG GET save", "*2\r\n" + bulk("save") + bulk(""));
  ask(client_, "SELECT 0", "+OK\r\n");
  ASSERT_TRUE(client_.send("INFO\r\n"));
  expect(client_, "$");
}

class SmallKvServer : public KvServer {
 protected:
  SmallKvServer() : KvServer({"--max-memory=10000", "--max-request=2000"}) {}
};

TEST_F(SmallKvServer, RefusesKeysThatNeedTooMuchMemory) {
  const std::string value(1500, 'x');
  std::string reply;
  int taken = 0;
  while (taken < 100) {
    ASSERT_TRUE(client_.send(request({"SET", absl::StrCat("key", taken), value})));
    reply = client_.read_exactly(5);
    if (reply != "+OK\r\n") break;
    ++taken;
  }
  EXPECT_GE(taken, 5);
  EXPECT_LT(taken, 7);
  reply += client_.read_exactly(58 - 5);
  EXPECT_EQ(reply, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  ask(client_, "SET key0 small", "+OK\r\n");
  ask(client_, "DEL key1", ":1\r\n");
  ask(client_, "FLUSHDB", "+OK\r\n");
  ASSERT_TRUE(client_.send(request({"SET", "key", value})));
  expect(client_, "+OK\r\n");
}

TEST_F(SmallKvServer, RefusesLargeRequests) {
  ASSERT_TRUE(client_.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2001\r\n"));
  EXPECT_EQ(client_.read_to_end(), "-ERR Protocol error: invalid bulk length\r\n");
  Client other(server_.address);
  (void)other.send(std::string(70'000, 'x'));
  EXPECT_EQ(other.read_to_end(), "-ERR Protocol error: too big inline request\r\n");
}

// As long as a request may be, though a queue is never so long otherwise.
TEST(LargeKvServer, PublishesMessagesAsLongAsARequest) {
  Server server("kv_server", {"--address=127.0.0.1:0", "--max-request=50000000"});
  Client client(server.address);
  Client subscriber(server.address);
  ask(subscriber, "SUBSCRIBE news", "*3\r\n" + bulk("subscribe") + bulk("news") + ":1\r\n");
  const std::string text(49'000'000, 'x');
  ASSERT_TRUE(client.send(request({"PUBLISH", "news", text})));
  expect(client, ":1\r\n");
  const std::string message = "*3\r\n" + bulk("message") + bulk("news") + bulk(text);
  EXPECT_TRUE(subscriber.read_exactly(message.size()) == message);
}

TEST(KvServerFlags, AClientThatIsIdleIsEnded) {
  Server server("kv_server", {"--address=127.0.0.1:0", "--idle-timeout=100ms"});
  Client silent(server.address);
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_EQ(server.counter("connections", 0), 0);
  ChildProcess process = start_program("kv_server", {"--idle-timeout=0"});
  EXPECT_TRUE(absl::StrContains(process.read_error_line().value_or(""), "--idle-timeout"));
  EXPECT_EQ(process.wait().value_or(-1), 1);
}

TEST(KvServerFlags, NonsenseIsRefused) {
  for (const char* flag : {"--max-request=0", "--max-request=18446744073709551615",
                           "--max-clients=0", "--max-clients=18446744073709551615"}) {
    ChildProcess process = start_program("kv_server", {"--address=127.0.0.1:0", flag});
    const std::string line = process.read_error_line().value_or("");
    EXPECT_TRUE(absl::StrContains(line, flag)) << line;
    EXPECT_EQ(process.wait().value_or(-1), 1);
  }
}

TEST_F(KvServer, ServesRedisCli) {
  const Tool cli("redis-cli");
  if (cli.is_missing()) GTEST_SKIP() << cli.why_missing();
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"-p", server_.port()});
    const Tool::Result result = cli.run(arguments);
    EXPECT_EQ(result.exit_code, 0);
    return result.output;
  };
  EXPECT_EQ(run({"PING"}), "PONG\n");
  EXPECT_EQ(run({"SET", "a", "hello world", "EX", "1000"}), "OK\n");
  EXPECT_EQ(run({"--no-raw", "GET", "a"}), "\"hello world\"\n");
  const std::string left = run({"--no-raw", "TTL", "a"});  // each call takes a while
  int seconds = 0;
  ASSERT_TRUE(absl::SimpleAtoi(absl::StripPrefix(left, "(integer) "), &seconds)) << left;
  EXPECT_TRUE(seconds > 0 && seconds <= 1000) << left;
  EXPECT_EQ(run({"--no-raw", "MGET", "a", "b"}), "1) \"hello world\"\n2) (nil)\n");
  EXPECT_TRUE(absl::StrContains(run({"INFO"}), "connected_clients:2"));
  EXPECT_EQ(run({"--no-raw", "INCR", "a"}),
            "(error) ERR value is not an integer or out of range\n");
}

// The line of a test has its name, and no error is before it.
TEST_F(KvServer, ServesRedisBenchmark) {
  const Tool benchmark("redis-benchmark");
  if (benchmark.is_missing()) GTEST_SKIP() << benchmark.why_missing();
  for (const char* pipeline : {"1", "16", "500"}) {
    const Tool::Result result =
        benchmark.run({"-p", server_.port(), "-t", "ping,set,get,incr,mset", "-P", pipeline, "-c",
                       "50", "-n", "5000", "-r", "1000", "-q", "--csv"});
    EXPECT_EQ(result.exit_code, 0);
    for (const char* name : {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"}) {
      EXPECT_TRUE(absl::StrContains(result.output, absl::StrCat("\"", name, "\",\"")))
          << name << "\n"
          << result.output;
    }
    EXPECT_FALSE(absl::StrContains(result.output, "rror")) << result.output;
  }
  client_.half_close();
  EXPECT_EQ(server_.terminate(), 0);
}

}  // namespace
}  // namespace examples
