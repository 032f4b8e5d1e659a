#ifndef EPORE_TESTS_SUPPORT_PRINT_H_
#define EPORE_TESTS_SUPPORT_PRINT_H_

#include <ostream>

#include "poll/event.h"
#include "poll/interest.h"

namespace epore {

// How GoogleTest shows values of `poll/` in failures.
void PrintTo(Readiness readiness, std::ostream* out);  // "readable|read_closed"
void PrintTo(Interest interest, std::ostream* out);    // "readable|writable level"
void PrintTo(const Event& event, std::ostream* out);   // "{7: readable}"

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_PRINT_H_
