#include "epore/runtime/internal/stream/stream.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/reactor/thread_context.h"
#include "epore/runtime/internal/stream/stream_mail.h"

namespace epore::internal {
namespace {

std::int64_t nanoseconds(absl::Duration duration) { return absl::ToInt64Nanoseconds(duration); }

std::atomic<std::uint64_t> last_id{0};

}  // namespace

StreamLimits::StreamLimits(const ConnectionOptions& options, std::size_t most)
    : timeouts{.idle = nanoseconds(options.idle_timeout),
               .write_stall = nanoseconds(options.write_stall_timeout),
               .linger = nanoseconds(options.linger_timeout)},
      write_high_mark(options.write_high_mark),
      write_low_mark(options.write_low_mark),
      write_cap(options.write_cap),
      max_descriptors(options.max_descriptors),
      pause_reading_above_high_mark(options.pause_reading_above_high_mark),
      no_memory(absl::ResourceExhaustedError("no memory")),
      permits(most == 0 ? nullptr : std::make_unique<ConnectionPermits>(most)) {}

Stream::Stream(Ref<Core> core, Reactor& home, OwnedFd&& fd, Ref<const StreamLimits> limits,
               const SocketAddress& local, const SocketAddress& peer, Ref<OrderState> order)
    : Registration(home, order ? Kind::member : Kind::lasting),
      id_(last_id.fetch_add(1, std::memory_order_relaxed) + 1),
      local_(local),
      peer_(peer),
      limits_(std::move(limits)),
      order_(std::move(order)),
      core_(std::move(core)),
      fd_(std::move(fd)) {
  if (!peer.is_unix()) {
    // With several reactors another poll thread may run the order.
    const bool is_of_home = !order_ || core_->options().reactors == 1;
    has_receives_ = home.receives() != nullptr && is_of_home;
    return;
  }
  make_extra().unix = std::make_unique<UnixPeer>(core_->kernel(), fd_.get());
  is_unix_ = true;
}

// A stream that never began may have mail. The mail is destroyed here, while all members exist,
// because its destructors may use them.
Stream::~Stream() {
  while (!mailbox_.empty()) (void)mailbox_.take();
  IoBuffers* const buffers = this_thread.buffers;
  if (buffers != nullptr && buffers->read.lent_to == this) buffers->read.lent_to = nullptr;
}

StreamExtra& Stream::make_extra() {
  if (!extra_) extra_ = std::make_unique<StreamExtra>();
  return *extra_;
}

bool Stream::start(Connection::Callback first, bool is_registered) {
  is_in_queue_already_ = is_registered;
  if (!core_->begin_activity()) return false;
  // Before any thread can find this stream, so that `first` comes first, also during a shutdown.
  self_ = Connection(Ref<Stream>::share(this));
  auto call_first = [first = std::move(first)](Stream& stream) mutable { stream.call(first); };
  // Threads of blocking() have no cached time, nor buffers.
  const bool has_time = core_->is_own_thread() && this_thread.buffers != nullptr;
  const std::int64_t begin = has_time ? this_thread.now : core_->kernel().now();
  bool has_slot = false;
  try {
    mailbox_.push(std::make_unique<ActionMail<decltype(call_first)>>(*this, std::move(call_first)));
    has_slot = home().slots().acquire(*this, begin);
  } catch (const std::bad_alloc&) {
  }
  if (!has_slot) {
    self_ = Connection();
    core_->end_activity();
    return false;
  }
  core_->counters().add(Counter::connections_opened);
  core_->wake(*this);
  // The shutdown sets its phase and then looks at the slots. Either it finds this slot, or this
  // thread sees the phase.
  const Core::Phase phase = core_->phase();
  if (phase != Core::Phase::running) {
    shut_down(phase == Core::Phase::draining ? ShutdownStep::drain : ShutdownStep::abort);
  }
  return true;
}

void Stream::on_data(Connection::DataCallback callback) {
  set_callback(&Stream::on_data_, std::move(callback));
}

void Stream::on_read_closed(Connection::Callback callback) {
  set_callback(&StreamExtra::on_read_closed, std::move(callback));
}

void Stream::on_writable(Connection::Callback callback) {
  set_callback(&StreamExtra::on_writable, std::move(callback));
}

void Stream::on_closed(Connection::ClosedCallback callback) {
  if (is_runner() && !has_ended_.load(std::memory_order_relaxed)) {
    return set_callback(&StreamExtra::on_closed, std::move(callback));
  }
  std::unique_ptr<Mail> mail;
  try {
    mail = std::make_unique<ClosedMail>(*this, std::move(callback));
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
  push(std::move(mail));
}

void Stream::on_drain(Connection::Callback callback) {
  set_callback(&StreamExtra::on_drain, std::move(callback));
}

void Stream::pause_reading() {
  in_order([](Stream& stream) {
    if (stream.is_paused_) return;
    stream.is_paused_ = true;
    stream.core_->counters().add(Counter::read_pauses);
  });
}

void Stream::resume_reading() {
  in_order([](Stream& stream) { stream.is_paused_ = false; });
}

void Stream::shut_down_write() {
  can_send_.store(false, std::memory_order_release);
  in_order([](Stream& stream) { stream.write_shut_asked_ = true; });
}

void Stream::close(absl::Status reason) {
  can_send_.store(false, std::memory_order_release);
  is_open_.store(false, std::memory_order_release);
  in_order([reason = std::move(reason)](Stream& stream) { stream.begin_close(reason); });
}

void Stream::abort() {
  can_send_.store(false, std::memory_order_release);
  is_open_.store(false, std::memory_order_release);
  in_order([](Stream& stream) { stream.reset(absl::CancelledError("aborted")); });
}

void Stream::abort(absl::Status reason) {
  can_send_.store(false, std::memory_order_release);
  is_open_.store(false, std::memory_order_release);
  in_order([reason = std::move(reason)](Stream& stream) { stream.reset(reason); });
}

void Stream::set_timeout(std::int64_t StreamTimeouts::*which, absl::Duration timeout) {
  in_order([which, time = nanoseconds(timeout)](Stream& stream) {
    if (!stream.has_own_timeouts_) {
      stream.make_extra().timeouts = std::make_unique<StreamTimeouts>(stream.limits_->timeouts);
      stream.has_own_timeouts_ = true;
    }
    (*stream.extra_->timeouts).*which = time;
    stream.moved_ |= kReceived;  // the idle time starts again
  });
}

absl::Status Stream::post(Connection::Callback closure) {
  if (has_ended_.load(std::memory_order_acquire)) {
    return absl::FailedPreconditionError("Connection::post: the connection has ended");
  }
  auto call = [closure = std::move(closure)](Stream& stream) mutable { stream.call(closure); };
  static_assert(sizeof(ActionMail<decltype(call)>) <= FrameCache::kCacheLine,
                "a post would take two lines");
  if (!try_mail(std::move(call))) return limits_->no_memory;
  core_->counters().add(Counter::connection_posts);
  return absl::OkStatus();
}

Ref<TimerEntry> Stream::timer(Connection::Callback callback) {
  try {
    return Ref<TimerEntry>::adopt(
        new ConnectionTimer(home(), Ref<Stream>::share(this), std::move(callback)));
  } catch (const std::bad_alloc&) {
    no_memory();
    return Ref<TimerEntry>();
  }
}

// On another thread the connection may end in the call, and its number may be another socket's.
int Stream::fd() const { return is_in_order() && fd_.is_valid() ? fd_.get() : -1; }

absl::StatusOr<PeerCredentials> Stream::peer_credentials() const {
  if (is_unix_) return unix_peer().credentials();
  return absl::FailedPreconditionError(
      "Connection::peer_credentials: this is no connection of a Unix socket");
}

std::string Stream::describe() const {
  return absl::StrCat("connection ", id_, " (peer ", peer_.get().to_string(), ")");
}

void Stream::timer_due(Ref<ConnectionTimer> timer) {
  mail([timer = std::move(timer)](Stream&) { timer->fire(); });
}

void Stream::shut_down(ShutdownStep step) {
  if (step == ShutdownStep::drain) {
    mail([](Stream& stream) { stream.drain(); });
  } else {
    // Not by mail: threads may leave mail faster than the runner delivers it.
    abort_due_.fetch_or(kShutDown, std::memory_order_release);
    core_->wake(*this);
  }
}

}  // namespace epore::internal
