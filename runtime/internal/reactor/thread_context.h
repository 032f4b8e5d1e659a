#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_THREAD_CONTEXT_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_THREAD_CONTEXT_H_

#include <cstddef>
#include <cstdint>

#include "epore/runtime/internal/base/io_buffers.h"

namespace epore::internal {

class Core;
class OrderState;
class Reactor;
class Runnable;
class WatchedThread;

// What this thread is and does for a runtime. On a thread of the program all members but signals_of
// and charged_blocks are null.
struct ThreadContext {
  Core* core = nullptr;
  Reactor* reactor = nullptr;   // of which this thread is the poll thread or the relief
  Reactor* leads = nullptr;     // whose lead this thread holds; null while the lead is exposed
  Runnable* current = nullptr;  // in whose run() this thread is
  OrderState* order = nullptr;  // whose members this thread runs
  Runnable* claimed_member = nullptr;  // with which the order that was claimed begins
  int member_runs = 0;                 // the number of members that the last order ran here
  IoBuffers* buffers = nullptr;
  WatchedThread* watched = nullptr;
  Core* signals_of = nullptr;  // whose on_signal callback runs on this thread, one of the program
  std::int64_t now = 0;        // cached: after the poll, or before the run
  std::size_t charged_blocks = 0;  // see QueueBudget
};

inline constinit thread_local ThreadContext this_thread;

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_THREAD_CONTEXT_H_
