#ifndef EPORE_RUNTIME_INTERNAL_BASE_CAUGHT_EXCEPTION_H_
#define EPORE_RUNTIME_INTERNAL_BASE_CAUGHT_EXCEPTION_H_

#include "absl/status/status.h"

namespace epore::internal {

// Returns the current exception as an Internal status. Called in the catch (...) around user code.
// It is not inline, so that a call of user code stays small.
absl::Status caught_exception();

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_CAUGHT_EXCEPTION_H_
