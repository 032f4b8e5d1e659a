#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_WATCHDOG_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_WATCHDOG_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "epore/runtime/internal/reactor/patience.h"
#include "epore/runtime/options.h"

namespace epore::internal {

class Core;
class Reactor;
class WatchedThread;

// RuntimeOptions::blocked_callback_warning in ns, or kNever.
std::int64_t warn_after(const RuntimeOptions& options);

// The Watchdog is the thread that notices when other threads are stuck in user code. It runs no
// user code, so it is never stuck itself. Every tick it looks at each leader and each worker:
//
// - A leader that has been in one run since the last tick gets a relief (lead.h). If it spent the
//   time waiting for a processor, it gets none. See Patience, too.
// - A worker that has been in one run for too long is blocked. The log names the callback, and a
//   spare worker takes the worker's place.
//
// The tick is slow while no leader is stuck, and slowest while no poll thread ever sleeps. It is
// fast for a while after a leader was stuck, because one slow callback is seldom alone.
//
// In an idle runtime the watchdog sleeps. It falls asleep after some ticks in which nothing ran. A
// thread that begins to work pokes it, which is one load of a word that hardly ever changes.
//
// The race: a callback begins while the watchdog falls asleep.
//
//   watchdog                              leader, after its poll
//   (1) word = asleep                     (a) wake flag = 1   (see WakeFlag)
//   (2) all wake flags 0? then sleeps     (b) word == asleep? then wakes the watchdog
//
// All four are sequentially consistent. If (2) reads 0, it comes before (a), so (1) comes before
// (b), and (b) reads "asleep". For workers the lock of the pool does the same.
class Watchdog {
 public:
  explicit Watchdog(Core& core) : core_(core) {}

  absl::Status start();
  void stop();

  // The watchdog, and WorkerPool::watch() on it: whether the thread, which is in a callback, sleeps
  // in futex(2) while another thread of the runtime runs. Then it probably waits for a lock that
  // this one holds, and a thread in its place would wait for the same lock.
  bool waits_for_lock(int thread);

  // The same: has the log name what the thread is stuck in for too long. True: call again later.
  bool report(WatchedThread& thread, std::int64_t now);

  // Called by a thread that begins to work: wakes the watchdog if it is asleep.
  void poke() {
    if (word_.load(std::memory_order_seq_cst) == kAsleep) wake();
  }

 private:
  static constexpr std::uint32_t kAwake = 0;
  static constexpr std::uint32_t kAsleep = 1;
  static constexpr std::uint32_t kStopped = 2;

  // A reactor at the last tick.
  struct Seen {
    std::uint64_t lead = 0;
    bool is_suspect = false;
    std::int64_t run_delay = 0;  // of its leader, if that is a suspect
    std::int64_t cpu = 0;        // of its leader, if that is a suspect
    std::int64_t since = 0;      // when it became a suspect
    Patience patience;
  };

  void wake();
  void loop();
  void sleep();
  bool tick(std::int64_t now);  // false: nothing has run since the last tick
  bool look_at(Reactor& reactor, Seen& seen, std::int64_t now);
  std::int64_t interval(std::int64_t now) const;
  bool is_all_asleep();

  Core& core_;
  std::atomic<std::uint32_t> word_{kAwake};  // kAwake, kAsleep or kStopped; the futex to park on
  std::vector<Seen> seen_;                   // by reactor
  std::vector<int> others_;                  // of waits_for_lock()
  std::int64_t last_tick_ = 0;
  std::int64_t alert_until_ = 0;
  bool naps_ = false;  // the last tick saw that something ran, and that a poll thread sleeps

  std::uint64_t thread_ = 0;
  bool is_started_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_WATCHDOG_H_
