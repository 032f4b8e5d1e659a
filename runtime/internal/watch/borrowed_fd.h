#ifndef EPORE_RUNTIME_INTERNAL_WATCH_BORROWED_FD_H_
#define EPORE_RUNTIME_INTERNAL_WATCH_BORROWED_FD_H_

#include <atomic>
#include <cstdint>

#include "epore/poll/kernel/kernel.h"

namespace epore::internal {

// A BorrowedFd is a descriptor whose owner may close it as soon as give_back() has returned. It is
// never closed here. Any thread may call any method.
//
// word_ has four bits: kCall (a thread makes a system call with the descriptor), kGivenBack, kDone
// (nobody will make another call), and kWaiters (a thread waits for a change).
//
//   free --begin_call()--> in a call --end_call()--> free
//   free, in a call --give_back()--> given back --end_call()--> given back, no call
//   given back, no call --done()--> done
//
// The race that it is for:
//
//   the runner                              another thread
//   about to rearm descriptor 7
//                                           cancel(); close(7); accept() gets 7 again
//   rearms 7, which is a stranger's now
//
// With the word, give_back() waits while the runner is in its system call, which does not block.
// No later begin_call() returns true.
//
// Orders: the first thread that sets kGivenBack has the last call. All changes are acq_rel and the
// loads acquire, so each caller sees what the calls before it have stored beside the word.
class BorrowedFd {
 public:
  BorrowedFd(Kernel& kernel, int fd) : kernel_(kernel), fd_(fd) {}

  int get() const { return fd_; }

  // True: the caller may make a system call, and then calls end_call(). False: it was given back.
  [[nodiscard]] bool begin_call();
  void end_call() { clear(kCall, 0); }

  // True: the caller gives it back, makes the last system call, and then calls done(). False: it
  // was given back before, and the last call has ended.
  [[nodiscard]] bool give_back();
  void done() { clear(0, kDone); }

  bool is_given_back() const { return (word_.load(std::memory_order_acquire) & kGivenBack) != 0; }

 private:
  static constexpr std::uint32_t kCall = 1;
  static constexpr std::uint32_t kGivenBack = 2;
  static constexpr std::uint32_t kDone = 4;
  static constexpr std::uint32_t kWaiters = 8;

  void clear(std::uint32_t bits, std::uint32_t set);
  void await(std::uint32_t bit, bool is_set);

  Kernel& kernel_;
  const int fd_;
  std::atomic<std::uint32_t> word_{0};
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_WATCH_BORROWED_FD_H_
