#ifndef EPORE_RUNTIME_INTERNAL_BASE_CAUGHT_EXCEPTION_H_
#define EPORE_RUNTIME_INTERNAL_BASE_CAUGHT_EXCEPTION_H_

#include "absl/status/status.h"

namespace epore::internal {

// In a catch (...) around user code, where every exception ends: what it was, as an Internal
// status. Not inline, so that all it takes to call user code is the call.
absl::Status caught_exception();

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_CAUGHT_EXCEPTION_H_
