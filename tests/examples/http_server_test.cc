// examples/http_server.cc, by sockets, curl, wrk and ab.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
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

// A folder with some files.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "http_server_XXXXXX";
    PCHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    write("index.html", "<p>hello");
    write("a b.txt", "text");
    write("large", large());
    std::filesystem::create_directory(path_ / "folder");
  }
  ~Folder() { std::filesystem::remove_all(path_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  std::string path() const { return path_; }

  static std::string large() {
    std::string text;
    for (int i = 0; i < 300'000; ++i) absl::StrAppend(&text, i, "\n");
    return text;
  }

 private:
  std::filesystem::path path_;
};

class HttpServer : public testing::Test {
 protected:
  // The response without its dates.
  std::string ask(const std::string& request) {
    EXPECT_TRUE(client_.send(request));
    return without_date(client_.read_response());
  }

  static std::string without_date(std::string response) {
    for (const char* header : {"\r\nlast-modified: ", "\r\ndate: "}) {
      const std::size_t begin = response.find(header);
      if (begin != response.npos) response.erase(begin, response.find("\r\n", begin + 2) - begin);
    }
    return response;
  }

  std::string url(const std::string& path) const {
    return absl::StrCat("http://", server_.address, path);
  }

  Folder folder_;
  Server server_{"http_server", {folder_.path(), "--address=127.0.0.1:0"}};
  Client client_{server_.address};
};

std::string get(const std::string& target) {
  return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

constexpr char kIndex[] =
    "HTTP/1.1 200 OK\r\ncontent-length: 8\r\ncontent-type: text/html; "
    "charset=utf-8\r\n\r\n<p>hello";

TEST_F(HttpServer, ServesFiles) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(get("/")), kIndex);
  EXPECT_EQ(ask(get("/index.html?query")), kIndex);
  EXPECT_EQ(body_of(ask(get("/a%20b.txt"))), "text");
  EXPECT_EQ(body_of(ask(get("/large"))), Folder::large());
}

// As a client sends them to a proxy.
TEST_F(HttpServer, ServesTargetsThatNameAHost) {
  for (const char* target : {"http://localhost/index.html", "HTTP://localhost:80/",
                             "http://localhost", "http://localhost?query"}) {
    EXPECT_EQ(ask(get(target)), kIndex) << target;
  }
  const std::string bad = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
  EXPECT_EQ(ask(get("http://localhost/../etc/passwd")), bad);
  EXPECT_EQ(ask(get("https://localhost/")), bad);
}

TEST_F(HttpServer, AnswersAPipeline) {
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += get("/");
  ASSERT_TRUE(client_.send(requests + get("/large") + get("/")));
  for (int i = 0; i < 500; ++i) ASSERT_EQ(without_date(client_.read_response()), kIndex);
  EXPECT_EQ(body_of(client_.read_response()), Folder::large());
  EXPECT_EQ(without_date(client_.read_response()), kIndex);
}

TEST_F(HttpServer, RefusesWhatItDoesNotServe) {
  const std::string nothing = "\r\ncontent-length: 0\r\n";
  EXPECT_EQ(ask(get("/nothing")), "HTTP/1.1 404 Not Found" + nothing + "\r\n");
  EXPECT_EQ(ask(get("/folder")), "HTTP/1.1 404 Not Found" + nothing + "\r\n");
  EXPECT_EQ(ask(get("/../etc/passwd")), "HTTP/1.1 400 Bad Request" + nothing + "\r\n");
  EXPECT_EQ(ask(get("/%2e%2e/etc/passwd")), "HTTP/1.1 400 Bad Request" + nothing + "\r\n");
  EXPECT_EQ(ask(get("/a%00b")), "HTTP/1.1 400 Bad Request" + nothing + "\r\n");
  EXPECT_EQ(ask("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 Bad Request" + nothing + "\r\n");
}

// Their bodies are read over, in chunks as well.
TEST_F(HttpServer, RefusesOtherMethods) {
  const std::string refused =
      "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nallow: GET, HEAD\r\n\r\n";
  EXPECT_EQ(ask("POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
                "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"),
            refused);
  EXPECT_EQ(ask("PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc"), refused);
  EXPECT_EQ(ask(get("/")), kIndex);
}

// RFC 9110, 10.1.1.
TEST_F(HttpServer, LetsAClientGoOnThatWaitsWithItsBody) {
  const std::string head = "GET / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n";
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client_.send(head + "content-length: 3\r\n\r\n"));
    EXPECT_EQ(client_.read_response(), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(ask("abc"), kIndex);
  }
  EXPECT_EQ(ask(head + "content-length: 3\r\n\r\nabc"), kIndex) << "it does not wait";
  EXPECT_EQ(ask(head + "\r\n"), kIndex) << "there is no body";
}

// Without the body, which may come or not. So the connection ends.
TEST_F(HttpServer, RefusesAClientThatWaitsWithItsBody) {
  const std::string expect = "expect: 100-continue\r\ncontent-length: 3\r\n\r\n";
  Client put(server_.address);
  ASSERT_TRUE(put.send("PUT / HTTP/1.1\r\nhost: h\r\n" + expect));
  EXPECT_EQ(without_date(put.read_to_end()),
            "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n"
            "allow: GET, HEAD\r\n\r\n");
  Client nowhere(server_.address);
  ASSERT_TRUE(nowhere.send("GET / HTTP/1.1\r\n" + expect));
  EXPECT_EQ(without_date(nowhere.read_to_end()),
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  ASSERT_TRUE(client_.send("GET / HTTP/1.1\r\nhost: h\r\nexpect: cake\r\n\r\n"));
  EXPECT_EQ(without_date(client_.read_to_end()),
            "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

TEST_F(HttpServer, AHeadHasNoBody) {
  EXPECT_TRUE(client_.send("HEAD /large HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"));
  const std::string response = client_.read_to_end();
  EXPECT_TRUE(absl::StrContains(response, absl::StrCat("length: ", Folder::large().size())));
  EXPECT_TRUE(absl::EndsWith(response, "connection: close\r\n\r\n"));
}

TEST_F(HttpServer, SaysThatAFileIsAsTheClientKnowsIt) {
  ASSERT_TRUE(client_.send(get("/")));
  const std::string whole = client_.read_response();
  const std::string field = "\r\nlast-modified: ";
  const std::size_t begin = whole.find(field) + field.size();
  ASSERT_LT(begin, whole.size()) << whole;
  const std::string modified = whole.substr(begin, whole.find("\r\n", begin) - begin);
  const auto ask_since = [&](const std::string& time) {
    return ask(absl::StrCat("GET / HTTP/1.1\r\nhost: h\r\nif-modified-since: ", time, "\r\n\r\n"));
  };
  EXPECT_EQ(ask_since(modified), "HTTP/1.1 304 Not Modified\r\n\r\n");
  EXPECT_EQ(ask_since("Sun, 06 Nov 1994 08:49:37 GMT"), kIndex);
  EXPECT_EQ(ask_since(modified + "\r\nif-none-match: \"tag\""), kIndex);
  EXPECT_EQ(ask(get("/")), kIndex) << "the next request is not lost";
}

TEST_F(HttpServer, RefusesWhatIsNoHttp) {
  EXPECT_TRUE(client_.send(get("/") + "nonsense\r\n\r\n"));
  EXPECT_EQ(without_date(client_.read_response()), kIndex);
  EXPECT_EQ(without_date(client_.read_to_end()),
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

// A proxy in front may read them as one request, or as two.
TEST_F(HttpServer, RefusesWhatTwoParsersCouldReadInTwoWays) {
  for (const char* rest : {
           "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
           "content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
           "x: a\r\n folded\r\n\r\n",
           "x: a\n\r\n",
           "host: another\r\n\r\n",
       }) {
    Client client(server_.address);
    EXPECT_TRUE(client.send(absl::StrCat("GET / HTTP/1.1\r\nhost: h\r\n", rest)));
    EXPECT_EQ(without_date(client.read_to_end()),
              "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        << rest;
  }
}

// A client that does not read is held up, with a piece or two of the file.
TEST_F(HttpServer, HoldsUpAClientThatDoesNotRead) {
  const std::string request = get("/large");
  const std::size_t sent = client_.send_until_stuck(request, request.size() * 200'000);
  EXPECT_LT(sent, request.size() * 200'000);
  Client other(server_.address);
  ASSERT_TRUE(other.send(get("/")));
  EXPECT_EQ(without_date(other.read_response()), kIndex);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(body_of(client_.read_response()), Folder::large());
}

TEST_F(HttpServer, SigtermClosesGracefully) {
  EXPECT_EQ(ask(get("/")), kIndex);
  client_.half_close();
  EXPECT_EQ(server_.terminate(), 0);
}

TEST_F(HttpServer, ServesCurl) {
  const Tool curl("curl");
  if (curl.is_missing()) GTEST_SKIP() << curl.why_missing();
  const Tool::Result files = curl.run({"-sS", "--fail", url("/"), url("/a%20b.txt")});
  EXPECT_EQ(files.exit_code, 0);
  EXPECT_EQ(files.output, "<p>hellotext\n");
  EXPECT_EQ(curl.run({"-sS", "--fail", url("/large")}).output, Folder::large());
  EXPECT_EQ(curl.run({"-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                      "transfer-encoding: chunked", "-d", "body", url("/")})
                .output,
            "405\n");
}

TEST_F(HttpServer, ServesWrk) {
  const Tool wrk("wrk");
  if (wrk.is_missing()) GTEST_SKIP() << wrk.why_missing();
  for (const char* path : {"/", "/large"}) {
    const Tool::Result result = wrk.run({"-t", "1", "-c", "100", "-d", "1s", url(path)});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_TRUE(absl::StrContains(result.output, "requests in")) << result.output;
    EXPECT_FALSE(absl::StrContains(result.output, "Non-2xx")) << result.output;
  }
}

TEST_F(HttpServer, ServesAb) {
  const Tool ab("ab");
  if (ab.is_missing()) GTEST_SKIP() << ab.why_missing();
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{{"-k"}, {}}) {
    std::vector<std::string> arguments = {"-q", "-n", "2000", "-c", "20"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.push_back(url("/index.html"));
    const Tool::Result result = ab.run(arguments);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_TRUE(absl::StrContains(result.output, "Complete requests:      2000")) << result.output;
    EXPECT_TRUE(absl::StrContains(result.output, "Failed requests:        0")) << result.output;
    EXPECT_FALSE(absl::StrContains(result.output, "Non-2xx")) << result.output;
  }
}

}  // namespace
}  // namespace examples
