// examples/http_server behind nginx and haproxy, where the machine has them. They keep a few
// connections to it for all their clients.

#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "examples/child_process.h"
#include "gtest/gtest.h"
#include "tests/examples/client.h"
#include "tests/examples/reserved_port.h"
#include "tests/examples/server.h"
#include "tests/examples/tool.h"

namespace examples {
namespace {

// The most that each of them keeps open to the server. Its connections beyond these are closed
// after a request.
constexpr int kKept = 8;

class ReverseProxy : public testing::TestWithParam<const char*> {
 protected:
  ReverseProxy() {
    std::string name = std::filesystem::temp_directory_path() / "reverse_proxy_XXXXXX";
    PCHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    std::filesystem::create_directory(folder_ / "files");
    write("files/index.html", "<p>hello");
    write("files/large", large());
  }
  ~ReverseProxy() override { std::filesystem::remove_all(folder_); }

  void SetUp() override {
    if (proxy_.is_missing()) GTEST_SKIP() << proxy_.why_missing();
    server_.emplace("http_server", std::vector<std::string>{(folder_ / "files").string(),
                                                            "--address=127.0.0.1:0"});
    const std::string config = write("config", is_nginx() ? nginx_config() : haproxy_config());
    std::vector<std::string> command = {proxy_.path};
    if (is_nginx()) {
      command.insert(command.end(), {"-p", folder_.string(), "-c", config});
    } else {
      command.insert(command.end(), {"-db", "-q", "-f", config});
    }
    absl::StatusOr<ChildProcess> process = ChildProcess::start(command);
    CHECK_OK(process);
    process_.emplace(*std::move(process));
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (is_refused(port_.address())) {
      ASSERT_LT(absl::Now(), deadline) << "it does not listen";
      ASSERT_FALSE(process_->wait(absl::Milliseconds(10)).ok()) << "it has ended";
    }
  }

  bool is_nginx() const { return proxy_.name == "nginx"; }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  std::string nginx_config() const {
    std::string paths;  // it may not write where it would by default
    for (const char* of : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      absl::StrAppend(&paths, of, "_temp_path ", folder_.string(), "/", of, ";");
    }
    return absl::StrCat("daemon off; master_process off; error_log stderr crit;\n", "pid ",
                        folder_.string(), "/pid;\n", "events { worker_connections 512; }\n",
                        "http { access_log off; ", paths, "\nupstream origin { server ",
                        server_->address, "; keepalive ", kKept, "; }\n", "server { listen ",
                        port_.address(), " reuseport;\n",
                        "location / { proxy_pass http://origin; proxy_http_version 1.1;",
                        " proxy_set_header Connection \"\"; proxy_request_buffering off; } } }\n");
  }

  std::string haproxy_config() const {
    return absl::StrCat("global\n maxconn 500\n nbthread 1\n",
                        "defaults\n mode http\n timeout connect 20s\n timeout client 20s\n",
                        " timeout server 20s\n http-reuse always\n", "listen proxy\n bind ",
                        port_.address(), "\n server origin ", server_->address, " pool-max-conn ",
                        kKept, "\n");
  }

  std::string url(const std::string& path) const {
    return absl::StrCat("http://", port_.address(), path);
  }

  static std::string large() {
    std::string text;
    for (int i = 0; i < 300'000; ++i) absl::StrAppend(&text, i, "\n");
    return text;
  }

  static std::string request(const std::string& line, const std::string& rest = "\r\n") {
    return absl::StrCat(line, " HTTP/1.1\r\nHost: localhost\r\n", rest);
  }

  const Tool proxy_{GetParam()};
  const ReservedPort port_;
  std::filesystem::path folder_;
  std::optional<Server> server_;
  std::optional<ChildProcess> process_;
};

bool is_status(const std::string& response, int status) {
  return absl::StartsWith(response, absl::StrCat("HTTP/1.1 ", status, " "));
}

TEST_P(ReverseProxy, KeepsItsConnections) {
  const std::string index = request("GET /index.html");
  for (int i = 0; i < 20; ++i) {
    Client client(port_.address());
    for (int j = 0; j < 10; ++j) {
      ASSERT_TRUE(client.send(index));
      ASSERT_EQ(body_of(client.read_response()), "<p>hello");
    }
  }
  EXPECT_LE(counter(server_->counters(), "accepts"), kKept) << "for 200 requests";
  EXPECT_EQ(server_->terminate(), 0) << "though the proxy keeps some open";
}

TEST_P(ReverseProxy, CarriesBodiesBothWays) {
  Client client(port_.address());
  const std::string body(300'000, 'x');
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client.send(request("GET /large")));
    ASSERT_TRUE(body_of(client.read_response()) == large());
    ASSERT_TRUE(client.send(
        request("POST /", absl::StrCat("content-length: ", body.size(), "\r\n\r\n", body))));
    EXPECT_TRUE(is_status(client.read_response(), 405));
    ASSERT_TRUE(client.send(request("PUT /",
                                    "transfer-encoding: chunked\r\n\r\n"
                                    "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n")));
    EXPECT_TRUE(is_status(client.read_response(), 405));
    ASSERT_TRUE(client.send(request("GET /")));
    EXPECT_EQ(body_of(client.read_response()), "<p>hello") << "the next request is not lost";
  }
}

TEST_P(ReverseProxy, AnswersWithoutABodyHaveNone) {
  Client client(port_.address());
  const std::string length = absl::StrCat("content-length: ", large().size(), "\r\n");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client.send(request("HEAD /large")));
    std::string head;  // read_response() would wait for the body that its length tells of
    while (!absl::EndsWith(head, "\r\n\r\n")) {
      const std::string byte = client.read_exactly(1);
      ASSERT_FALSE(byte.empty()) << head;
      head += byte;
    }
    EXPECT_TRUE(is_status(head, 200)) << head;
    EXPECT_TRUE(absl::StrContainsIgnoreCase(head, length)) << head;
    ASSERT_TRUE(client.send(request("GET /missing")));
    EXPECT_TRUE(is_status(client.read_response(), 404));
    ASSERT_TRUE(client.send(request("GET /")));
    EXPECT_EQ(body_of(client.read_response()), "<p>hello");
  }
}

TEST_P(ReverseProxy, WhatTheClientKnowsIsNotSentAgain) {
  Client client(port_.address());
  ASSERT_TRUE(client.send(request("GET /large")));
  std::string whole = client.read_response();
  ASSERT_TRUE(body_of(whole) == large());
  whole.resize(whole.find("\r\n\r\n") + 2);
  const std::string field = "\r\nlast-modified: ";
  const std::size_t begin = absl::AsciiStrToLower(whole).find(field) + field.size();
  ASSERT_LT(begin, whole.size()) << whole;
  const std::string modified = whole.substr(begin, whole.find("\r\n", begin) - begin);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client.send(
        request("GET /large", absl::StrCat("if-modified-since: ", modified, "\r\n\r\n"))));
    EXPECT_TRUE(is_status(client.read_response(), 304));
    ASSERT_TRUE(client.send(request("GET /")));
    EXPECT_EQ(body_of(client.read_response()), "<p>hello");
  }
}

TEST_P(ReverseProxy, ClientsThatGoHarmNobody) {
  for (int i = 0; i < 50; ++i) {
    Client client(port_.address());
    ASSERT_TRUE(client.send(request("GET /large")));
    if (i % 2 == 0) {
      EXPECT_EQ(client.read_exactly(9), "HTTP/1.1 ");
    }
    client.reset();
  }
  for (int i = 0; i < 50; ++i) {  // in the middle of a body
    Client client(port_.address());
    ASSERT_TRUE(client.send(request("POST /", "content-length: 1000\r\n\r\nsome")));
    client.reset();
  }
  Client client(port_.address());
  ASSERT_TRUE(client.send(request("GET /large")));
  EXPECT_TRUE(body_of(client.read_response()) == large());
  EXPECT_EQ(counter(server_->counters(), "callback_exceptions"), 0);
  EXPECT_EQ(server_->terminate(), 0) << "no connection is left that somebody waits for";
}

TEST_P(ReverseProxy, ServesWrk) {
  const Tool wrk("wrk");
  if (wrk.is_missing()) GTEST_SKIP() << wrk.why_missing();
  for (const char* path : {"/", "/large"}) {
    const Tool::Result result = wrk.run({"-t", "1", "-c", "50", "-d", "1s", url(path)});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_TRUE(absl::StrContains(result.output, "requests in")) << result.output;
    EXPECT_FALSE(absl::StrContains(result.output, "Non-2xx")) << result.output;
  }
}

INSTANTIATE_TEST_SUITE_P(Proxies, ReverseProxy, testing::Values("nginx", "haproxy"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace examples
