#ifndef EPORE_POLL_KERNEL_SANITIZERS_H_
#define EPORE_POLL_KERNEL_SANITIZERS_H_

#include "absl/base/config.h"

namespace epore::internal {

// Which tools this build is for, for code that must not hide from them what they look for.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
inline constexpr bool kHasAddressSanitizer = true;
#else
inline constexpr bool kHasAddressSanitizer = false;
#endif

// Whether the tool replaces functions of libc, to see what the system reads, writes and orders.
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER) || \
    defined(ABSL_HAVE_MEMORY_SANITIZER)
inline constexpr bool kReplacesLibc = true;
#else
inline constexpr bool kReplacesLibc = false;
#endif

}  // namespace epore::internal

#endif  // EPORE_POLL_KERNEL_SANITIZERS_H_
