// The page of guarantees names tests that exist: each guarantee has one at least.

#include <cctype>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// What stands between backticks.
std::vector<std::string> quoted(std::string_view text) {
  std::vector<std::string> all;
  for (std::size_t at = 0; (at = text.find('`', at)) != std::string_view::npos;) {
    const std::size_t end = text.find('`', at + 1);
    if (end == std::string_view::npos) break;
    all.emplace_back(text.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return all;
}

// The last cell of a line "| ... | ... |" of a table; empty for another line.
std::string_view last_cell(std::string_view line) {
  if (!line.starts_with("| ") || !line.ends_with(" |")) return {};
  line.remove_suffix(2);
  return line.substr(line.rfind(" | ") + 3);
}

bool is_test_file(std::string_view word) { return word.ends_with("_test"); }

// Names of tests are claims in CamelCase; `Observer` is a class of tests/runtime.
bool is_test_name(std::string_view word) {
  if (word.empty() || std::isupper(static_cast<unsigned char>(word[0])) == 0) return false;
  return word != "Observer" && word.find_first_of(" :.<(") == std::string_view::npos;
}

// The text of a test file, which the page names without the folder of its section.
std::string source(const std::string& file) {
  for (const char* folder :
       {"", "tests/runtime/", "tests/runtime/task/", "tests/runtime/testing/"}) {
    if (std::string text = read(folder + file + ".cc"); !text.empty()) return text;
  }
  return "";
}

TEST(Guarantees, EachTestThatThePageNamesExists) {
  std::istringstream page(read("docs/guarantees.md"));
  int guarantees = 0;
  int tests = 0;
  for (std::string line; std::getline(page, line);) {
    const std::string_view cell = last_cell(line);
    if (cell.empty() || cell == "tests") continue;
    ++guarantees;
    int files = 0;
    std::string text;
    for (const std::string& word : quoted(cell)) {
      if (is_test_file(word)) {
        ++files;
        text = source(word);
        EXPECT_FALSE(text.empty()) << word << " in: " << line;
      } else if (is_test_name(word)) {
        ++tests;
        EXPECT_NE(text.find(", " + word + ")"), std::string::npos) << word << " in: " << line;
      }
    }
    EXPECT_GT(files, 0) << line;
  }
  EXPECT_GT(guarantees, 40);
  EXPECT_GT(tests, 100);
}

}  // namespace
