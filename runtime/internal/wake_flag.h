#ifndef EPORE_RUNTIME_INTERNAL_WAKE_FLAG_H_
#define EPORE_RUNTIME_INTERNAL_WAKE_FLAG_H_

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
//   (1) flag = exchange(0)      [allow]           (a) push work
//   (2) look at the queues                        (b) if exchange(1) == 0   [claim]
//   (3) nothing there: poll(), blocking           (c)    write the eventfd
//   (4) exchange(1)             [awake]
//
// The rule is: the flag is cleared *before* the queues are looked at. All sides use an acq_rel
// exchange, so they are ordered: if (b) comes before (1) in the flag's modification order, (1)
// reads from it or from a later exchange, synchronises with it through the release sequence (which
// a plain store in (4) would break), and (2) sees the work of (a). If (b) comes after (1) it reads
// 0, and (c) ends the poll() of (3), the one that runs or the next. There is no third case, so no
// wake is lost and none needs a timeout as a net.
//
// The race it was designed for is the reverse order, queues first, flag second:
//
//   poll thread                                   producer
//   look at the queues: nothing
//                                                 push work; flag is 1: no write
//   flag = 0
//   poll(): sleeps with work in the queue
//
// A producer whose (a) is itself a sequentially consistent exchange, as a push to the inbox is, may
// first look with is_awake(), which writes nothing to a line that all producers share: if that load
// reads 1 and is before (1) in the order of all such operations, so is (a), and (2), which is after
// (1), sees the work. If it is after (1), the 1 is another producer's, whose (c) is on its way, or
// that of (4), and either is followed by a look at the queues.
//
// A write that fails must not leave the flag set, or nobody would ever write again: the producer
// calls failed().
class WakeFlag {
 public:
  // The poll thread, before it looks at its queues for the last time before it sleeps.
  void allow() { flag_.exchange(0, std::memory_order_seq_cst); }

  // The poll thread, after its sleep. Sequentially consistent for the watchdog's sake, see there.
  void awake() { flag_.exchange(1, std::memory_order_seq_cst); }

  // The watchdog: the poll thread sleeps or is about to, and nobody has woken it.
  bool is_asleep() const { return flag_.load(std::memory_order_seq_cst) == 0; }

  // A producer, after it pushed in a sequentially consistent exchange. True: it need do nothing.
  bool is_awake() const { return flag_.load(std::memory_order_seq_cst) == 1; }

  // A producer, after it pushed. True: it must write the eventfd.
  bool claim() { return flag_.exchange(1, std::memory_order_seq_cst) == 0; }

  // A producer whose write failed.
  void failed() { flag_.exchange(0, std::memory_order_acq_rel); }

 private:
  std::atomic<std::uint32_t> flag_{1};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_WAKE_FLAG_H_
