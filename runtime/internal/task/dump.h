#ifndef EPORE_RUNTIME_INTERNAL_TASK_DUMP_H_
#define EPORE_RUNTIME_INTERNAL_TASK_DUMP_H_

#include <cstdint>
#include <string>

#include "epore/runtime/internal/task/task_node.h"

namespace epore::internal {

// Adds to `text` what a suspended chain waits for at the time `now`: a line for each coroutine, the
// outermost first, and below it what it awaits. The children of a join are beside each other. Of
// very long chains the middle is left out. In the order of the chain. Throws std::bad_alloc.
void dump_chain(const TaskChain& chain, std::int64_t now, std::string& text);

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_TASK_DUMP_H_
