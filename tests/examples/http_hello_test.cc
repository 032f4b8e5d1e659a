#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/server.h"
#include "tests/examples/tool.h"

namespace examples {
namespace {

class HttpHello : public ::testing::Test {
 protected:
  Server server_{"http_hello", {"--address=127.0.0.1:0"}};
  Client client_{server_.address};
};

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr char kHello[] = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n";

TEST_F(HttpHello, KeepsTheConnection) {
  for (int i = 0; i < 3; ++i) {
    client_.send(kGet);
    EXPECT_EQ(client_.read_response(), kHello);
  }
}

TEST_F(HttpHello, AnswersAPipeline) {
  std::string requests;
  std::string answers;
  for (int i = 0; i < 2000; ++i) {
    requests += kGet;
    answers += kHello;
  }
  client_.send(requests);
  EXPECT_EQ(client_.read_exactly(answers.size()), answers);
  client_.send(std::string("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc") + kGet);
  EXPECT_EQ(client_.read_response(), kHello);
  EXPECT_EQ(client_.read_response(), kHello);
}

TEST_F(HttpHello, TakesRequestsInPieces) {
  for (const char c : std::string(kGet)) ASSERT_TRUE(client_.send({&c, 1}));
  EXPECT_EQ(client_.read_response(), kHello);
}

TEST_F(HttpHello, ClosesIfAsked) {
  client_.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client_.read_to_end(),
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nhello\n");
  EXPECT_FALSE(client_.was_reset());
}

TEST_F(HttpHello, AHeadHasNoBody) {
  client_.send("HEAD / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client_.read_to_end(),
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n");
}

TEST_F(HttpHello, RefusesWhatIsNoHttp) {
  client_.send(std::string(kGet) + "nonsense\r\n\r\n");
  EXPECT_EQ(client_.read_response(), kHello);
  EXPECT_EQ(client_.read_to_end(),
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

TEST_F(HttpHello, LetsAClientGoOnThatWaitsWithItsBody) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n";
  client_.send(head + "Content-Length: 3\r\n\r\n");
  EXPECT_EQ(client_.read_response(), "HTTP/1.1 100 Continue\r\n\r\n");
  client_.send("abc");
  EXPECT_EQ(client_.read_response(), kHello);
  client_.send("GET / HTTP/1.1\r\nHost: h\r\nExpect: cake\r\n\r\n");
  EXPECT_EQ(client_.read_to_end(),
            "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

// curl waits with a long body, and here for much longer than the test may take.
TEST_F(HttpHello, ServesCurlThatWaitsWithItsBody) {
  const Tool curl("curl");
  if (curl.is_missing()) GTEST_SKIP() << curl.why_missing();
  const Tool::Result result =
      curl.run({"-sS", "--noproxy", "*", "--max-time", "60", "--expect100-timeout", "1000", "-H",
                "expect: 100-continue", "-d", "body", absl::StrCat("http://", server_.address)});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "hello\n");
}

TEST_F(HttpHello, AnswersBeforeTheClientsEnd) {
  client_.send(std::string(kGet) + "GET /cut-off");
  client_.half_close();
  EXPECT_EQ(client_.read_to_end(), kHello);
  EXPECT_FALSE(client_.was_reset());
}

TEST_F(HttpHello, SigtermClosesGracefully) {
  client_.send(kGet);
  EXPECT_EQ(client_.read_response(), kHello);
  server_.ask_to_end();
  EXPECT_TRUE(client_.is_at_end());
  EXPECT_FALSE(client_.was_reset());
  client_.half_close();
  EXPECT_EQ(server_.process.wait().value_or(-1), 0);
}

// Ten seconds.
TEST_F(HttpHello, ARequestHasADeadline) {
  client_.send("GET / HTTP/1.1\r\n");
  EXPECT_TRUE(client_.is_at_end());
}

}  // namespace
}  // namespace examples
