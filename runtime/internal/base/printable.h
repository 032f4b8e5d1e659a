#ifndef EPORE_RUNTIME_INTERNAL_BASE_PRINTABLE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_PRINTABLE_H_

#include <string>
#include <string_view>

namespace epore::internal {

// A text that came from outside, for messages and logs: its first 100 characters, "..." if there
// are more, with quotes, control characters and what is not UTF-8 escaped as in C.
std::string printable(std::string_view text);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_PRINTABLE_H_
