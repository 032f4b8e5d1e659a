#include "epore/runtime/internal/endpoints/acceptor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/net/socket_file.h"
#include "epore/runtime/internal/net/socket_options.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kFirstBackoff = 10 * kMillisecond;
constexpr std::int64_t kLongestBackoff = 500 * kMillisecond;
constexpr std::int64_t kLogInterval = 1000 * kMillisecond;

// So many failures in a row may be of single connections, which is cheap. Then the system refuses.
constexpr int kFailuresBeforePause = 64;

// The arguments of the call are wrong, so no later call can succeed. See accept(2), "ERRORS".
bool is_of_listener(int error) {
  return error == EBADF || error == EINVAL || error == ENOTSOCK || error == EFAULT;
}

// The connection died in the backlog, or the network refused it. The next call may succeed. See
// accept(2), "Error handling".
bool is_of_connection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
    case ETIMEDOUT:
    case ECONNRESET:
      return true;
    default:
      return false;
  }
}

bool is_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

// A Farewell drops the reference of an Acceptor to the accept callback. The destructors of the
// captures are user code and may block, so they run where callbacks run. The shutdown waits for it.
class Acceptor::Farewell final : public Runnable {
 public:
  Farewell(Ref<Core> core, Reactor& home, std::shared_ptr<AcceptSettings> settings)
      : Runnable(home, Kind::closure), core_(std::move(core)), settings_(std::move(settings)) {}

  void run() override {
    settings_ = nullptr;
    core_->end_activity();
  }
  std::string describe() const override { return "the end of a listener"; }

 private:
  const Ref<Core> core_;
  std::shared_ptr<AcceptSettings> settings_;
};

Acceptor::Acceptor(Ref<Core> core, Reactor& home, OwnedFd fd, std::shared_ptr<SocketFile> file,
                   const SocketAddress& address, std::shared_ptr<AcceptSettings> settings,
                   std::shared_ptr<OpenSockets> sockets)
    : PermitWaiter(home, Kind::pinned),
      core_(std::move(core)),
      address_(address),
      is_wildcard_(address.is_any()),
      sockets_(std::move(sockets)),
      calls_(core_->kernel(), fd.get()),
      settings_(std::move(settings)),
      farewell_(Ref<Farewell>::adopt(new Farewell(core_, home, settings_))),
      fd_(std::move(fd)),
      file_(std::move(file)) {}

absl::Status Acceptor::start() {
  if (!core_->begin_activity()) {
    return absl::FailedPreconditionError("listen: the runtime is shut down");
  }
  absl::Status begun;
  core_->first_run(*this, [&] { begun = begin(); });
  return begun;
}

absl::Status Acceptor::begin() {
  bool has_room = false;
  bool has_slot = false;
  try {
    home().timers().keep_room();
    has_room = true;
    has_slot = home().slots().acquire(*this);
  } catch (const std::bad_alloc&) {
  }
  if (!has_slot) {
    if (has_room) home().timers().give_room_back();
    core_->end_activity();
    return absl::ResourceExhaustedError("listen: no slot is left");
  }
  state_ = State::listening;
  if (settings_->queue) settings_->queue->acceptor_begins();
  // Either the shutdown finds this slot, or this sees its phase: it sets the phase first.
  if (core_->phase() != Core::Phase::running) close();
  absl::Status registered = or_no_memory("listen", [this] {
    return home().registry()->register_fd(fd_.get(), token(), Interest::readable().level());
  });
  if (!registered.ok()) end();
  return registered;
}

absl::Status Acceptor::status() const {
  const int error = fatal_error_.load(std::memory_order_acquire);
  if (error == 0) return absl::OkStatus();
  return errno_status(error, absl::StrCat(describe(), " has ended: accept4"));
}

void Acceptor::close() {
  close_asked_.store(true, std::memory_order_release);
  core_->wake(*this);
}

absl::StatusOr<OwnedFd> Acceptor::duplicate() {
  if (close_asked_.load(std::memory_order_acquire) || !calls_.begin_call()) {
    return absl::FailedPreconditionError(absl::StrCat(describe(), " is closed"));
  }
  const SysResult copied = core_->kernel().fcntl(calls_.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (copied.ok() && file_ != nullptr) file_->keep();
  calls_.end_call();
  // It may outlive the runtime, and so does the real kernel.
  if (copied.ok()) return OwnedFd(copied.fd());
  return errno_status(copied.error(), absl::StrCat("fcntl(F_DUPFD_CLOEXEC), for ", describe()));
}

void Acceptor::resume() {
  resume_asked_.store(true, std::memory_order_release);
  core_->wake(*this);
}

void Acceptor::shut_down(ShutdownStep step) {
  if (step != ShutdownStep::drain) return close();
  drain_asked_.store(true, std::memory_order_release);
  core_->wake(*this);
}

void Acceptor::expired() { resume(); }

// Without memory a run ends early. In the event queue the backlog would be reported at once, and
// outside of it no event may come for what the run has left. So it pauses, which needs no memory.
void Acceptor::run() {
  try {
    run_once();
  } catch (const std::bad_alloc&) {
    if (state_ == State::closed) return;
    ++pauses_;
    pause(no_memory("accept"));
  }
}

void Acceptor::run_once() {
  if (state_ == State::closed) return;
  if (close_asked_.load(std::memory_order_acquire)) {
    end();
    return;
  }
  if (drain_asked_.load(std::memory_order_acquire)) {
    accept_rest();
    return;
  }
  const bool resumes = resume_asked_.exchange(false, std::memory_order_acq_rel);
  if (state_ != State::listening && !resumes) return;
  accept_ready(settings_->accept_budget);
}

// Accepts the backlog when the shutdown begins. For the clients these connections are open, and
// requests may have arrived. All are accepted in one run, because connections are told of the drain
// behind it. A listener that pauses refuses the clients that are left, and so does one for which
// no task waits.
void Acceptor::accept_rest() {
  if (state_ != State::paused) accept_ready(settings_->backlog);
  if (state_ != State::closed) end();
}

std::string Acceptor::describe() const {
  return absl::StrCat("the listener on ", address_.to_string());
}

void Acceptor::accept_ready(std::size_t budget) {
  if (in_hand_.fd.is_valid() && !begin_stream()) return pause_at_limit();
  for (std::size_t left = budget; left > 0; --left) {
    if (!has_taker(/*may_idle=*/left == budget)) {
      if (left == budget) return leave_queue();
      break;  // it stays in the event queue: the task may be back soon
    }
    if (!has_permit()) return pause_at_limit();
    sockaddr_storage storage;
    unsigned size = sizeof storage;
    auto* peer = reinterpret_cast<sockaddr*>(&storage);
    const SysResult result =
        core_->kernel().accept(fd_.get(), peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (result.ok()) {
      backoff_ = 0;
      failures_ = 0;
      core_->counters().add(Counter::accepts);
      in_hand_.fd = OwnedFd(result.fd(), core_->kernel());
      in_hand_.peer = SocketAddress::from_sockaddr(peer, size);
      if (!begin_stream()) return pause_at_limit();
    } else if (result.error() == EAGAIN) {
      failures_ = 0;
      break;
    } else if (!may_go_on_after(result.error())) {
      return;
    }
  }
  place_ = AcceptPlace();
  // The backlog may not be empty. The next poll() reports it again, as this is level-triggered.
  if (state_ != State::listening && state_ != State::closed) go_on();
}

// Whether a connection can be given to somebody. `may_idle`: if not, it resumes when it can.
bool Acceptor::has_taker(bool may_idle) {
  if (!settings_->queue || place_) return true;
  place_ = settings_->queue->reserve(*this, may_idle);
  return static_cast<bool>(place_);
}

// No task waits. The backlog would be reported again and again.
void Acceptor::leave_queue() {
  if (state_ == State::listening) (void)home().registry()->deregister_fd(fd_.get());
  if (state_ == State::paused) {
    home().timers().cancel(*this);
    stop_waiting();
  }
  state_ = State::idle;
}

// Handles an error of accept(2). Returns false if the Acceptor has paused or ended.
bool Acceptor::may_go_on_after(int error) {
  if (!is_of_resources(error) && error != EINTR) core_->counters().add(Counter::accept_errors);
  if (is_of_listener(error)) {
    fatal_error_.store(error, std::memory_order_release);
    tell([this] { LOG(ERROR) << "epore: " << status().message(); });
    end();
    return false;
  }
  if (is_of_connection(error) && failures_ < kFailuresBeforePause) {
    ++failures_;
    return true;
  }
  ++pauses_;
  pause(or_no_memory("accept4", [error] { return errno_status(error, "accept4"); }));
  return false;
}

// Starts a Stream for in_hand_. Returns false at the limit; in_hand_ then waits for a permit.
bool Acceptor::begin_stream() {
  if (!take_permit()) return false;
  OwnedFd fd = std::move(in_hand_.fd);
  bool started = false;
  try {
    const SocketAddress local =
        is_wildcard_ ? local_address_of(core_->kernel(), fd.get()) : address_;
    Ref<OrderState> order = settings_->order;
    if (!order && place_.order() && &place_.order()->core() == core_.get()) order = place_.order();
    OrderState* own = nullptr;
    if (!order && settings_->has_order_each) {
      order = Ref<OrderState>::adopt(new OrderState(core_, home()));
      own = order.get();
    }
    const auto stream = Ref<Stream>::adopt(new Stream(
        core_, home(), std::move(fd), settings_->limits, local, in_hand_.peer, std::move(order)));
    if (own != nullptr) own->belongs_to(stream->id());
    if (place_) {
      stream->use_tasks();
      stream->count_handles(/*is_of_task=*/false);
      started = stream->start([place = std::move(place_)](
                                  Connection& connection) mutable { place.deliver(connection); },
                              /*is_registered=*/false);
    } else {
      started = stream->start(
          [settings = settings_](Connection& connection) { settings->on_accept(connection); },
          /*is_registered=*/false);
    }
  } catch (const std::bad_alloc&) {
  }
  if (!started) {  // no memory, no slot, or a shutdown
    core_->counters().add(Counter::accept_errors);
    if (ConnectionPermits* const own = own_permits(); own != nullptr) own->give_back();
    core_->permits().give_back();
  }
  return true;
}

bool Acceptor::has_permit() const {
  ConnectionPermits* const own = own_permits();
  return core_->permits().has_one() && (own == nullptr || own->has_one());
}

// Takes a permit of the listener and one of the runtime. The listener's goes back only if the other
// one was taken in this moment. Otherwise this listener, which waits for both, would wake itself
// again and again.
bool Acceptor::take_permit() {
  if (!has_permit()) return false;
  ConnectionPermits* const own = own_permits();
  if (own != nullptr && !own->try_take()) return false;
  if (core_->permits().try_take()) return true;
  if (own != nullptr) own->give_back();
  return false;
}

// At the limit of this listener only the end of one of its own connections helps. Otherwise every
// end does, as it frees a descriptor. Without memory only the backoff helps.
void Acceptor::wait_for_permit() {
  ConnectionPermits* const own = own_permits();
  ConnectionPermits* const at = own != nullptr && !own->has_one() ? own : &core_->permits();
  if (at == waits_at_) return;
  stop_waiting();
  try {
    at->add_waiter(*this);
    waits_at_ = at;
  } catch (const std::bad_alloc&) {
  }
}

void Acceptor::stop_waiting() {
  if (waits_at_ != nullptr) std::exchange(waits_at_, nullptr)->remove_waiter(*this);
}

void Acceptor::pause_at_limit() {
  if (state_ != State::paused) ++pauses_;  // not for each retry: the limit may hold for days
  pause(make_error(absl::StatusCode::kResourceExhausted, "the limit of connections is reached"));
  if (has_permit()) resume();
}

// Throws nothing.
void Acceptor::pause(const absl::Status& why) {
  if (!in_hand_.fd.is_valid()) place_ = AcceptPlace();
  if (state_ != State::paused) {
    if (state_ == State::listening) (void)home().registry()->deregister_fd(fd_.get());
    state_ = State::paused;
    core_->counters().add(Counter::accept_pauses);
  }
  wait_for_permit();
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff);
  const std::int64_t now = core_->kernel().now();
  (void)home().timers().arm_in_room(*this, now + backoff_);  // no wake: this thread leads
  if (pauses_ == 0 || (last_log_ != 0 && now - last_log_ < kLogInterval)) return;
  tell([&] {
    LOG(WARNING) << "epore: the listener on " << address_.to_string() << " pauses (" << pauses_
                 << " failures since the last message): " << why.message();
  });
  last_log_ = now;
  pauses_ = 0;
}

void Acceptor::go_on() {
  home().timers().cancel(*this);
  stop_waiting();
  const absl::Status registered =
      home().registry()->register_fd(fd_.get(), token(), Interest::readable().level());
  if (registered.ok()) {
    state_ = State::listening;
  } else {
    ++pauses_;
    pause(registered);
  }
}

// What tasks get that wait in accept().
absl::Status Acceptor::why_ended() const {
  if (fatal_error_.load(std::memory_order_relaxed) != 0) {
    return or_no_memory("Listener::accept", [this] { return status(); });  // end() must not throw
  }
  return make_error(absl::StatusCode::kCancelled, core_->phase() == Core::Phase::running
                                                      ? "Listener::accept: the listener is closed"
                                                      : "Listener::accept: the runtime shuts down");
}

void Acceptor::end() {
  const bool is_registered = state_ == State::listening;
  if (state_ == State::paused) stop_waiting();
  state_ = State::closed;
  home().timers().cancel(*this);
  home().timers().give_room_back();
  retire();
  if (is_registered) (void)home().registry()->deregister_fd(fd_.get());
  if (calls_.give_back()) calls_.done();
  file_ = nullptr;
  fd_.reset();
  in_hand_.fd.reset();
  place_ = AcceptPlace();
  if (settings_->queue) settings_->queue->acceptor_ends(*this, why_ended());
  sockets_->one_closed();
  const Ref<OrderState> order = settings_->order;
  settings_ = nullptr;  // not the last reference: farewell_ has one
  if (order) {
    order->push(std::move(farewell_));
  } else {
    core_->schedule(std::move(farewell_));
  }
}

}  // namespace epore::internal
