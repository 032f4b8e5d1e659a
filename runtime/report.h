#ifndef EPORE_RUNTIME_REPORT_H_
#define EPORE_RUNTIME_REPORT_H_

#include "absl/status/status.h"

namespace epore {

// For the end of main(): prints a status that is not ok on stderr and returns the exit code, 0 for
// ok, otherwise 1.
int report(const absl::Status& status);

}  // namespace epore

#endif  // EPORE_RUNTIME_REPORT_H_
