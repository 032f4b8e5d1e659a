#ifndef EPORE_TESTS_SUPPORT_FAULT_KERNEL_H_
#define EPORE_TESTS_SUPPORT_FAULT_KERNEL_H_

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/testing/passing_kernel.h"

namespace epore {

// A Kernel that passes every call on to another one, and on the way fails it, stops it in a hook,
// answers the clock, or makes a send or receive shorter.
//
//   FaultKernel kernel;
//   kernel.fail(KernelCall::kEpollCtl, ENOMEM);           // the next epoll_ctl fails
//   kernel.before(KernelCall::kEpollWait, [&](const FaultKernel::Call&) { in_wait.Notify(); });
//   absl::StatusOr<Poll> poll = Poll::create({.kernel = &kernel});
//
// Threads: every method from any thread at any time. Hooks run on the calling thread with no lock
// held, so they may call epore, this kernel, or block. To replace a call altogether, derive and
// override it. Lifetime: outlives what uses it, as any Kernel; its destructor waits for threads.
class FaultKernel : public internal::PassingKernel {
 public:
  // What a hook is told.
  struct Call {
    KernelCall kind;
    int fd;                 // that it is about; the queue's own for epoll calls; -1: there is none
    std::uint64_t nth = 0;  // of its kind, from 1
    SysResult result{0};    // in an after hook: what the caller gets
  };
  using Hook = std::function<void(const Call&)>;

  static constexpr int kAlways = std::numeric_limits<int>::max();

  explicit FaultKernel(Kernel& inner = Kernel::real());
  ~FaultKernel() override;

  // Faults. Of the calls of `kind` from now on, number `k` (from 1) and the `times - 1` after it
  // fail with `error` and do not reach the inner kernel; but a close is always made first, as on
  // Linux. For kResolve, `error` is an EAI_ code. A later fail() of the same kind replaces the
  // earlier one; 0 as `error` takes it away.
  void fail(KernelCall kind, int error, int k = 1, int times = 1);

  // Each call of `kind` for which `error_of` gives an error other than 0 fails with it, as above.
  // An empty function takes it away. It is called as a hook is, behind the kind's own.
  void fail_if(KernelCall kind, std::function<int(const Call&)> error_of);

  // Call number `k` from now on, of any kind but kClock and kClose, fails with `error`. For
  // torture: try k = 1, 2, ... until fault_is_pending() stays true, as there was no k-th call.
  void fail_any(int k, int error);
  bool fault_is_pending() const;

  // From now on epoll_pwait2 fails with `error` and is not counted: ENOSYS is what Linux says
  // before 5.11, EPERM a seccomp filter that does not know the call.
  void hide_epoll_pwait2(int error);

  // Hooks: run before (faults or not) or after each call of `kind`. One each per kind; an empty one
  // takes it away.
  void before(KernelCall kind, Hook hook);
  void after(KernelCall kind, Hook hook);
  // Runs before each call of any kind but kClock, ahead of the kind's own hook.
  void before_each(Hook hook);

  // From now on now() is a clock that moves only by advance(). Waits are not affected: give them a
  // fault, a hook or an event to end them.
  void use_manual_clock();
  void advance(absl::Duration by);

  // No send, sendmsg, sendfile or splice takes, and no recv, recvmsg or pread gives, more than
  // `limit` bytes at once. The bytes are really sent: the caller sees a genuine short write. Must
  // be more than zero.
  void shrink_sends(std::size_t limit);
  void shrink_recvs(std::size_t limit);

  // Returns when every thread that was started has ended, also those that were detached.
  void await_threads();

  // How often `kind` was called, failed calls included; counts() are those of the inner kernel.
  std::uint64_t calls(KernelCall kind) const;

  SysResult recv(int fd, void* buffer, std::size_t size, int flags) override;
  SysResult send(int fd, const void* bytes, std::size_t size, int flags) override;
  SysResult sendmsg(int fd, const msghdr* message, int flags) override;
  SysResult recvmsg(int fd, msghdr* message, int flags) override;
  SysResult pread(int fd, void* buffer, std::size_t size, std::int64_t offset) override;
  SysResult sendfile(int to, int from, std::int64_t offset, std::size_t size) override;
  SysResult splice(int from, int to, std::size_t size, unsigned flags) override;
  SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                         const timespec* timeout) override;
  std::int64_t now() override;
  // As many as the test wants, so that it does the same on every machine.
  int processors() override { return processors_ > 0 ? processors_ : inner().processors(); }
  int thread_id() override;
  // As a system that does not tell, so that only what a thread does decides.
  SysResult run_delay(int, std::int64_t*) override { return SysResult::from_errno(ENOENT); }
  SysResult thread_state(int, ThreadState*) override { return SysResult::from_errno(ENOENT); }
  SysResult thread_cpu(int, std::int64_t*) override { return SysResult::from_errno(EINVAL); }
  SysResult thread_usage(ThreadUsage*) override { return SysResult::from_errno(ENOSYS); }
  void set_processors(int processors) { processors_ = processors; }
  SysResult start_thread(const char* name, std::function<void()> body, std::uint64_t* id) override;
  SysResult join_thread(std::uint64_t id) override;
  int resolve(const char* host, const char* service, const addrinfo* hints,
              addrinfo** list) override;

 protected:
  SysResult pass(KernelCall kind, int fd, absl::FunctionRef<SysResult()> make) override
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  int processors_ = 0;

  // What is asked of one kind of call.
  struct Rule {
    std::uint64_t calls = 0;
    int error = 0;
    std::uint64_t first = 0;  // of `calls`
    std::uint64_t last = 0;
    std::function<int(const Call&)> error_of;
    Hook before;
    Hook after;
  };

  // Counts the call, runs the hooks before it, and returns the error it is to fail with, or 0.
  int enter(Call& call) ABSL_LOCKS_EXCLUDED(mutex_);
  void leave(Call& call, SysResult result) ABSL_LOCKS_EXCLUDED(mutex_);
  std::size_t send_limit() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::size_t recv_limit() const ABSL_LOCKS_EXCLUDED(mutex_);
  int pwait2_error() const ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  std::array<Rule, kKernelCallKinds> rules_ ABSL_GUARDED_BY(mutex_);
  Hook before_each_ ABSL_GUARDED_BY(mutex_);
  int threads_ ABSL_GUARDED_BY(mutex_) = 0;  // that have not ended
  int any_countdown_ ABSL_GUARDED_BY(mutex_) = 0;
  int any_error_ ABSL_GUARDED_BY(mutex_) = 0;
  int pwait2_error_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_manual_clock_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t manual_now_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t send_limit_ ABSL_GUARDED_BY(mutex_) = std::numeric_limits<std::size_t>::max();
  std::size_t recv_limit_ ABSL_GUARDED_BY(mutex_) = std::numeric_limits<std::size_t>::max();
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_FAULT_KERNEL_H_
