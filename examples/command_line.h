#ifndef EPORE_EXAMPLES_COMMAND_LINE_H_
#define EPORE_EXAMPLES_COMMAND_LINE_H_

#include <string>
#include <string_view>
#include <vector>

namespace examples {

// Parses Abseil flags, spelt with - or _ (--max-delay is max_delay), and returns the arguments that
// are no flags. Ends the program after --help, with `help` on stdout, and after a flag that is
// unknown or malformed, with 1 and a message on stderr.
std::vector<std::string> parse_command_line(int argc, char** argv, std::string_view help);

// Says on stderr what is wrong with a command line and ends the program with 1.
[[noreturn]] void usage_error(std::string_view message);

}  // namespace examples

#endif  // EPORE_EXAMPLES_COMMAND_LINE_H_
