#ifndef EPORE_POLL_KERNEL_OR_ENOMEM_H_
#define EPORE_POLL_KERNEL_OR_ENOMEM_H_

#include <cerrno>
#include <new>
#include <string_view>

#include "absl/status/status.h"
#include "epore/poll/kernel/errno_status.h"

namespace epore {

// Calls function(), which returns a Status or a StatusOr. A std::bad_alloc becomes the status of
// ENOMEM, without its text and its errno if there is no memory for them.
template <typename Function>
auto or_enomem(std::string_view call, Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
  }
  try {
    return errno_status(ENOMEM, call);
  } catch (const std::bad_alloc&) {
    return absl::Status(absl::StatusCode::kResourceExhausted, "");  // allocates nothing
  }
}

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_OR_ENOMEM_H_
