#ifndef EPORE_RUNTIME_INTERNAL_DISPATCH_WAKE_FLAG_H_
#define EPORE_RUNTIME_INTERNAL_DISPATCH_WAKE_FLAG_H_

#include <atomic>
#include <cstdint>

namespace epore::internal {

// A WakeFlag saves wakes. If several producers have work for a sleeping poll thread, only one of
// them writes the eventfd. If the poll thread is awake, none does.
//
//   | value | meaning                                                                     |
//   |-------|-----------------------------------------------------------------------------|
//   | 0     | the poll thread sleeps or is about to: a producer must write the eventfd    |
//   | 1     | it is awake, or a wake is under way: it will look at its queues before sleep |
//
//   poll thread                                   producer
//   (1) flag = exchange(0)      [allow]           (a)  push work
//   (2) look at the queues                        (a') if load() == 1: done   [is_awake]
//   (3) nothing there: poll(), blocking           (b)  if exchange(1) == 0    [set]
//   (4) exchange(1)             [awake]           (c)      write the eventfd
//       the turn, which looks at the queues                it fails: exchange(0)  [failed]
//
// The rule: the flag is cleared before the queues are looked at. All accesses are sequentially
// consistent, except failed(), which is acq_rel. Every write is an exchange. Each exchange
// therefore synchronises with all exchanges before it in the modification order; a plain store in
// (4) would break that.
//
// Claim 1: if an allow (1) comes after a producer's (b) or (a'), the look (2) sees the work.
//
// - After (b): the exchange (1) synchronises with the exchange (b), which comes after the push.
// - After (a'): the load (a') read a 1 that was written before (1). In the order of sequentially
//   consistent operations (a) comes before (a'), (a') before (1), and (1) before (2). This requires
//   that the push (a) is a sequentially consistent read-modify-write, as in Handoff::push(). The
//   load (a') only saves a write to a cache line that all producers share.
//
// Claim 2: such a (1) comes. It depends on what the producer read:
//
// - 0 in (b): the poll thread is between (1) and (4). The write (c) ends its poll(), which looks
//   again.
// - 1 from (4), or from the start: the poll thread is in its turn. The turn ends with a (1).
// - 1 from the (b) of another producer: that producer writes the eventfd.
//
// So no wake is lost, and no timeout is needed as a safety net.
//
// The race that the flag is for, with the queues looked at first and the flag cleared second:
//
//   poll thread                                   producer
//   looks at the queues: nothing
//                                                 pushes work; flag is 1: no write
//   flag = 0
//   poll(): sleeps with work in the queue
//
// If the write (c) fails, the flag must not stay 1, or nobody would ever write again. The producer
// calls failed(), which takes back only its own set(). A producer that read this 1 meanwhile has
// relied on the write. The work of both then waits until the poll() ends for another reason: an
// event, a timer, or the next producer, which reads 0. Waker::wake() handles EINTR and EAGAIN, so a
// write fails only if a test's Kernel lets it fail.
class WakeFlag {
 public:
  // The poll thread, before its last look at the queues before it sleeps.
  void allow() { flag_.exchange(0, std::memory_order_seq_cst); }

  // The poll thread, after its sleep. Sequentially consistent, as watchdog.h needs it.
  void awake() { flag_.exchange(1, std::memory_order_seq_cst); }

  // The watchdog: whether the poll thread sleeps or is about to, and nobody has woken it.
  bool is_asleep() const { return flag_.load(std::memory_order_seq_cst) == 0; }

  // A producer, after a push that is sequentially consistent. True: there is nothing left to do.
  bool is_awake() const { return flag_.load(std::memory_order_seq_cst) == 1; }

  // A producer, after a push. True: it must write the eventfd.
  bool set() { return flag_.exchange(1, std::memory_order_seq_cst) == 0; }

  // A producer whose set() returned true and whose write failed.
  void failed() { flag_.exchange(0, std::memory_order_acq_rel); }

 private:
  std::atomic<std::uint32_t> flag_{1};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_DISPATCH_WAKE_FLAG_H_
