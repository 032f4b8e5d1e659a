#include "examples/command_line.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/match.h"

namespace examples {

std::vector<std::string> parse_command_line(int argc, char** argv, std::string_view help) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    const std::string_view argument = argv[i];
    // Abseil's own --help exits with 1 and lists flags by source file.
    if (argument == "--help" || argument == "-help" || argument == "-h") {
      std::fwrite(help.data(), 1, help.size(), stdout);
      std::exit(0);
    }
    if (absl::StartsWith(argument, "--")) {
      std::replace(argv[i] + 2, argv[i] + std::min(argument.find('='), argument.size()), '-', '_');
    }
  }
  absl::SetProgramUsageMessage(help);
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  return {rest.begin() + 1, rest.end()};
}

void usage_error(std::string_view message) {
  std::fprintf(stderr, "ERROR: %.*s (see --help)\n", static_cast<int>(message.size()),
               message.data());
  std::exit(1);
}

}  // namespace examples
