// Every snippet of the pages, and every example in a comment of a public header, stands in a
// program that is compiled, white space aside.

#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
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
      {"first-service", 5}, {"timeouts", 4}, {"cancellation", 4}, {"backpressure", 4},
      {"broadcast", 2},     {"shutdown", 2}, {"threads", 3},      {"testing", 4},
      {"tuning", 2},        {"observing", 4}};
  for (const auto& [page, at_least] : pages) {
    expect_compiled(std::string("docs/guide/") + page + ".md",
                    {"tests/docs/guide_snippets_test.cc"}, at_least);
  }
}

TEST(Pages, GuideToARoom) {
  expect_compiled("docs/guide/a-room.md", {"tests/docs/room_snippets_test.cc"}, 10);
}

TEST(Pages, GuideToEnds) { expect_compiled("docs/guide/ends.md", {"tests/docs/ends_test.cc"}, 3); }

TEST(Pages, Names) {
  expect_compiled("docs/guide/names.md",
                  {"tests/docs/guide_snippets_test.cc", "tests/cares/name_resolver_test.cc"}, 4);
}

TEST(Pages, Embedding) { expect_compiled("docs/guide/embedding.md", {"examples/in_epoll.cc"}, 1); }

TEST(Pages, GuideToDescriptors) {
  expect_compiled("docs/guide/descriptors.md", {"tests/docs/descriptor_snippets_test.cc"}, 4);
}

TEST(Pages, GuideToFiles) {
  expect_compiled("docs/guide/files.md", {"tests/docs/file_snippets_test.cc"}, 5);
}

TEST(Pages, UnixSockets) {
  expect_compiled("docs/guide/unix-sockets.md", {"tests/docs/unix_snippets_test.cc"}, 9);
}

TEST(Pages, GuideToTls) {
  expect_compiled("docs/guide/tls.md", {"tests/docs/tls_snippets_test.cc"}, 5);
}

TEST(Pages, GuideToUdp) {
  expect_compiled("docs/guide/udp.md", {"examples/udp_echo.cc", "tests/docs/udp_snippets_test.cc"},
                  7);
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

// -- The examples in comments of headers. --

// An example: its first line, and its parts, which "..." stands between.
struct Example {
  std::string where;
  std::vector<std::string> parts;
};

std::string without_remark(const std::string& line) { return line.substr(0, line.find("  // ")); }

// An example stands behind a line "//", and each of its lines begins with three spaces or more.
std::vector<Example> examples_of(const std::string& header) {
  std::vector<std::string> texts;
  std::istringstream lines(read(header));
  std::string before;
  bool is_in = false;
  for (std::string line; std::getline(lines, line); before = line) {
    line.erase(0, line.find_first_not_of(' '));
    const bool is_code = line.starts_with("//   ");
    if (is_code && !is_in && before == "//" && line[5] != ' ') texts.emplace_back();
    is_in = is_code && (is_in || (before == "//" && line[5] != ' '));
    if (is_in) texts.back() += without_remark(line.substr(5)) + "\n";
  }
  std::vector<Example> all;
  for (const std::string& text : texts) {
    Example example{header + ":\n" + text, {}};
    std::size_t at = 0;
    for (std::size_t end; (end = text.find("...", at)) != std::string::npos; at = end + 3) {
      example.parts.push_back(without_space(text.substr(at, end - at)));
    }
    example.parts.push_back(without_space(text.substr(at)));
    all.push_back(std::move(example));
  }
  return all;
}

// Whether the parts stand in `program` in sequence, each not far behind the one before it.
bool has_parts(const std::string& program, const std::vector<std::string>& parts) {
  constexpr std::size_t kFar = 300;
  for (std::size_t first = 0; (first = program.find(parts[0], first)) != std::string::npos;
       ++first) {
    std::size_t at = first + parts[0].size();
    bool has_all = true;
    for (std::size_t i = 1; i < parts.size() && has_all; ++i) {
      const std::size_t next = program.find(parts[i], at);
      has_all = next != std::string::npos && next - at <= kFar;
      at = next + parts[i].size();
    }
    if (has_all) return true;
  }
  return false;
}

std::string program_of(const std::string& source) {
  std::string all;
  std::istringstream lines(read(source));
  for (std::string line; std::getline(lines, line);) all += without_space(without_remark(line));
  EXPECT_FALSE(all.empty()) << source;
  return all;
}

TEST(Headers, EveryExampleIsCompiled) {
  const std::string programs[] = {program_of("tests/docs/header_snippets_test.cc"),
                                  program_of("tests/runtime/docs_test.cc"),
                                  program_of("tests/poll/docs_test.cc")};
  int count = 0;
  for (const char* folder : {"poll", "runtime"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".h") continue;
      for (const Example& example : examples_of(entry.path().string())) {
        // What dump_tasks(), dump_connections() and ConnectionInfo::to_string() return.
        const std::string& first = example.parts[0];
        if (first.starts_with("tasks:1") || first.starts_with("connections:1") ||
            first.starts_with("connection7(")) {
          continue;
        }
        ++count;
        bool is_found = false;
        for (const std::string& program : programs) {
          is_found = is_found || has_parts(program, example.parts);
        }
        EXPECT_TRUE(is_found) << example.where;
      }
    }
  }
  EXPECT_GE(count, 60);
}

TEST(Pages, ComingFromLibuv) {
  std::vector<std::string> sources;
  for (const char* name : {"coroutine", "guide", "service"}) {
    sources.push_back("tests/docs/" + std::string(name) + "_snippets_test.cc");
  }
  sources.emplace_back("tests/docs/programs_test.cc");
  expect_compiled("docs/coming-from-libuv.md", sources, 8);
  expect_compiled("docs/coming-from-libuv.md", {"tests/docs/libuv_programs.cc"}, 5, "c++");
}

// Without blank lines and comments.
std::size_t count_lines(const std::vector<std::string>& snippets) {
  std::size_t count = 0;
  for (const std::string& snippet : snippets) {
    std::istringstream lines(snippet);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t text = line.find_first_not_of(' ');
      count += text != std::string::npos && line.compare(text, 2, "//") != 0 ? 1 : 0;
    }
  }
  return count;
}

// The table of a page has a row for each section "### TITLE": | TITLE | their lines | ours |.
void expect_counted(const std::string& path, std::size_t programs) {
  const std::string page = read(path);
  const std::string kTitle = "\n### ";
  std::size_t count = 0;
  for (std::size_t at = page.find(kTitle); at != std::string::npos; ++count) {
    const std::size_t next = page.find(kTitle, at + 1);
    const std::string section = page.substr(at + kTitle.size(), next - at - kTitle.size());
    const std::string row = "\n| " + section.substr(0, section.find('\n')) + " | " +
                            std::to_string(count_lines(snippets(section, "c++"))) + " | " +
                            std::to_string(count_lines(snippets(section, "cpp"))) + " |\n";
    EXPECT_NE(page.find(row), std::string::npos) << path << " lacks the row:" << row;
    at = next;
  }
  EXPECT_EQ(count, programs);
}

TEST(Pages, LinesAreCounted) {
  expect_counted("docs/coming-from-libuv.md", 5);
  expect_counted("docs/coming-from-asio.md", 6);
}

}  // namespace
