#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_DISPATCH_WORD_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_DISPATCH_WORD_H_

#include <atomic>
#include <cstdint>

namespace epore::internal {

// Decides who runs a Runnable: at most one thread at a time, at most one queue entry, no wake lost.
//
// One atomic byte of two bits, PENDING (1) and RUNNING (2):
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
//   (1), (3) wake(): fetch_or(PENDING), acq_rel. The caller that turned 0 into 1, and nobody else,
//            must put the Runnable into a queue.
//   (2)      begin(): exchange(RUNNING), seq_cst, by the thread that took the queue entry.
//   (6)      claim(): compare-exchange 0 -> RUNNING, acq_rel: wake() and begin() in one, for a
//   thread
//            that would run it at once anyway. Where it fails, the word is not idle and it is a
//            wake.
//            claim_led() and end_led(), load and store, are the same for a timer, which only the
//            thread that leads its reactor ever wakes: while that has it idle, or runs it itself
//            and has not been relieved, nobody else writes the word. The lead orders what one
//            leader did before the next (see Lead).
//   (4), (5) end(): compare-exchange RUNNING -> 0, release; if that fails the word is
//            running-again, becomes PENDING, and the caller must queue it again.
//
// Orders. What a thread did before wake() must be seen by the run() that answers it. Every wake()
// is a read-modify-write with release, also one that changes nothing, and begin() is one with
// acquire; so begin() reads from that wake() or a later one in the same modification order (a
// release sequence of read-modify-writes), and synchronises with it. end() releases and the next
// begin() acquires: one run() sees all that the one before did, on whatever thread.
//
// wake_pushed() that finds PENDING changes nothing, so nothing of it is in the release sequence.
// But only begin() clears PENDING, and its push, its load, begin() and run()'s look are
// sequentially consistent, and the load reads what was there before begin(): push, load, begin(),
// look is their order, so the look finds what was pushed.
//
// The race it was designed for, with a plain "is running" flag instead:
//
//   poll thread                           worker
//                                         recv -> EAGAIN
//   event: readable; is running,
//   so does not queue
//                                         is running = false
//
// and the bytes lie there until the next event. Here the event makes the word running-again, so
// that end() fails and the worker queues the Runnable once more.
class DispatchWord {
 public:
  // Asks for a run(). True: the caller must queue the Runnable.
  bool wake() { return word_.fetch_or(kPending, std::memory_order_acq_rel) == kIdle; }

  // The same, after what there is to do was pushed in a sequentially consistent operation to where
  // run() looks in another. Where a run() is to come anyway this only reads: the word stays in the
  // caches of all who push meanwhile.
  bool wake_pushed() { return !is_pending() && wake(); }

  // Whether a run() is to begin that nobody has begun yet.
  bool is_pending() const { return (word_.load(std::memory_order_seq_cst) & kPending) != 0; }

  enum class Claim { run, queue, none };

  // Asks for a run() on this thread. `run`: it is the caller's now, as after begin(). `queue`: the
  // caller must queue it, as after wake(). `none`: whoever has it will see to it.
  Claim claim() {
    std::uint8_t expected = kIdle;
    if (word_.compare_exchange_strong(expected, kRunning, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
      return Claim::run;
    }
    return wake() ? Claim::queue : Claim::none;
  }

  // The same where none but the leader of its reactor ever wakes it, and calls this: true is `run`.
  // While the word is idle nobody else changes it, so it needs no locked instruction.
  [[nodiscard]] bool claim_led() {
    if (word_.load(std::memory_order_acquire) != kIdle) return false;
    word_.store(kRunning, std::memory_order_relaxed);
    return true;
  }

  // After that run(), where it was the leader all along: nobody has woken it. (One that was
  // relieved calls end().)
  void end_led() { word_.store(kIdle, std::memory_order_release); }

  // Before run().
  void begin() { word_.exchange(kRunning, std::memory_order_seq_cst); }

  // After run(). False: it was woken meanwhile, and the caller must queue it again.
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
