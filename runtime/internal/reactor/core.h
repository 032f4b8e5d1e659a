#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_CORE_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_CORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/counters.h"
#include "epore/runtime/internal/base/counter.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/forks.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/run_queue.h"
#include "epore/runtime/internal/dispatch/slowness.h"
#include "epore/runtime/internal/net/resolver.h"
#include "epore/runtime/internal/reactor/blocking_pool.h"
#include "epore/runtime/internal/reactor/caller_loop.h"
#include "epore/runtime/internal/reactor/connection_permits.h"
#include "epore/runtime/internal/reactor/queue_budget.h"
#include "epore/runtime/internal/reactor/reactor.h"
#include "epore/runtime/internal/reactor/shutdown.h"
#include "epore/runtime/internal/reactor/task_list.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/reactor/watchdog.h"
#include "epore/runtime/internal/reactor/worker_pool.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// A Core is what all parts of a runtime share. Handles hold a reference to it, so that a late call
// finds a Core that says "stopped". Its threads end with the shutdown.
class Core final : public RefCounted {
 public:
  using Phase = Shutdown::Phase;

  explicit Core(RuntimeOptions options);
  ~Core() override;

  // Ok, or why the runtime does not work: the error of its start, or that this is a forked child.
  absl::Status status() const { return is_forked() ? forked("Runtime") : status_; }

  // Whether this process is a child that was forked since the start, and so has no threads.
  bool is_forked() const { return forks.load(std::memory_order_relaxed) != forks_at_start_; }
  static absl::Status forked(std::string_view call);

  // Ends a child that has returned from the callback which forked it. It has the descriptors of the
  // parent's event queue, so it would take the parent's events.
  [[noreturn]] void end_child();

  const RuntimeOptions& options() const { return options_; }
  Kernel& kernel() { return kernel_; }
  RuntimeCounters& counters() { return counters_; }
  QueueBudget& budget() { return budget_; }
  Counters snapshot();

  // -- Dispatch. --

  // Lets `runnable` run soon. Does nothing if it is queued. If it is running, it runs once more.
  void wake(Runnable& runnable) {
    if (runnable.word().wake()) schedule(Ref<Runnable>::share(&runnable));
  }

  // As wake(), with a reference of the caller's.
  void wake(Ref<Runnable> runnable) {
    if (runnable->word().wake()) schedule(std::move(runnable));
  }

  // As wake(), after a push of work that its run() reads. See DispatchWord::wake_pushed().
  void wake_pushed(Runnable& runnable) {
    if (runnable.word().wake_pushed()) schedule(Ref<Runnable>::share(&runnable));
  }

  // Queues a Runnable after a wake() of its word. When all threads have ended it runs in this call:
  // it has ended by then, and only drops what came too late. A batch has been ready since `since`.
  void schedule(Ref<Runnable> runnable);
  void schedule(RunQueue& batch, std::int64_t since = kNever);

  // Runs `function` as the first run of a Runnable that no other thread knows. `function` may make
  // it known. A wake by another thread meanwhile causes another run.
  template <typename Function>
  void first_run(Runnable& runnable, Function function) {
    (void)runnable.word().claim();
    function();
    if (!runnable.word().end()) schedule(Ref<Runnable>::share(&runnable));
  }

  // Runs a Runnable that was queued (or claimed) on this thread. The caller holds a reference.
  void execute(Runnable& runnable) {
    runnable.begin();
    execute_claimed(runnable);
  }
  void execute_claimed(Runnable& runnable) {
    run(runnable);
    end(runnable);
  }

  // The two steps of execute_claimed().
  void run(Runnable& runnable) {
    Runnable* const before = std::exchange(this_thread.current, &runnable);
    runnable.run();
    if (is_forked()) [[unlikely]]
      end_child();
    this_thread.current = before;
  }
  void end(Runnable& runnable) {
    if (!runnable.end()) [[unlikely]]
      schedule(Ref<Runnable>::share(&runnable));
  }

  // The estimate of how long its runs take.
  Slowness& slowness_of(Runnable& runnable) {
    return runnable.is_passing() ? passing_ : runnable.slowness();
  }

  // Starts a thread as Kernel::start_thread() does, with the name and the hooks of the options.
  SysResult start_thread(std::string_view role, std::function<void()> body, std::uint64_t* id);
  std::string thread_name(std::string_view role) const;

  WorkerPool& workers() { return workers_; }
  BlockingPool& blocking() { return *blocking_; }
  Lanes& lanes() { return lanes_; }
  Watchdog& watchdog() { return watchdog_; }

  // The number of workers that a leader may share its work with.
  int helpers() const { return helpers_; }

  // Runs `closure` soon. Errors: FailedPrecondition from Phase::refusing on.
  absl::Status post(absl::AnyInvocable<void()>&& closure);

  // Counts a post. The queue delay of one of kDelaySample is noted.
  void count_post(absl::AnyInvocable<void()>& closure) {
    if (counters_.add(Counter::posts) % kDelaySample == 0) [[unlikely]]
      time_post(closure);
  }

  // Calls user code of no connection. An exception is counted and logged.
  template <typename Function, typename... Arguments>
  void call(Function& function, Arguments&&... arguments);

  // Returns the reactor of this thread, or else each one in turn.
  Reactor& any_reactor();
  std::vector<std::unique_ptr<Reactor>>& reactors() { return reactors_; }
  Resolver& resolver() { return resolver_; }

  // -- Connections. --

  ConnectionPermits& permits() { return permits_; }

  // -- Tasks. --

  TaskList& tasks() { return tasks_; }

  // -- Dispatch::caller. --

  CallerLoop& caller_loop() { return caller_loop_; }

  // -- Shutdown. --

  Shutdown& shutdown() { return shutdown_; }
  Phase phase() const { return shutdown_.phase(); }
  bool is_cut_off() const { return shutdown_.is_cut_off(); }
  bool begin_activity() { return shutdown_.begin_activity(); }
  void end_activity() { shutdown_.end_activity(); }
  bool begin_lingering() { return shutdown_.begin_lingering(); }
  void end_lingering() { shutdown_.end_lingering(); }

  // Whether the caller is one of the runtime's threads.
  bool is_own_thread() const { return this_thread.core == this; }

  // Whether the caller is in a callback: a thread of the runtime, or one in an on_signal callback.
  bool would_wait_for_itself() const { return is_own_thread() || this_thread.signals_of == this; }

 private:
  absl::Status start();
  absl::Status make_reactors(const std::string& selector);

  // Gives work to the threads that run it. Returns false if they have ended. The Runnable is then
  // left to the caller, and the closure is destroyed.
  bool offer(Ref<Runnable>& runnable);
  bool offer(absl::AnyInvocable<void()>&& closure);
  bool is_for_workers(const Slowness& slowness) const;
  Reactor& reactor_for(Runnable& runnable);
  void report_exception();
  void time_post(absl::AnyInvocable<void()>& closure);
  void add_stuck(Counters& counters);

  // Constant after construction.
  const RuntimeOptions options_;
  const std::shared_ptr<Kernel> own_kernel_;
  Kernel& kernel_;
  const std::uint32_t forks_at_start_;
  const int worker_count_;
  const int helpers_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::string
      selector_reason_;  // why their engine is not, or does not do, what the options ask for
  absl::Status status_;

  QueueBudget budget_;  // with what is read and hardly written
  RuntimeCounters counters_;
  WorkerPool workers_;
  const Ref<BlockingPool> blocking_;  // the lane of the runtime itself
  Lanes lanes_;
  Watchdog watchdog_;
  Slowness passing_;
  ConnectionPermits permits_;
  Resolver resolver_;
  CallerLoop caller_loop_;
  Shutdown shutdown_;
  TaskList tasks_;

  std::atomic<std::uint64_t> next_reactor_{0};  // of any_reactor(); relaxed, only the turn matters
};

template <typename Function, typename... Arguments>
void Core::call(Function& function, Arguments&&... arguments) {
  counters_.add(Counter::callbacks);
  try {
    function(std::forward<Arguments>(arguments)...);
  } catch (...) {
    report_exception();
  }
}

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_REACTOR_CORE_H_
