#include "tests/bench/contender_program.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"

ABSL_FLAG(std::string, address, "127.0.0.1:0", "where to listen, HOST:PORT; port 0: any");
ABSL_FLAG(int, parent, 0, "end with the process that has this id and started this one; 0: do not");

namespace epore::bench {

void begin_contender(int argc, char** argv, std::string_view usage) {
  absl::SetProgramUsageMessage(usage);
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) {
    absl::FPrintF(stderr, "%s: unexpected argument: %s\n", argv[0], rest[1]);
    std::exit(2);
  }
  // Until the server has its own way to end, and where it needs none.
  ::signal(SIGTERM, [](int) { ::_exit(0); });
  if (const int parent = absl::GetFlag(FLAGS_parent); parent != 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) std::exit(0);  // it was gone before the line above
  }
}

std::string contender_address() { return absl::GetFlag(FLAGS_address); }

void announce_contender(std::string_view address, std::string_view version) {
  absl::PrintF("LISTEN %s\nVERSION %s\n", address, version);
  std::fflush(stdout);
}

int skip_contender(std::string_view why) {
  absl::PrintF("SKIP %s\n", why);
  return 0;
}

int fail_contender(const absl::Status& status) {
  absl::FPrintF(stderr, "error: %s\n", status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace epore::bench
