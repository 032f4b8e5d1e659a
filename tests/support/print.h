#ifndef EPORE_TESTS_SUPPORT_PRINT_H_
#define EPORE_TESTS_SUPPORT_PRINT_H_

#include <ostream>

#include "epore/poll/event.h"
#include "epore/poll/interest.h"

namespace epore {

// How failures show the values of `poll/`.
std::ostream& operator<<(std::ostream& out, Token token);          // "7"
std::ostream& operator<<(std::ostream& out, Readiness readiness);  // "readable|read_closed"
std::ostream& operator<<(std::ostream& out, Interest interest);    // "readable|writable level"
std::ostream& operator<<(std::ostream& out, const Event& event);   // "{7: readable}"

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_PRINT_H_
