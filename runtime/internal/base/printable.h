#ifndef EPORE_RUNTIME_INTERNAL_BASE_PRINTABLE_H_
#define EPORE_RUNTIME_INTERNAL_BASE_PRINTABLE_H_

#include <string>
#include <string_view>

namespace epore::internal {

// Returns a foreign text for messages and logs: its first 100 characters, and "..." if there are
// more. Quotes, control characters and invalid UTF-8 are escaped as in C.
std::string printable(std::string_view text);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_PRINTABLE_H_
