#include "epore/runtime/internal/children/child_state.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/children/start_process.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {
namespace {

// The permits for the pipes of a child, each of which is a connection. Those that no connection has
// are given back.
class PipePermits {
 public:
  explicit PipePermits(ConnectionPermits& all) : all_(all) {}
  PipePermits(const PipePermits&) = delete;
  PipePermits& operator=(const PipePermits&) = delete;
  ~PipePermits() {
    for (; count_ > 0; --count_) all_.give_back();
  }

  // Takes one for each stream that is a pipe. False: there are too few.
  bool take(const ChildOptions& options) {
    for (const ChildStream& stream : {options.input, options.output, options.errors}) {
      if (!stream.is_pipe()) continue;
      if (!all_.try_take()) return false;
      ++count_;
    }
    return true;
  }

  // A connection has one of them from now on.
  void give_to_connection() { --count_; }

 private:
  ConnectionPermits& all_;
  int count_ = 0;
};

// Makes this end of a stream a connection, which takes over a permit.
absl::StatusOr<Connection> connect_pipe(const Ref<Core>& core, OwnedFd fd,
                                        const Ref<const StreamLimits>& limits,
                                        const Ref<OrderState>& order, bool is_of_task,
                                        PipePermits& permits) {
  absl::StatusOr<Connection> connection =
      absl::FailedPreconditionError("start_child: the runtime is shut down, or there is no memory");
  try {
    const auto stream = Ref<Stream>::adopt(
        new Stream(core, core->any_reactor(), std::move(fd), limits, {}, {}, order));
    if (is_of_task) stream->use_tasks();
    stream->count_handles(is_of_task);
    if (stream->start([](Connection&) {}, /*is_registered=*/false)) {
      permits.give_to_connection();
      return Stream::handle(stream);
    }
    if (is_of_task) core->tasks().end_connection();
  } catch (const std::bad_alloc&) {
  }
  return connection;
}

}  // namespace

absl::StatusOr<Child> ChildState::start(Ref<Core> core, const Command& command,
                                        const ChildOptions& options, const Order& order,
                                        Child::Callback callback) {
  return start(std::move(core), command, options, order, std::move(callback), /*is_of_task=*/false);
}

absl::StatusOr<Child> ChildState::start_for_task(Ref<Core> core, const Command& command,
                                                 const ChildOptions& options, const Order& order) {
  return start(std::move(core), command, options, order, nullptr, /*is_of_task=*/true);
}

absl::StatusOr<Child> ChildState::start(Ref<Core> core, const Command& command,
                                        const ChildOptions& options, const Order& order,
                                        Child::Callback callback, bool is_of_task) {
  absl::Status bad = OrderState::check(order, *core, "start_child");
  if (bad.ok()) bad = command.check();
  if (bad.ok()) bad = options.check();
  if (!bad.ok()) return bad;
  if (core->phase() >= Core::Phase::refusing) {
    return absl::FailedPreconditionError("start_child: the runtime is shut down");
  }
  // All that may be missing is there before the program runs, as far as that is possible. What it
  // has done by the time it is killed cannot be undone.
  PipePermits permits(core->permits());  // before the descriptors, which are closed first
  if (!permits.take(options)) {
    return absl::ResourceExhaustedError("start_child: the limit of connections is reached");
  }
  Ref<OrderState> in = OrderState::share(order, *core);
  if (!in) in = Ref<OrderState>::adopt(new OrderState(core, core->any_reactor()));
  const auto limits = Ref<const StreamLimits>::adopt(new StreamLimits(options.connection));
  absl::StatusOr<StartedProcess> started = start_process(core->kernel(), command, options);
  if (!started.ok()) return started.status();

  auto state = Ref<ChildState>::adopt(
      new ChildState(core, in, std::move(started->process), std::move(callback)));
  Child child(state);
  Connection* const ends[] = {&child.input_, &child.output_, &child.errors_};
  for (std::size_t i = 0; i < started->pipes.size() && bad.ok(); ++i) {
    if (!started->pipes[i].is_valid()) continue;
    absl::StatusOr<Connection> end =
        connect_pipe(core, std::move(started->pipes[i]), limits, in, is_of_task, permits);
    if (end.ok()) *ends[i] = *std::move(end);
    bad = end.status();
  }
  if (bad.ok()) bad = state->FdWatch::start("start_child");
  if (bad.ok()) return child;
  for (Connection* const end : ends) end->abort();
  state->process_.reset();  // kills it; nobody else knows it
  return bad;
}

ChildState::ChildState(Ref<Core> core, Ref<OrderState> order, Process process,
                       Child::Callback callback)
    : FdWatch(std::move(core), std::move(order), process.pidfd(), Interest::readable()),
      pid_(process.pid()),
      leads_group_(process.leads_group()),
      process_(std::move(process)),
      callback_(std::move(callback)) {}

ChildState::~ChildState() = default;

absl::Status ChildState::kill(int signal, bool whole_group) {
  if (whole_group && !leads_group_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "kill_group(child ", pid_, "): it has no group of its own; set ChildOptions::own_group"));
  }
  if (!borrowed().begin_call()) {
    return errno_status(ESRCH, absl::StrCat("kill(child ", pid_, "): it has ended"));
  }
  absl::Status sent = whole_group ? process_->kill_group(signal) : process_->kill(signal);
  borrowed().end_call();
  return sent;
}

void ChildState::is_ready(Readiness) {
  if (process_->has_ended()) (void)end();
}

void ChildState::has_failed(const absl::Status& why) { why_killed_ = why; }

absl::StatusOr<ExitStatus> ChildState::end_process() {
  if (process_->has_ended()) return process_->reap();
  process_.reset();  // kills it
  if (!why_killed_.ok()) return why_killed_;
  return absl::CancelledError(absl::StrCat("child ", pid_, " was killed: the runtime shuts down"));
}

void ChildState::has_ended() {
  absl::StatusOr<ExitStatus> end = or_no_memory("Child::wait", [&] { return end_process(); });
  process_.reset();
  {
    ReadyList ready;
    const absl::MutexLock lock(&mutex_);
    is_told_ = true;
    if (end.ok()) end_ = *end;
    error_ = end.status();
    while (!waiting_.empty()) ready.add(waiting_, *waiting_.first(), &error_);
  }
  Child::Callback callback = std::move(callback_);
  callback_ = nullptr;
  if (callback && !core().is_cut_off()) core().call(callback, std::move(end));
}

bool ChildState::begin(ChildWait& wait, TaskNode& node) {
  if (ends_with_stop(node)) return true;
  const absl::MutexLock lock(&mutex_);
  if (is_told_) {
    node.status = error_;
    return true;
  }
  if (fails_as_awaited("Child::wait", WaitList::has(wait), node)) return true;
  waiting_.push(wait, node);
  return false;
}

void ChildState::cancel(ChildWait& wait, const absl::Status& why) {
  ReadyList ready;
  const absl::MutexLock lock(&mutex_);
  if (WaitList::has(wait)) ready.add(waiting_, wait, &why);
}

ExitStatus ChildState::exit_status() const {
  const absl::MutexLock lock(&mutex_);
  return end_;
}

std::string ChildState::describe() const { return absl::StrCat("the child ", pid_); }

}  // namespace epore::internal
