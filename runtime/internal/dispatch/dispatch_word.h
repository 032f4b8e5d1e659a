#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_DISPATCH_WORD_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_DISPATCH_WORD_H_

#include <atomic>
#include <cstdint>

namespace epore::internal {

// A DispatchWord decides who runs a Runnable. At most one thread runs it at a time, it is in at
// most one queue, and no wake is lost.
//
// The word is one atomic byte of two bits, PENDING (1) and RUNNING (2):
//
//   | value | name          | a queue entry | a thread in run() |
//   |-------|---------------|---------------|-------------------|
//   | 0     | idle          | no            | no                |
//   | 1     | queued        | yes           | no                |
//   | 2     | running       | no            | yes               |
//   | 3     | running-again | no            | yes               |
//
//              (1) wake               (2) begin
//      idle ------------> queued ----------------> running
//       ^                  ^ (wake: stays)          |   |
//       |                  |                        |   | (3) wake
//       | (4) end          | (5) end                |   v          (6) claim: idle -> running
//       +------------------|------------------------+  running-again (wake: stays)
//                          +-----------------------------+
//
//   (1), (3) wake(): fetch_or(PENDING), acq_rel. Whoever turned 0 into 1 must queue the Runnable.
//            Nobody else queues it.
//   (2)      begin(): exchange(RUNNING), seq_cst, by the thread that took the queue entry.
//   (6)      claim(): compare-exchange 0 -> RUNNING, acq_rel. It is wake() and begin() in one, for
//            a thread that would run the Runnable at once anyway. If it fails, it is a wake().
//            claim_idle() is its first half: if it fails, the caller pushes its work first. Any
//            thread may look at an idle Runnable that way: claim_idle(), reading, end().
//            claim_led() and end_led() are the same with plain loads and stores. They are for
//            timers, which only the leader of their reactor wakes. While a timer is idle, or the
//            leader runs it and was not relieved, no other thread writes the word. Lead orders the
//            leaders.
//   (4), (5) end(): compare-exchange RUNNING -> 0, release. If it fails, the word is running-again;
//            it becomes PENDING, and the caller must queue the Runnable again.
//
// Orders. A run() must see what a thread did before the wake() that caused it. Every wake() is a
// read-modify-write with release, also if it changes nothing, and begin() acquires. So begin()
// reads from that wake() or from a later one in its release sequence, and synchronises with it.
// Likewise end() releases and the next begin() acquires: each run() sees what the one before did.
//
// wake_pushed() may only read, and then it is in no release sequence. Instead the push, its load,
// begin() and the look of run() are all sequentially consistent. Only begin() clears PENDING. If
// the load reads PENDING, it comes before that begin(), and so the push comes before the look of
// run().
//
// The race that the word is for, with a plain flag "is running" instead:
//
//   poll thread                           worker
//                                         recv -> EAGAIN
//   event: readable; the flag is set,
//   so it does not queue
//                                         clears the flag
//
// The bytes then wait until the next event. With the word the event makes it running-again, end()
// fails, and the worker queues the Runnable again.
class DispatchWord {
 public:
  // Asks for a run(). True: the caller must queue the Runnable.
  bool wake() { return word_.fetch_or(kPending, std::memory_order_acq_rel) == kIdle; }

  // As wake(), for a caller that pushed work with a sequentially consistent operation, which run()
  // reads with another. If a run() is pending anyway, this only reads. The word then stays in the
  // caches of all threads that push.
  bool wake_pushed() { return !is_pending() && wake(); }

  // Whether a run() was asked for and has not begun.
  bool is_pending() const { return (word_.load(std::memory_order_seq_cst) & kPending) != 0; }

  // Any thread: whether a thread is in run() at this moment.
  bool is_running() const { return (word_.load(std::memory_order_acquire) & kRunning) != 0; }

  enum class Claim { run, queue, none };

  // Asks for a run() on this thread. `run`: the caller must run it now, as after begin(). `queue`:
  // the caller must queue it, as after wake(). `none`: the thread that has it will run it again.
  Claim claim() {
    if (claim_idle()) [[likely]]
      return Claim::run;
    return wake() ? Claim::queue : Claim::none;
  }

  // The first half of claim(). True: the caller must run it now. False: nothing is asked for.
  [[nodiscard]] bool claim_idle() {
    std::uint8_t expected = kIdle;
    return word_.compare_exchange_strong(expected, kRunning, std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }

  // As claim(), for the leader and a Runnable that only the leader wakes. True: the caller must run
  // it now. No other thread writes the word while it is idle, so this needs no locked instruction.
  [[nodiscard]] bool claim_led() {
    if (word_.load(std::memory_order_acquire) != kIdle) return false;
    word_.store(kRunning, std::memory_order_relaxed);
    return true;
  }

  // After that run(), if the caller has led all the time, so that nobody woke it. A leader that was
  // relieved calls end().
  void end_led() { word_.store(kIdle, std::memory_order_release); }

  // Before run().
  void begin() { word_.exchange(kRunning, std::memory_order_seq_cst); }

  // After run(). False: a wake() came meanwhile, and the caller must queue the Runnable again.
  bool end() {
    std::uint8_t expected = kRunning;
    if (word_.compare_exchange_strong(expected, kIdle, std::memory_order_release,
                                      std::memory_order_relaxed)) {
      return true;
    }
    word_.exchange(kPending, std::memory_order_acq_rel);
    return false;
  }

 private:
  static constexpr std::uint8_t kIdle = 0;
  static constexpr std::uint8_t kPending = 1;
  static constexpr std::uint8_t kRunning = 2;

  std::atomic<std::uint8_t> word_{kIdle};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_DISPATCH_WORD_H_
