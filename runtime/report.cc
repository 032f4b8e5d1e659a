#include "epore/runtime/report.h"

#include <cstdio>

#include "absl/status/status.h"

namespace epore {

int report(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "error: %s\n",
               status.ToString(absl::StatusToStringMode::kWithNoExtraData).c_str());
  return 1;
}

}  // namespace epore
