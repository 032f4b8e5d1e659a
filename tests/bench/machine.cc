#include "tests/bench/machine.h"

#include <sys/utsname.h>

#include <fstream>
#include <string>

#include "absl/base/config.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/affinity.h"

namespace epore::bench {
namespace {

// What the compiler says about this file holds for all that Bazel built with it.
#if defined(__clang__)
constexpr char kCompiler[] = "clang " __clang_version__;
#elif defined(__GNUC__)
constexpr char kCompiler[] = "gcc " __VERSION__;
#else
constexpr char kCompiler[] = "an unknown compiler";
#endif

#if defined(__OPTIMIZE__) && defined(NDEBUG)
constexpr bool kOptimised = true;
#else
constexpr bool kOptimised = false;
#endif

#if defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr char kSanitizer[] = "ThreadSanitizer";
#elif defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr char kSanitizer[] = "AddressSanitizer";
#else
constexpr char kSanitizer[] = "";
#endif

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    }
  }
  return "unknown";
}

}  // namespace

Machine Machine::here() {
  utsname system = {};
  ::uname(&system);
  const bool is_sanitized = kSanitizer[0] != '\0';
  return {
      .kernel = absl::StrCat(system.sysname, " ", system.release, " ", system.machine),
      .cpu = cpu_model(),
      .cores = static_cast<int>(allowed_cores().size()),
      .compiler = std::string(absl::StripAsciiWhitespace(kCompiler)),
      .build = absl::StrCat(kOptimised ? "optimised" : "not optimised",
                            is_sanitized ? ", with " : "", kSanitizer),
      .is_optimised = kOptimised && !is_sanitized,
  };
}

}  // namespace epore::bench
