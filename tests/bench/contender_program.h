#ifndef EPORE_TESTS_BENCH_CONTENDER_PROGRAM_H_
#define EPORE_TESTS_BENCH_CONTENDER_PROGRAM_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace epore::bench {

// What the echo servers that are compared have in common, so that one harness can run them all:
//
//   --address=HOST:PORT   where to listen; port 0: any (the default)
//   --parent=PID          end with this process, also when it is killed
//   --work_us=N           microseconds of CPU that each callback burns before it answers
//   --reply=WAY           echo (the default), ten_sends or broadcast, see contender_work.h
//   --idle_timeout_s=T    seconds after which a connection without any byte is closed, armed anew
//                         for each message; 0: never (the default). Who has no timers says SKIP
//
// Bytes that begin with 'S' when a callback gets them cost it 20 ms of CPU before it answers.
//
// The first line on stdout is "LISTEN HOST:PORT" once connections are accepted, the second "VERSION
// ..." with what is behind the server; or the only one is "SKIP why". SIGTERM ends it with exit 0.
//
// Reads the command line; an error ends the program.
void begin_contender(int argc, char** argv, std::string_view usage);

// The value of --address.
std::string contender_address();

// Prints the two lines.
void announce_contender(std::string_view address, std::string_view version);

// Says on stdout that this contender cannot run here; returns the exit code for main().
int skip_contender(std::string_view why);

// Says on stderr what went wrong; returns the exit code for main(): 2 for a bad flag.
int fail_contender(const absl::Status& status);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_CONTENDER_PROGRAM_H_
