#include "epore/runtime/internal/endpoints/connector.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/internal/net/resolver.h"
#include "epore/runtime/internal/net/socket_options.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {
namespace {

// Between attempts to connect to a Unix socket whose backlog is full.
constexpr std::int64_t kFirstBackoff = 1'000'000;
constexpr std::int64_t kLongestBackoff = 100'000'000;

}  // namespace

// The first callback of the connection: it calls `done`. If the connection ends before that,
// because the runtime shuts down, the destructor calls `done` with an error.
class Connector::Told {
 public:
  explicit Told(Connector& connector) : connector_(Ref<Connector>::share(&connector)) {}
  Told(Told&&) = default;
  ~Told() {
    if (!connector_ || !connector_->done_) return;
    Callback done = std::exchange(connector_->done_, nullptr);
    connector_->core_->call(
        done, is_cancelled() ? connector_->cancelled_error() : connector_->end_error());
  }
  void operator()(Connection& connection) {
    Callback done = std::exchange(connector_->done_, nullptr);  // also if it throws
    if (is_cancelled()) {
      connection.abort();
      done(connector_->cancelled_error());
    } else {
      done(connection);
    }
  }

 private:
  bool is_cancelled() {
    return connector_->answer_.exchange(Answer::told, std::memory_order_acq_rel) ==
           Answer::cancelled;
  }

  Ref<Connector> connector_;
};

// A Refusal calls the callback of an attempt that comes too late. It is a member of the order, so
// it overlaps no other callback of it. If no thread runs the order any more, the push runs it.
class Connector::Refusal final : public Runnable {
 public:
  Refusal(Reactor& home, Callback&& done, absl::Status why)
      : Runnable(home, Kind::closure), done_(std::move(done)), why_(std::move(why)) {}

  void run() override {
    home().core().call(done_, std::move(why_));
    done_ = nullptr;
  }
  std::string describe() const override { return "an attempt to connect"; }

 private:
  Callback done_;
  absl::Status why_;
};

Ref<Connector> Connector::start(Ref<Core> core, std::string_view address, Callback&& done,
                                const ConnectOptions& options) {
  return start(std::move(core), address, std::move(done), options, /*is_of_task=*/false);
}

ConnectAttempt Connector::start_for_task(Ref<Core> core, std::string_view address, Callback&& done,
                                         const ConnectOptions& options) {
  return ConnectAttempt(
      start(std::move(core), address, std::move(done), options, /*is_of_task=*/true));
}

Ref<Connector> Connector::start(Ref<Core> core, std::string_view address, Callback&& done,
                                const ConnectOptions& options, bool is_of_task) {
  Reactor& home = core->any_reactor();
  if (!core->begin_activity()) {  // perhaps no thread is left for the call
    absl::Status why = absl::CancelledError(
        absl::StrCat("connect(", printable(address), "): the runtime is shut down"));
    if (OrderState* const order = OrderState::find(options.order, *core); order != nullptr) {
      order->push(Ref<Runnable>::adopt(new Refusal(home, std::move(done), std::move(why))));
    } else {
      core->call(done, std::move(why));
    }
    return Ref<Connector>();
  }
  absl::Cleanup end_activity = [&] { core->end_activity(); };
  auto connector =
      Ref<Connector>::adopt(new Connector(core, home, std::move(done), options, is_of_task));
  std::move(end_activity).Cancel();
  core->first_run(*connector, [&] {
    try {
      connector->begin(address);
    } catch (const std::bad_alloc&) {
      connector->resolved(no_memory("connect"));
    }
  });
  return connector;
}

Connector::Connector(Ref<Core> core, Reactor& home, Callback&& done, const ConnectOptions& options,
                     bool is_of_task)
    : Registration(home, OrderState::find(options.order, *core) ? Kind::member : Kind::lasting),
      core_(std::move(core)),
      options_(options),
      order_(OrderState::share(options.order, *core_)),
      deadline_(
          saturating_add(core_->kernel().now(),
                         std::max<std::int64_t>(absl::ToInt64Nanoseconds(options.timeout), 0))),
      is_of_task_(is_of_task),
      done_(std::move(done)) {}

Connector::~Connector() = default;

bool Connector::cancel() {
  Answer expected = Answer::open;
  if (!answer_.compare_exchange_strong(expected, Answer::cancelled, std::memory_order_acq_rel)) {
    return false;
  }
  core_->wake(*this);
  return true;
}

void Connector::begin(std::string_view address) {
  target_ = printable(address);
  if (!home().slots().acquire(*this)) {
    last_error_ = absl::ResourceExhaustedError("connect: no slot is left");
    is_cancelled_.store(true, std::memory_order_release);
    has_addresses_ = true;
    core_->wake(*this);
    return;
  }
  absl::Status bad = options_.check();
  if (bad.ok())
    bad = OrderState::check(options_.order, *core_, absl::StrCat("connect(", target_, ")"));
  absl::StatusOr<Target> target = parse_target(address, /*to_listen=*/false);
  if (bad.ok()) bad = target.status();
  if (!bad.ok()) {
    resolved(bad);
  } else if (!target->addresses.empty()) {
    resolved(std::move(target->addresses));
  } else {
    home().arm(*this, deadline_);
    absl::Status started = core_->resolver().start(
        std::move(target->host_port), [self = Ref<Connector>::share(this)](auto addresses) {
          self->resolved(std::move(addresses));
        });
    if (!started.ok()) resolved(started);
  }
  // The shutdown sets its phase and then looks at the slots. Either it finds this slot, or this
  // thread sees the phase.
  if (core_->phase() != Core::Phase::running) shut_down(ShutdownStep::abort);
}

void Connector::resolved(absl::StatusOr<std::vector<SocketAddress>> addresses) {
  {
    absl::MutexLock lock(&mutex_);
    resolved_ = std::move(addresses);
    is_resolved_ = true;
  }
  core_->wake(*this);
}

void Connector::shut_down(ShutdownStep) {
  is_cancelled_.store(true, std::memory_order_release);
  core_->wake(*this);
}

void Connector::expired() { core_->wake(*this); }

void Connector::run() {
  try {
    run_once();
  } catch (const std::bad_alloc&) {
    if (!is_finished_) finish(no_memory("connect"));
  }
}

void Connector::run_once() {
  if (!is_finished_ && !has_addresses_) take_addresses();
  if (is_finished_ || is_cancelled()) return;
  if (!is_registered_) {
    if (!is_too_late() && has_addresses_) try_next();
    return;
  }
  // Looks at the socket before it judges a timeout. The handshake may have ended in time while this
  // runtime did not run, and the event of that may not have been reported yet.
  const std::int64_t now = core_->kernel().now();
  const bool is_over = now >= attempt_deadline_;
  absl::Status error;
  if ((edges_.is_ready(Direction::write) || is_over) && is_connected(error)) {
    succeed();
    return;
  }
  if (error.ok() && !is_over) return;  // still connecting
  if (error.ok() && now < deadline_) {
    error =
        errno_status(ETIMEDOUT, absl::StrCat("connect(", addresses_[next_ - 1].to_string(), ")"));
  }
  if (!error.ok()) last_error_ = std::move(error);
  drop_socket();
  if (!is_too_late()) try_next();
}

// Returns true if the attempt is over.
bool Connector::is_cancelled() {
  if (answer_.load(std::memory_order_acquire) == Answer::cancelled) {
    finish(absl::OkStatus());
    return true;
  }
  if (!is_cancelled_.load(std::memory_order_acquire)) return false;
  finish(last_error_.ok() ? shutdown_error() : last_error_);
  return true;
}

// Returns true if the attempt is over.
bool Connector::is_too_late() {
  if (core_->kernel().now() < deadline_) return false;
  finish(absl::DeadlineExceededError(absl::StrCat(
      "connect(", target_, "): not connected within ", absl::FormatDuration(options_.timeout),
      last_error_.ok() ? "" : absl::StrCat("; the last error was ", last_error_.message()))));
  return true;
}

void Connector::take_addresses() {
  absl::Status error;
  {
    absl::MutexLock lock(&mutex_);
    if (!is_resolved_) return;
    if (resolved_.ok()) {
      addresses_ = *std::move(resolved_);
    } else {
      error = resolved_.status();
    }
  }
  has_addresses_ = true;
  if (!error.ok()) finish(std::move(error));
}

void Connector::try_next() {
  while (next_ < addresses_.size()) {
    absl::Status tried = try_address(addresses_[next_++]);
    if (tried.ok()) return;
    drop_socket();
    // That this machine has no IPv6 tells the caller less than the error of another address.
    const int error = errno_of(tried);
    const bool is_unusable = error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
    if (last_error_.ok() || !is_unusable) last_error_ = std::move(tried);
  }
  finish(last_error_);
}

absl::Status Connector::try_address(const SocketAddress& address) {
  if (!has_permit_) {
    if (!core_->permits().try_take()) {
      return absl::ResourceExhaustedError(
          absl::StrCat("connect(", target_, "): the limit of connections is reached"));
    }
    has_permit_ = true;
  }
  absl::StatusOr<OwnedFd> fd = open_stream_socket(core_->kernel(), address);
  if (!fd.ok()) return fd.status();
  fd_ = *std::move(fd);
  absl::Status set =
      set_connection_options(core_->kernel(), fd_.get(), address, options_.connection);
  if (!set.ok()) return set;
  const SysResult result = core_->kernel().connect(fd_.get(), address.data(), address.size());
  if (result.error() == EAGAIN && address.is_unix()) {
    // The backlog is full, and no event tells when it is not (connect(2)). So this looks again.
    last_error_ = errno_status(EAGAIN, absl::StrCat("connect(", address.to_string(), ")"));
    drop_socket();
    --next_;
    backoff_ = std::clamp(2 * backoff_, kFirstBackoff, kLongestBackoff);
    home().arm(*this, std::min(deadline_, saturating_add(core_->kernel().now(), backoff_)));
    return absl::OkStatus();
  }
  // After EINTR the attempt goes on in the background, as after EINPROGRESS (connect(2)).
  if (!result.ok() && result.error() != EINPROGRESS && result.error() != EINTR) {
    return errno_status(result.error(), absl::StrCat("connect(", address.to_string(), ")"));
  }
  // Each address gets an even share of the time that is left.
  const std::int64_t now = core_->kernel().now();
  const auto left = static_cast<std::int64_t>(addresses_.size() - next_ + 1);
  attempt_deadline_ = deadline_ == kNever ? kNever : now + (deadline_ - now) / left;
  edges_.use_up(Direction::write, edges_.mark(Direction::write));
  (void)wait_for_write();
  absl::Status registered =
      home().registry()->register_fd(fd_.get(), token(), Interest::writable().one_shot());
  if (!registered.ok()) return registered;
  is_registered_ = true;
  home().arm(*this, attempt_deadline_);
  return absl::OkStatus();
}

bool Connector::is_connected(absl::Status& error) {
  edges_.use_up(Direction::write, edges_.mark(Direction::write));
  const std::string call = absl::StrCat("connect(", addresses_[next_ - 1].to_string(), ")");
  int code = 0;
  unsigned size = sizeof code;
  const SysResult result =
      core_->kernel().getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &code, &size);
  if (!result.ok()) code = result.error();
  if (code != 0) {
    error = errno_status(code, call);
    return false;
  }
  // The event may have been spurious, so "no error" is no success yet.
  sockaddr_storage storage;
  size = sizeof storage;
  auto* name = reinterpret_cast<sockaddr*>(&storage);
  const SysResult named = core_->kernel().getpeername(fd_.get(), name, &size);
  if (named.error() != ENOTCONN) {
    peer_ = named.ok() ? SocketAddress::from_sockaddr(name, size) : addresses_[next_ - 1];
    local_ = local_address_of(core_->kernel(), fd_.get());
    if (local_ != peer_) return true;
    // Nobody listens on the port, and the system has chosen the same port for this end. TCP then
    // connects the socket to itself (RFC 9293, 3.5, "simultaneous open").
    error = errno_status(ECONNREFUSED, absl::StrCat(call, ": connected to itself"));
    return false;
  }
  error = home().registry()->reregister_fd(fd_.get(), token(), Interest::writable().one_shot());
  return false;
}

void Connector::drop_socket() {
  if (std::exchange(is_registered_, false)) (void)home().registry()->deregister_fd(fd_.get());
  fd_.reset();
}

void Connector::succeed() {
  auto limits = std::make_shared<const StreamLimits>(options_.connection);
  // Without memory for the Stream, the descriptor stays here.
  const auto stream = Ref<Stream>::adopt(
      new Stream(core_, home(), std::move(fd_), std::move(limits), local_, peer_, order_));
  if (is_of_task_) {
    stream->use_tasks();
    stream->count_handles(/*is_of_task=*/true);
  }
  const bool started = stream->start(Told(*this), /*is_registered=*/true);
  if (!started) {  // the stream closes the descriptor, which also ends its registration
    is_registered_ = false;
    finish(end_error());
    return;
  }
  is_finished_ = true;
  home().timers().cancel(*this);
  core_->counters().add(Counter::connects);
  retire();  // the stream registers the descriptor again, under its own token
  core_->end_activity();
}

absl::Status Connector::shutdown_error() const { return cancelled("the runtime shuts down"); }

// Returns the error for a connection that has ended before its first callback began.
absl::Status Connector::end_error() const {
  return core_->phase() == Core::Phase::running ? no_memory("connect") : shutdown_error();
}

// Never throws.
absl::Status Connector::cancelled(std::string_view why) const {
  try {
    return absl::CancelledError(absl::StrCat("connect(", target_, "): ", why));
  } catch (const std::bad_alloc&) {
    return absl::Status(absl::StatusCode::kCancelled, "");  // allocates nothing
  }
}

absl::Status Connector::cancelled_error() const { return cancelled("cancelled"); }

void Connector::finish(absl::Status error) {
  is_finished_ = true;
  home().timers().cancel(*this);
  core_->counters().add(Counter::connect_errors);
  if (token() != Token{}) retire();
  drop_socket();
  if (std::exchange(has_permit_, false)) core_->permits().give_back();
  if (done_) {  // unless Told has called it
    if (answer_.exchange(Answer::told, std::memory_order_acq_rel) == Answer::cancelled) {
      error = cancelled_error();
    }
    core_->call(done_, std::move(error));
  }
  done_ = nullptr;
  core_->end_activity();
}

}  // namespace epore::internal
