#ifndef EPORE_TESTS_BENCH_TEXT_TABLE_H_
#define EPORE_TESTS_BENCH_TEXT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

namespace epore::bench {

// Lines up rows of text for a terminal: the first column to the left, the others to the right, each
// as wide as its widest cell, two spaces between them. Rows may be short. Widths are in bytes.
class TextTable {
 public:
  void add_row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string to_string() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_TEXT_TABLE_H_
