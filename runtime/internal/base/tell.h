#ifndef EPORE_RUNTIME_INTERNAL_BASE_TELL_H_
#define EPORE_RUNTIME_INTERNAL_BASE_TELL_H_

#include <new>

namespace epore::internal {

// Calls write(), which writes a line to the log. Without memory the line is lost. Most lines come
// from threads, destructors and ends of callbacks, which could tell nobody of a std::bad_alloc.
//
//   tell([&] { LOG(ERROR) << "epore: " << why.message(); });
template <typename Write>
void tell(Write write) noexcept {
  try {
    write();
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_TELL_H_
