#ifndef EPORE_RUNTIME_INTERNAL_WATCH_FD_WATCH_H_
#define EPORE_RUNTIME_INTERNAL_WATCH_FD_WATCH_H_

#include <atomic>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "epore/poll/interest.h"
#include "epore/poll/readiness.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/registration.h"
#include "epore/runtime/internal/watch/borrowed_fd.h"

namespace epore::internal {

// An FdWatch waits for a descriptor that belongs to somebody else: what Runtime::watch() and
// readable() have in common.
//
// The registration is one-shot, and is rearmed at the end of each run. The kernel looks at the
// descriptor when it is rearmed, so a readiness that lasts is reported again, and one that came
// during the run is not lost. Meanwhile the queue is silent, on whatever thread the run is.
//
//   armed --event--> run(): is_ready() --> armed again
//     |                  |
//     +--- end() --------+---> ended: the descriptor is not touched any more
//                                run(): has_ended(), once
//
// A descriptor always goes to the same reactor, so that a second watch of it is refused there
// (EEXIST).
class FdWatch : public Registration {
 public:
  // Starts to watch. Called once, before anybody else knows this. Errors, which name `call`; then
  // nothing is left: FailedPrecondition if the runtime is shut down; ResourceExhausted without a
  // slot; those of the event queue. Throws std::bad_alloc.
  absl::Status start(const char* call);

  // Any thread: ends the watch. When it returns, the descriptor is not touched any more. False: it
  // had ended before. The last run comes soon.
  bool end();

  // Any thread: from the next run on. An empty one hears nothing.
  void set_interest(Interest interest);

  int fd() const { return fd_.get(); }
  bool is_active() const { return !fd_.is_given_back(); }

  // Runnable, Registration.
  void run() override;
  std::string describe() const override;
  void queue_in_order(Ref<Runnable> self) override { order_->push(std::move(self)); }
  void shut_down(ShutdownStep step) override;

 protected:
  // `order` may be null: then the watch is an order of its own.
  FdWatch(Ref<Core> core, Ref<OrderState> order, int fd, Interest interest);

  // In the order: the descriptor is ready. `readiness` is not empty.
  virtual void is_ready(Readiness readiness) = 0;

  // In the order: the watch has ended, because the queue has refused to go on. has_ended() follows.
  virtual void has_failed(const absl::Status& why) = 0;

  // In the order, once: it has ended. Destroys what it holds of the program.
  virtual void has_ended() = 0;

  Core& core() const { return *core_; }

  // For system calls of others with the descriptor.
  BorrowedFd& borrowed() { return fd_; }

 private:
  // The reactor that watches `fd`.
  static Reactor& home_of(Core& core, int fd);

  absl::Status begin(const char* call);
  Readiness take_readiness(Interest wanted);
  void rearm();
  absl::Status register_for(Interest wanted);
  void expired() override {}  // TimerNode: it is never armed

  // Constant after construction.
  const Ref<Core> core_;
  const Ref<OrderState> order_;

  BorrowedFd fd_;

  // In a call of fd_ only: whether the queue has the descriptor.
  bool is_registered_ = false;

  // What the program wants to hear. Any thread stores (release) and then wakes this, whose run
  // loads (acquire). A change during a run causes another run (DispatchWord).
  std::atomic<Interest> interest_;

  // Stored by the shutdown (release) before a wake, loaded by the run (acquire).
  std::atomic<bool> is_stopped_{false};

  // The runner only.
  Interest armed_;  // what the queue reports; empty when it has reported, or is to hear nothing
  bool is_over_ = false;
};

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_WATCH_FD_WATCH_H_
