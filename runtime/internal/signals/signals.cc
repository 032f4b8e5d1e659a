#include "epore/runtime/signals.h"

#include "epore/poll/kernel/signal_trap.h"

namespace epore {

void unblock_signals() { unblock_all_signals(); }

}  // namespace epore
