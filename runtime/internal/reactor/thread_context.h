#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_THREAD_CONTEXT_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_THREAD_CONTEXT_H_

#include <cstdint>

#include "epore/runtime/internal/base/io_buffers.h"

namespace epore::internal {

class Core;
class Reactor;
class Runnable;
class WatchedThread;

// Which runtime's thread this is and what it is doing; all null on a thread of the program.
struct ThreadContext {
  Core* core = nullptr;
  Reactor* reactor = nullptr;   // whose poll thread or relief this is
  Reactor* leads = nullptr;     // whose lead it holds now; not while it is exposed
  Runnable* current = nullptr;  // in whose run() it is
  IoBuffers* buffers = nullptr;
  WatchedThread* watched = nullptr;
  std::int64_t now = 0;  // cached: after the poll, or before the run
};

inline constinit thread_local ThreadContext this_thread;

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_THREAD_CONTEXT_H_
