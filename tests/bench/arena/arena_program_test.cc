// The arena as its users run it, in rounds too short to measure anything.

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/process.h"
#include "tests/bench/programs.h"

namespace epore::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kTimeout = absl::Minutes(4);

struct Outcome {
  std::vector<std::string> lines;  // of its stdout
  absl::Status status;
};

Outcome run_arena_program(const std::vector<std::string>& flags) {
  const absl::StatusOr<std::string> program = find_program("arena/arena");
  EXPECT_TRUE(program.ok()) << program.status();
  std::vector<std::string> command = {program.value()};
  command.insert(command.end(), flags.begin(), flags.end());
  absl::StatusOr<Process> process = Process::spawn(command);
  EXPECT_TRUE(process.ok()) << process.status();
  Outcome run;
  absl::StatusOr<std::string> line = process->read_line(kTimeout);
  for (; line.ok(); line = process->read_line(kTimeout)) run.lines.push_back(*line);
  run.status = process->wait_for_success(kTimeout).status();
  return run;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// Whether a text is one JSON value, and which keys are in it.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  bool is_valid() { return value() && (skip_space(), at_ == text_.size()); }
  bool has_key(const std::string& key) const { return keys_.count(key) > 0; }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(std::string_view token) {
    skip_space();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  bool value() {
    if (take("{")) return list("}", [this] { return member(); });
    if (take("[")) return list("]", [this] { return value(); });
    if (take("true") || take("false") || take("null")) return true;
    return string(nullptr) || number();
  }
  template <typename Item>
  bool list(std::string_view end, Item item) {
    if (take(end)) return true;
    do {
      if (!item()) return false;
    } while (take(","));
    return take(end);
  }
  bool member() {
    std::string key;
    if (!string(&key) || !take(":")) return false;
    keys_.insert(key);
    return value();
  }
  bool string(std::string* content) {
    if (!take("\"")) return false;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (content != nullptr) *content += text_[at_];
    }
    return take("\"");
  }
  bool number() {
    const std::size_t end = text_.find_first_not_of("+-.0123456789eE", at_);
    const bool is_number = end != at_;
    at_ = std::min(end, text_.size());
    return is_number;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::set<std::string> keys_;
};

TEST(ArenaProgramTest, ListsItsTrialsAndParts) {
  const Outcome run = run_arena_program({"--list"});
  EXPECT_TRUE(run.status.ok()) << run.status;
  const std::set<std::string> ids(run.lines.begin(), run.lines.end());
  EXPECT_EQ(ids.size(), run.lines.size());
  for (const char* id :
       {"echo/1x64x1", "echo/2000x4096x16", "open/50@20000", "neighbour/50", "neighbour/50@10000",
        "cpu/all_cores", "ten_sends/50", "broadcast/1000x1024", "room/1000x1", "room/1000x100",
        "churn/20", "idle", "micro", "compile", "size"}) {
    EXPECT_EQ(ids.count(id), 1u) << id;
  }
}

TEST(ArenaProgramTest, WritesAPageTablesAndJson) {
  const std::string folder = testing::TempDir();
  const std::string html_path = absl::StrCat(folder, "/arena.html");
  const std::string markdown_path = absl::StrCat(folder, "/arena.md");
  const std::string json_path = absl::StrCat(folder, "/arena.json");
  const Outcome run = run_arena_program(
      {"--only=echo/1x,cpu,size", "--rounds=1", "--seconds=0.01", "--contenders=epoll,epore",
       absl::StrCat("--html=", html_path), absl::StrCat("--markdown=", markdown_path),
       absl::StrCat("--json=", json_path)});
  EXPECT_TRUE(run.status.ok()) << run.status;
  const std::string text = absl::StrJoin(run.lines, "\n");
  EXPECT_THAT(text, HasSubstr("1 connection, 64 KiB, 16 in flight"));
  EXPECT_THAT(text, HasSubstr("CPU ns x epoll"));
  EXPECT_THAT(text, HasSubstr("met"));

  const std::string html = read_file(html_path);
  for (const char* reference : {"http:", "https:", "src=", "href=", "url(", "@import", "<script"}) {
    EXPECT_THAT(html, Not(HasSubstr(reference)));
  }
  EXPECT_THAT(html, HasSubstr("@media (prefers-color-scheme: dark)"));
  EXPECT_THAT(html, HasSubstr("<svg class=\"chart\""));
  EXPECT_TRUE(absl::EndsWith(html, "</html>\n"));

  const std::string markdown = read_file(markdown_path);
  for (const char* line :
       {"| contender | version |\n|---|--:|\n", "| goal | measured [interval] | wanted |",
        "### Echo\n", "| trial | measure | epore x epoll [interval] |"}) {
    EXPECT_THAT(markdown, HasSubstr(line));
  }

  const std::string json_text = read_file(json_path);
  JsonReader json(json_text);
  EXPECT_TRUE(json.is_valid());
  for (const char* key :
       {"machine", "contenders", "trials", "idle", "micro", "compile", "sizes", "goals", "is_met",
        "against_asio", "against_epoll", "rounds", "cpu_ns_per_message", "loaded_bytes"}) {
    EXPECT_TRUE(json.has_key(key)) << key;
  }
}

TEST(ArenaProgramTest, SaysWhatIsWrongWithAFlagBeforeItMeasures) {
  for (const char* flag : {"--only=nothing", "--contenders=nobody", "--contenders=,", "--rounds=-1",
                           "--seconds=-1", "--json=/nowhere/arena.json", "word"}) {
    EXPECT_FALSE(run_arena_program({flag}).status.ok()) << flag;
  }
}

}  // namespace
}  // namespace epore::bench
