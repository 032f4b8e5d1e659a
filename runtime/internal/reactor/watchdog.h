#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_WATCHDOG_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_WATCHDOG_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace epore::internal {

class Core;
class Reactor;

// The thread that notices when others are stuck in user code. It runs none itself, so it is never
// stuck. Every tick it looks at each leader and each worker:
//
// - a leader that has been in one run since the last tick gets a relief, see Lead, unless it spent
//   the time waiting for a processor;
// - a worker that has been in one run for too long is blocked: it is named in the log, and a spare
//   worker takes its place.
//
// It ticks slowly as long as no leader is ever stuck, slowest while none sleeps, and fast for a
// while after one was stuck: where there is one slow callback there are more.
//
// Off when idle: after some ticks in which nothing ran it sleeps, until somebody who begins to work
// pokes it. Whether a poke is needed is one load of a word that hardly ever changes:
//
//   watchdog                              leader, after its poll
//   (1) asleep = 1                        (a) wake flag = 1   (see WakeFlag)
//   (2) all wake flags 0? then sleeps     (b) asleep == 1? then wakes it
//
// All four are sequentially consistent: if (2) read 0 before (a), (1) came before (b), which reads
// 1. Workers have the pool's lock in the place of the wake flag.
class Watchdog {
 public:
  explicit Watchdog(Core& core) : core_(core) {}

  absl::Status start();
  void stop();

  // Whoever begins to work, if the watchdog may be asleep.
  void poke() {
    if (word_.load(std::memory_order_seq_cst) == kAsleep) wake();
  }

 private:
  static constexpr std::uint32_t kAwake = 0;
  static constexpr std::uint32_t kAsleep = 1;
  static constexpr std::uint32_t kStopped = 2;

  // Of a reactor at the last tick.
  struct Seen {
    std::uint64_t lead = 0;
    bool is_suspect = false;
    std::int64_t run_delay = 0;  // of a suspect
  };

  void wake();
  void loop();
  void sleep();
  bool tick(std::int64_t now);  // false: nothing has run since the last one
  bool look_at(Reactor& reactor, Seen& seen, std::int64_t now);
  std::int64_t interval(std::int64_t now) const;
  bool is_all_asleep();

  Core& core_;
  std::atomic<std::uint32_t> word_{kAwake};
  std::vector<Seen> seen_;  // of each reactor
  std::int64_t last_tick_ = 0;
  std::int64_t alert_until_ = 0;
  bool naps_ = false;  // at the last tick: something has run since, and a poll thread sleeps

  std::uint64_t thread_ = 0;
  bool is_started_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_WATCHDOG_H_
