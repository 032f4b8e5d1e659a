#ifndef EPORE_RUNTIME_INTERNAL_REACTOR_CORE_H_
#define EPORE_RUNTIME_INTERNAL_REACTOR_CORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/counters.h"
#include "epore/runtime/internal/base/counter.h"
#include "epore/runtime/internal/base/ref.h"
#include "epore/runtime/internal/dispatch/run_queue.h"
#include "epore/runtime/internal/dispatch/slowness.h"
#include "epore/runtime/internal/net/resolver.h"
#include "epore/runtime/internal/reactor/connection_permits.h"
#include "epore/runtime/internal/reactor/reactor.h"
#include "epore/runtime/internal/reactor/shutdown.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/reactor/watchdog.h"
#include "epore/runtime/internal/reactor/worker_pool.h"
#include "epore/runtime/options.h"

namespace epore::internal {

// What all parts of a runtime share. Handles keep it, so that a late call finds a core that says
// "stopped" and not freed memory; its threads end with the shutdown.
class Core final : public RefCounted {
 public:
  using Phase = Shutdown::Phase;

  explicit Core(RuntimeOptions options);
  ~Core() override;

  absl::Status status() const { return status_; }
  const RuntimeOptions& options() const { return options_; }
  Kernel& kernel() { return kernel_; }
  RuntimeCounters& counters() { return counters_; }
  Counters snapshot();

  // -- Dispatch. --

  // Has it run soon if it is not queued or running already, and once more if it is running.
  void wake(Runnable& runnable) {
    if (runnable.word().wake()) schedule(Ref<Runnable>::share(&runnable));
  }

  // wake() with a reference that the caller gives away.
  void wake(Ref<Runnable> runnable) {
    if (runnable->word().wake()) schedule(std::move(runnable));
  }

  // wake() after a push to where its run looks, see DispatchWord.
  void wake_pushed(Runnable& runnable) {
    if (runnable.word().wake_pushed()) schedule(Ref<Runnable>::share(&runnable));
  }

  // Queues what a wake() of its word has claimed. At the very end, when the threads have gone, it
  // runs here: then it has ended itself, and only drops what came too late.
  void schedule(Ref<Runnable> runnable);
  void schedule(RunQueue& batch);

  // Runs `function` as the first run of what nobody else knows of yet: it may make it known, and
  // whoever finds and wakes it meanwhile has it run afterwards.
  template <typename Function>
  void first_run(Runnable& runnable, Function function) {
    (void)runnable.word().claim();
    function();
    if (!runnable.word().end()) schedule(Ref<Runnable>::share(&runnable));
  }

  // Runs what was queued, or claimed, on this thread; the caller keeps it alive.
  void execute(Runnable& runnable) {
    runnable.begin();
    execute_claimed(runnable);
  }
  void execute_claimed(Runnable& runnable) {
    run(runnable);
    end(runnable);
  }

  // Its two steps.
  void run(Runnable& runnable) {
    Runnable* const before = std::exchange(this_thread.current, &runnable);
    runnable.run();
    this_thread.current = before;
  }
  void end(Runnable& runnable) {
    if (!runnable.end()) schedule(Ref<Runnable>::share(&runnable));
  }

  // What is known of how long it takes.
  Slowness& slowness_of(Runnable& runnable) {
    return runnable.is_passing() ? passing_ : runnable.slowness();
  }

  WorkerPool& workers() { return workers_; }
  Watchdog& watchdog() { return watchdog_; }

  // How many workers a leader may share its work with.
  int helpers() const { return helpers_; }

  // Runs `closure` soon. FailedPrecondition after the shutdown has come to refusing.
  absl::Status post(absl::AnyInvocable<void()>&& closure);

  // Calls user code that belongs to no connection: an exception is counted and logged.
  template <typename Function, typename... Arguments>
  void call(Function& function, Arguments&&... arguments);

  // The reactor of this thread, or each in turn.
  Reactor& any_reactor();
  std::vector<std::unique_ptr<Reactor>>& reactors() { return reactors_; }
  Resolver& resolver() { return resolver_; }

  // -- Connections. --

  ConnectionPermits& permits() { return permits_; }

  // -- Shutdown. --

  Shutdown& shutdown() { return shutdown_; }
  Phase phase() const { return shutdown_.phase(); }
  bool is_cut_off() const { return shutdown_.is_cut_off(); }
  bool begin_activity() { return shutdown_.begin_activity(); }
  void end_activity() { shutdown_.end_activity(); }

  // Whether this is one of the runtime's threads.
  bool is_own_thread() const { return this_thread.core == this; }

  // The same, or a thread of the program in an on_signal callback.
  bool would_wait_for_itself() const { return is_own_thread() || this_thread.signals_of == this; }

 private:
  absl::Status start();

  // Hands it to those that run it. False: they have gone; the Runnable is not taken then, but the
  // closure is destroyed.
  bool offer(Ref<Runnable>& runnable);
  bool offer(absl::AnyInvocable<void()>&& closure);
  bool is_for_workers(const Slowness& slowness) const;
  Reactor& reactor_for(Runnable& runnable);
  void report_exception();

  // Constant after construction.
  const RuntimeOptions options_;
  const std::shared_ptr<Kernel> own_kernel_;
  Kernel& kernel_;
  const int worker_count_;
  const int helpers_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
  absl::Status status_;

  RuntimeCounters counters_;
  WorkerPool workers_;
  Watchdog watchdog_;
  Slowness passing_;
  ConnectionPermits permits_;
  Resolver resolver_;
  Shutdown shutdown_;

  std::atomic<std::uint64_t> next_reactor_{0};  // in turn, relaxed
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
