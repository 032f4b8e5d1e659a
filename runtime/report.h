#ifndef EPORE_RUNTIME_REPORT_H_
#define EPORE_RUNTIME_REPORT_H_

#include "absl/status/status.h"

namespace epore {

// Returns the exit code for main(): 0 if `status` is ok. Otherwise prints it on stderr and
// returns 1.
int report(const absl::Status& status);

}  // namespace epore

#endif  // EPORE_RUNTIME_REPORT_H_
