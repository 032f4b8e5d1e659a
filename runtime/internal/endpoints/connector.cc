#include "epore/runtime/internal/endpoints/connector.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/net/address_order.h"
#include "epore/runtime/internal/net/hosts.h"
#include "epore/runtime/internal/net/resolver.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {
namespace {

// Between attempts to connect to a Unix socket whose backlog is full.
constexpr std::int64_t kFirstBackoff = 1'000'000;
constexpr std::int64_t kLongestBackoff = 100'000'000;

// An error names so many addresses of each kind, so that its text stays bounded.
constexpr std::size_t kMostTold = 16;

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

Ref<Connector> Connector::start(Ref<Core> core, const Destination& to, Callback&& done,
                                const ConnectOptions& options) {
  return start(std::move(core), to, std::move(done), options, /*is_of_task=*/false);
}

ConnectAttempt Connector::start_for_task(Ref<Core> core, const Destination& to, Callback&& done,
                                         const ConnectOptions& options) {
  return ConnectAttempt(start(std::move(core), to, std::move(done), options, /*is_of_task=*/true));
}

Ref<Connector> Connector::start(Ref<Core> core, const Destination& to, Callback&& done,
                                const ConnectOptions& options, bool is_of_task) {
  Reactor& home = core->any_reactor();
  if (!core->begin_activity()) {  // perhaps no thread is left for the call
    absl::Status why = absl::CancelledError(
        absl::StrCat("connect(", to.to_string(), "): the runtime is shut down"));
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
      connector->begin(to);
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
      attempt_delay_(absl::ToInt64Nanoseconds(options.connection_attempt_delay)),
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

void Connector::begin(const Destination& to) {
  target_ = to.to_string();
  if (!home().slots().acquire(*this)) {
    return resolved(absl::ResourceExhaustedError("connect: no slot is left"));
  }
  absl::Status bad = options_.check();
  if (bad.ok())
    bad = OrderState::check(options_.order, *core_, absl::StrCat("connect(", target_, ")"));
  absl::StatusOr<Target> target = to.target();
  if (bad.ok()) bad = target.status();
  if (!bad.ok()) {
    resolved(bad);
  } else if (!target->addresses.empty()) {
    resolved(std::move(target->addresses));
  } else if (auto known = find_host(core_->options().hosts, target->host_port)) {
    resolved(*std::move(known));
  } else {
    home().arm(*this, deadline_);
    absl::Status started = core_->resolver().start(
        std::move(target->host_port),
        [self = Ref<Connector>::share(this)](auto addresses) {
          self->resolved(std::move(addresses));
        },
        &lookup_);
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
  // Looks at the sockets before it judges a time. A handshake may have ended in time while this
  // runtime did not run, and the event of that may not have been reported yet.
  const std::int64_t now = core_->kernel().now();
  const bool is_due = now >= std::min(deadline_, next_start_);
  if (!sockets_.empty() && (is_due || edges_.is_ready(Direction::write)) && has_connected(now)) {
    return;
  }
  if (now >= deadline_) {
    finish(timeout_error());
  } else if (has_addresses_) {
    start_due(now);
  }
}

// Returns true if the attempt is over.
bool Connector::is_cancelled() {
  if (answer_.load(std::memory_order_acquire) == Answer::cancelled) {
    finish(absl::OkStatus());
    return true;
  }
  if (!is_cancelled_.load(std::memory_order_acquire)) return false;
  finish(shutdown_error());
  return true;
}

void Connector::take_addresses() {
  absl::Status error;
  {
    absl::MutexLock lock(&mutex_);
    if (!is_resolved_) return;
    if (resolved_.ok()) {
      addresses_ = interleave_families(*resolved_);
    } else {
      error = resolved_.status();
    }
  }
  has_addresses_ = true;
  if (!error.ok()) return finish(std::move(error));
  if (!options_.local.is_empty()) {
    // The others could not be bound to it. Their sockets, and their errors, would be in the way.
    const SocketAddress one = addresses_.front();
    std::erase_if(addresses_, [&](const SocketAddress& address) {
      return address.is_unix() || address.is_ipv4() != options_.local.is_ipv4();
    });
    if (addresses_.empty()) {
      return finish(absl::InvalidArgumentError(
          absl::StrCat("ConnectOptions::local is ", options_.local.to_string(),
                       ", which cannot connect to ", one.to_string())));
    }
  }
  if (addresses_.size() <= options_.max_addresses) return;
  untried_ = addresses_.size() - options_.max_addresses;
  addresses_.resize(options_.max_addresses);
}

// Looks at all sockets, because they share a token. Returns true if one is connected.
bool Connector::has_connected(std::int64_t now) {
  const std::uint32_t mark = edges_.mark(Direction::write);
  const bool had_event = edges_.is_ready(Direction::write);
  edges_.use_up(Direction::write, mark);  // an event behind the mark is seen by the next run
  for (std::size_t i = 0; i < sockets_.size();) {
    absl::Status error;
    if (sockets_[i].is_connected(core_->kernel(), error)) {
      succeed(i);
      return true;
    }
    if (error.ok() && had_event) error = watch(sockets_[i], /*is_registered=*/true);
    if (error.ok()) {
      ++i;
      continue;
    }
    drop(i);
    note_failure(error);
    next_start_ = now;  // the next address waits no longer
  }
  return false;
}

// Starts an attempt at the next address if it is due, and others while they fail at once.
void Connector::start_due(std::int64_t now) {
  if (!has_permit_) has_permit_ = core_->permits().try_take();
  if (!has_permit_) {
    return finish(absl::ResourceExhaustedError(
        absl::StrCat("connect(", target_, "): the limit of connections is reached")));
  }
  while (next_ < addresses_.size() && now >= next_start_) {
    const absl::Status started = try_address(addresses_[next_]);
    if (started.ok()) {
      ++next_;
      next_start_ = saturating_add(core_->kernel().now(), attempt_delay_);
    } else if (errno_of(started) == EAGAIN && addresses_[next_].is_unix()) {
      // The backlog is full, and no event tells when it is not (connect(2)). So this looks again.
      failures_ = std::string(started.message());
      backoff_ = std::clamp(2 * backoff_, kFirstBackoff, kLongestBackoff);
      next_start_ = saturating_add(core_->kernel().now(), backoff_);
    } else if (absl::IsResourceExhausted(started) && !sockets_.empty()) {
      // An attempt is under way. Its end frees a descriptor, and costs this address nothing.
      next_start_ = saturating_add(core_->kernel().now(), attempt_delay_);
    } else {
      ++next_;
      note_failure(started);
    }
  }
  const bool is_last = next_ == addresses_.size();
  if (is_last && sockets_.empty()) return finish(failure_error());
  home().arm(*this, std::min(deadline_, is_last ? kNever : next_start_));
}

absl::Status Connector::try_address(const SocketAddress& address) {
  sockets_.reserve(sockets_.size() + 1);  // without memory nothing is registered
  absl::StatusOr<ConnectingSocket> socket =
      ConnectingSocket::start(core_->kernel(), address, options_);
  if (!socket.ok()) return socket.status();
  (void)wait_for_write();
  absl::Status watched = watch(*socket, /*is_registered=*/false);
  if (watched.ok()) sockets_.push_back(*std::move(socket));
  return watched;
}

// Lets the next event of the socket wake this.
absl::Status Connector::watch(ConnectingSocket& socket, bool is_registered) {
  Registry& registry = *home().registry();
  const Interest once = Interest::writable().one_shot();
  return is_registered ? registry.reregister_fd(socket.fd().get(), token(), once)
                       : registry.register_fd(socket.fd().get(), token(), once);
}

void Connector::drop(std::size_t index) {
  const auto socket = sockets_.begin() + static_cast<std::ptrdiff_t>(index);
  if (socket->fd().is_valid()) (void)home().registry()->deregister_fd(socket->fd().get());
  sockets_.erase(socket);  // which closes it
}

void Connector::drop_all() {
  while (!sockets_.empty()) drop(sockets_.size() - 1);
}

void Connector::succeed(std::size_t winner) {
  std::swap(sockets_[0], sockets_[winner]);
  while (sockets_.size() > 1) drop(sockets_.size() - 1);
  ConnectingSocket& socket = sockets_.front();
  auto limits = Ref<const StreamLimits>::adopt(new StreamLimits(options_.connection));
  // Without memory for the Stream, the descriptor stays here.
  const auto stream =
      Ref<Stream>::adopt(new Stream(core_, home(), std::move(socket.fd()), std::move(limits),
                                    socket.local(), socket.peer(), order_));
  if (is_of_task_) {
    stream->use_tasks();
    stream->count_handles(/*is_of_task=*/true);
  }
  const bool started = stream->start(Told(*this), /*is_registered=*/true);
  if (!started) {  // the stream closes the descriptor, which also ends its registration
    if (is_of_task_) core_->tasks().end_connection();
    finish(end_error());
    return;
  }
  is_finished_ = true;
  home().timers().cancel(*this);
  core_->counters().add(Counter::connects);
  retire();  // the stream registers the descriptor again, under its own token
  core_->end_activity();
}

// Notes why an address is out of the race. The text stays bounded: max_addresses may be large.
void Connector::note_failure(const absl::Status& error) {
  // That this machine has no IPv6 tells the caller less than the error of another address.
  const int code = errno_of(error);
  const bool is_unusable = code == EAFNOSUPPORT || code == EADDRNOTAVAIL;
  if (last_error_.ok() || !is_unusable) last_error_ = error;
  ++failed_;
  if (failed_ <= kMostTold) {
    absl::StrAppend(&failures_, failures_.empty() ? "" : "; ", error.message());
  } else {
    last_failure_ = std::string(error.message());
  }
}

// Returns the failures of single addresses as the end of a text.
std::string Connector::failures() const {
  std::string text;
  if (!failures_.empty()) text = absl::StrCat("; ", failures_);
  if (failed_ > kMostTold) {
    if (failed_ > kMostTold + 1) absl::StrAppend(&text, "; ", failed_ - kMostTold - 1, " more");
    absl::StrAppend(&text, "; ", last_failure_);
  }
  if (untried_ > 0) {
    absl::StrAppend(&text, "; not tried (ConnectOptions::max_addresses): ", untried_);
  }
  return text;
}

// Returns the error when every address has failed: the code and the errno of the last one, and a
// text that names each of them.
absl::Status Connector::failure_error() const {
  if (failed_ + untried_ == 1) return last_error_;
  absl::Status error(last_error_.code(),
                     absl::StrCat("connect(", target_, "): no address connects", failures()));
  last_error_.ForEachPayload(
      [&](std::string_view type, const absl::Cord& payload) { error.SetPayload(type, payload); });
  return error;
}

absl::Status Connector::timeout_error() const {
  std::string silent;
  for (std::size_t i = 0; i < std::min(sockets_.size(), kMostTold); ++i) {
    const std::string address = sockets_[i].address().to_string();
    if (address == target_) break;  // the only one
    absl::StrAppend(&silent, silent.empty() ? "; no answer from " : ", ", address);
  }
  if (sockets_.size() > kMostTold) {
    absl::StrAppend(&silent, " and ", sockets_.size() - kMostTold, " more");
  }
  return absl::DeadlineExceededError(absl::StrCat("connect(", target_, "): not connected within ",
                                                  absl::FormatDuration(options_.timeout), silent,
                                                  failures()));
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
  if (!has_addresses_) core_->resolver().cancel(lookup_);  // which has a reference to this
  home().timers().cancel(*this);
  core_->counters().add(Counter::connect_errors);
  if (token() != Token{}) retire();
  drop_all();
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
