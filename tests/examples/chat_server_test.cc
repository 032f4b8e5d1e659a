// examples/chat_server.cc, by clients that talk.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"

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
  (void)client.send(std::string(5000, 'x'));
  (void)client.read_to_end();
  EXPECT_TRUE(client.was_reset());
  EXPECT_EQ(server_.terminate(), 0);
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

}  // namespace
}  // namespace examples
