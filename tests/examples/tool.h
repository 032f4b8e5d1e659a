#ifndef EPORE_TESTS_EXAMPLES_TOOL_H_
#define EPORE_TESTS_EXAMPLES_TOOL_H_

#include <string>
#include <vector>

namespace examples {

// A program of the machine that talks to an example, as curl(1).
struct Tool {
  explicit Tool(const std::string& name);

  bool is_missing() const { return path.empty(); }
  std::string why_missing() const { return name + " is not installed"; }

  struct Result {
    int exit_code = -1;  // -1: it did not end
    std::string output;  // stdout, with "\n" behind each line
  };

  // Runs it to its end.
  Result run(const std::vector<std::string>& arguments) const;

  std::string name;
  std::string path;
};

}  // namespace examples

#endif  // EPORE_TESTS_EXAMPLES_TOOL_H_
