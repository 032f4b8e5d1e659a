#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_WAKE_FLAG_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_WAKE_FLAG_H_

#include <atomic>
#include <cstdint>

namespace epore::internal {

// Saves wakes: of all the producers that have work for a poll thread, one writes the eventfd, and
// none while the poll thread is awake anyway.
//
//   | value | meaning                                                                     |
//   |-------|-----------------------------------------------------------------------------|
//   | 0     | the poll thread sleeps or is about to: a producer must write the eventfd    |
//   | 1     | it is awake, or a wake is under way: it will look at its queues before sleep |
//
//   poll thread                                   producer
//   (1) flag = exchange(0)      [allow]           (a)  push work
//   (2) look at the queues                        (a') if load() == 1: done   [is_awake]
//   (3) nothing there: poll(), blocking           (b)  if exchange(1) == 0    [claim]
//   (4) exchange(1)             [awake]           (c)      write the eventfd
//       the turn, which looks at the queues                it fails: exchange(0)  [failed]
//
// The rule is: the flag is cleared *before* the queues are looked at. Whatever writes the flag is
// an exchange, so that each synchronises with all that come before it in the flag's modification
// order (a plain store in (4) would break that). All accesses are sequentially consistent, but for
// failed(), which is acq_rel.
//
// A (1) that comes after a producer's (b) or (a') has its work seen by (2):
//
// - (b) is before it in the modification order, and (1) synchronises with it;
// - (a') has read a 1 that was written before it, and so is before it in the order of all
//   sequentially consistent operations, and so is (a), and (2) is after it. For that (a) must be a
//   sequentially consistent read-modify-write, as Handoff::push() is. Other producers go to (b)
//   at once; (a') only saves them a write to a line that they all share.
//
// And there is such a (1), by what the producer has read:
//
// - 0, in (b): the poll thread is between (1) and (4), and (c) ends the poll() of (3), the one that
//   runs or the next;
// - the 1 of (4), or the one at the beginning: it is in its turn. The look of this turn may have
//   come before the push already, but the turn ends with a (1), and the look after that sees the
//   work;
// - the 1 of another producer's (b): the (c) of that one is under way.
//
// There is no other case, so no wake is lost, and none needs a timeout as a net.
//
// The race it was designed for is the reverse order, queues first, flag second:
//
//   poll thread                                   producer
//   look at the queues: nothing
//                                                 push work; flag is 1: no write
//   flag = 0
//   poll(): sleeps with work in the queue
//
// A write that fails must not leave the flag set, or nobody would ever write again, so the claimer
// calls failed(). That undoes its own claim only: who has read 1 meanwhile, in (a') or (b), has
// relied on that write and gone. The claimer's work and theirs then lie in the queues until the
// poll() ends for another reason: an event, a timer, or the next producer, which reads 0 and
// writes. As Waker::wake() goes on after EINTR and EAGAIN, no write fails while the Poll lives,
// unless a test's Kernel makes it.
class WakeFlag {
 public:
  // The poll thread, before it looks at its queues for the last time before it sleeps.
  void allow() { flag_.exchange(0, std::memory_order_seq_cst); }

  // The poll thread, after its sleep. Sequentially consistent for the watchdog's sake, see there.
  void awake() { flag_.exchange(1, std::memory_order_seq_cst); }

  // The watchdog: the poll thread sleeps or is about to, and nobody has woken it.
  bool is_asleep() const { return flag_.load(std::memory_order_seq_cst) == 0; }

  // A producer, after it pushed in a sequentially consistent operation. True: it need do nothing.
  bool is_awake() const { return flag_.load(std::memory_order_seq_cst) == 1; }

  // A producer, after it pushed. True: it must write the eventfd.
  bool claim() { return flag_.exchange(1, std::memory_order_seq_cst) == 0; }

  // A producer that has claimed and whose write failed.
  void failed() { flag_.exchange(0, std::memory_order_acq_rel); }

 private:
  std::atomic<std::uint32_t> flag_{1};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_WAKE_FLAG_H_
