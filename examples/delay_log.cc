#include "examples/delay_log.h"

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "examples/text.h"

namespace examples {

void DelayLog::arrived(std::uint64_t milliseconds, std::string_view message) {
  const std::string rest = absl::StrCat(" - ", milliseconds, "ms: ", on_one_line(message), "\n");
  const absl::MutexLock lock(&mutex_);
  const std::string line = absl::StrCat("#", ++count_, rest);
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

}  // namespace examples
