// Every snippet of the pages stands in a program that is compiled, white space aside.

#include <cctype>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string without_space(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) out += c;
  }
  return out;
}

// `language`: "cpp" for programs of epore, "c++" for those of Asio.
std::vector<std::string> snippets(const std::string& page, const std::string& language) {
  const std::string kBegin = "\n```" + language + "\n";
  std::vector<std::string> all;
  for (std::size_t at = 0; (at = page.find(kBegin, at)) != std::string::npos;) {
    at += kBegin.size();
    const std::size_t end = page.find("\n```", at);
    all.push_back(page.substr(at, end - at));
    at = end;
  }
  return all;
}

void expect_compiled(const std::string& page, const std::vector<std::string>& sources,
                     std::size_t at_least, const std::string& language = "cpp") {
  std::vector<std::string> programs;
  for (const std::string& source : sources) {
    programs.push_back(without_space(read(source)));
    EXPECT_FALSE(programs.back().empty()) << source;
  }
  const std::vector<std::string> all = snippets(read(page), language);
  EXPECT_GE(all.size(), at_least) << page;
  for (const std::string& snippet : all) {
    bool is_found = false;
    for (const std::string& program : programs) {
      is_found = is_found || program.find(without_space(snippet)) != std::string::npos;
    }
    EXPECT_TRUE(is_found) << page << ":\n" << snippet;
  }
}

TEST(Pages, GuideToCoroutines) {
  expect_compiled("docs/guide/coroutines.md", {"tests/docs/coroutine_snippets_test.cc"}, 15);
}

TEST(Pages, Guide) {
  const std::pair<const char*, std::size_t> pages[] = {
      {"first-service", 5}, {"timeouts", 4},  {"cancellation", 4},
      {"backpressure", 4},  {"broadcast", 2}, {"shutdown", 2},
      {"threads", 3},       {"testing", 4},   {"names", 2}};
  for (const auto& [page, at_least] : pages) {
    expect_compiled(std::string("docs/guide/") + page + ".md",
                    {"tests/docs/guide_snippets_test.cc"}, at_least);
  }
}

TEST(Pages, Embedding) { expect_compiled("docs/guide/embedding.md", {"examples/in_epoll.cc"}, 1); }

TEST(Pages, GuideToDescriptors) {
  expect_compiled("docs/guide/descriptors.md", {"tests/docs/descriptor_snippets_test.cc"}, 4);
}

TEST(Pages, GuideToFiles) {
  expect_compiled("docs/guide/files.md", {"tests/docs/file_snippets_test.cc"}, 5);
}

TEST(Pages, UnixSockets) {
  expect_compiled("docs/guide/unix-sockets.md", {"tests/docs/unix_snippets_test.cc"}, 5);
}

TEST(Pages, GuideToUdp) {
  expect_compiled("docs/guide/udp.md", {"examples/udp_echo.cc", "tests/docs/udp_snippets_test.cc"},
                  3);
}

TEST(Pages, Services) {
  for (const auto& [page, at_least] :
       {std::pair("service-manager", 2), {"children", 3}, {"signals", 3}}) {
    expect_compiled(std::string("docs/guide/") + page + ".md",
                    {"tests/docs/service_snippets_test.cc"}, static_cast<std::size_t>(at_least));
  }
}

TEST(Pages, ComingFromAsio) {
  const std::string folder = "examples/asio_tutorial/";
  std::vector<std::string> sources;
  for (const char* name :
       {"chat_server", "daytime_client", "daytime_server", "daytime_udp_client",
        "daytime_udp_server", "echo_server", "timer1", "timer3", "timer4", "timer5"}) {
    sources.push_back(folder + name + ".cc");
  }
  sources.emplace_back("tests/docs/programs_test.cc");
  expect_compiled("docs/coming-from-asio.md", sources, 13);
  expect_compiled("docs/coming-from-asio.md", {"tests/docs/asio_programs.cc"}, 6, "c++");
}

}  // namespace
