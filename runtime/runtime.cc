#include "epore/runtime/runtime.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/caught_exception.h"
#include "epore/runtime/internal/base/deadline.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/internal/base/tell.h"
#include "epore/runtime/internal/children/child_state.h"
#include "epore/runtime/internal/datagram/udp_state.h"
#include "epore/runtime/internal/endpoints/connector.h"
#include "epore/runtime/internal/endpoints/destination.h"
#include "epore/runtime/internal/endpoints/handler_root.h"
#include "epore/runtime/internal/endpoints/listener_state.h"
#include "epore/runtime/internal/order/job_root.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/reactor/runtime_timer.h"
#include "epore/runtime/internal/signals/service_manager.h"
#include "epore/runtime/internal/signals/signal_waiter.h"
#include "epore/runtime/internal/stream/connection_list.h"
#include "epore/runtime/internal/stream/stream.h"
#include "epore/runtime/internal/watch/watch_state.h"

namespace epore {

using internal::Callable;
using internal::Core;
using internal::Ref;

namespace {

using internal::no_memory;
using internal::or_no_memory;
using internal::tell;
using internal::UdpState;

// Makes both. Without memory for one of them, both are null.
std::shared_ptr<internal::SignalWaiter> make_signals() {
  try {
    return std::make_shared<internal::SignalWaiter>();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

Ref<Core> make_core(RuntimeOptions options, bool has_signals) {
  if (!has_signals) return {};
  try {
    return Ref<Core>::adopt(new Core(std::move(options)));
  } catch (const std::bad_alloc&) {
    return {};
  }
}

std::int64_t nanoseconds_or_never(absl::Duration limit) {
  return limit == absl::InfiniteDuration() ? internal::kNever : absl::ToInt64Nanoseconds(limit);
}

absl::Status no_on_receive(std::string_view call, std::string_view address) {
  return absl::InvalidArgumentError(
      absl::StrCat(call, "(\"", internal::printable(address), "\"): on_receive is null"));
}

// Calls a callback of connect() where no runtime is left to call it.
void call_here(Runtime::ConnectCallback& callback, absl::Status error) {
  try {
    callback(std::move(error));
  } catch (...) {
    tell([] { LOG(ERROR) << "epore: " << internal::caught_exception().message(); });
  }
}

}  // namespace

Runtime::Runtime(RuntimeOptions options)
    : signals_(make_signals()), core_(make_core(std::move(options), signals_ != nullptr)) {
  // Most programs look at no status before the first call that needs the runtime, if ever.
  tell([this] {
    if (absl::Status bad = status(); !bad.ok()) LOG(ERROR) << "epore: Runtime: " << bad.message();
  });
}

Runtime::~Runtime() {
  if (!core_) return;
  if (core_->is_forked()) {
    // Its threads are the parent's, and so is what they may have locked. All of it stays.
    core_->add_ref();
    new auto(signals_);
    return;
  }
  // No stack: where exit() destroys a static one, that of the callback says nothing.
  if (core_->would_wait_for_itself()) {
    LOG(QFATAL) << "epore: a Runtime is destroyed in one of its own callbacks (a static one: by an "
                   "exit() there), and would have to wait for itself; call request_shutdown() "
                   "there and let main() return";
  }
  signals_->release();  // what is caught from here on could only be dropped
  CHECK_OK(shutdown());
}

absl::Status Runtime::status() const { return core_ ? core_->status() : no_memory("Runtime"); }

absl::StatusOr<Listener> Runtime::listen(std::string_view address,
                                         Callable<AcceptCallback> on_accept,
                                         const ListenOptions& options) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("listen", [&]() -> absl::StatusOr<Listener> {
    if (absl::Status bad = check_callback(address, !on_accept); !bad.ok()) return bad;
    return listen_now(address, std::move(on_accept).take(), /*has_tasks=*/false, options);
  });
}

absl::StatusOr<Listener> Runtime::listen(std::string_view address, const ListenOptions& options) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("listen", [&]() -> absl::StatusOr<Listener> {
    return listen_now(address, nullptr, /*has_tasks=*/true, options);
  });
}

absl::StatusOr<Listener> Runtime::listen_with(std::string_view address, Handler handler,
                                              const ListenOptions& options) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("listen", [&]() -> absl::StatusOr<Listener> {
    AcceptCallback on_accept;
    if (handler) {
      using internal::HandlerRoot;
      auto shared =
          internal::Ref<HandlerRoot::Handler>::adopt(new HandlerRoot::Handler(std::move(handler)));
      on_accept = [shared = std::move(shared)](Connection& peer) {
        HandlerRoot::start(shared, peer);
      };
    }
    if (absl::Status bad = check_callback(address, !on_accept); !bad.ok()) return bad;
    return listen_now(address, std::move(on_accept), /*has_tasks=*/true, options);
  });
}

absl::Status Runtime::check_callback(std::string_view address, bool is_null) const {
  if (!is_null) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("listen(\"", internal::printable(address), "\"): on_accept is null"));
}

// A null callback: tasks accept.
absl::StatusOr<Listener> Runtime::listen_now(std::string_view address, AcceptCallback on_accept,
                                             bool has_tasks, const ListenOptions& options) {
  if (core_->phase() != Core::Phase::running) {
    return absl::FailedPreconditionError(
        absl::StrCat("listen(\"", internal::printable(address), "\"): the runtime is shut down"));
  }
  absl::StatusOr<std::shared_ptr<internal::ListenerState>> state =
      internal::ListenerState::open(core_, address, std::move(on_accept), has_tasks, options);
  if (!state.ok()) return state.status();
  return Listener(*std::move(state));
}

ConnectAttempt Runtime::connect(std::string_view address, Callable<ConnectCallback> on_connected,
                                const ConnectOptions& options) {
  return connect_to(internal::Destination(address), std::move(on_connected).take(), options);
}

ConnectAttempt Runtime::connect(std::span<const SocketAddress> addresses,
                                Callable<ConnectCallback> on_connected,
                                const ConnectOptions& options) {
  return connect_to(internal::Destination(addresses), std::move(on_connected).take(), options);
}

ConnectAttempt Runtime::connect_to(const internal::Destination& to, ConnectCallback on_connected,
                                   const ConnectOptions& options) {
  if (!on_connected) {
    tell([&] {
      LOG(ERROR) << "epore: connect(\"" << to.to_string()
                 << "\"): on_connected is null; nothing is started";
    });
    return ConnectAttempt();
  }
  if (!core_) {
    call_here(on_connected, status());
    return ConnectAttempt();
  }
  if (!status().ok()) {
    core_->call(on_connected, status());  // no thread is there that could call it
    return ConnectAttempt();
  }
  try {
    return ConnectAttempt(internal::Connector::start(core_, to, std::move(on_connected), options));
  } catch (const std::bad_alloc&) {  // no memory for an attempt that calls it later
    core_->call(on_connected, no_memory("connect"));
    return ConnectAttempt();
  }
}

absl::Status Runtime::post(Callable<Closure> closure) {
  if (!core_) return status();
  return or_no_memory("post", [&] {
    if (!closure) return absl::InvalidArgumentError("post: the closure is null");
    return core_->post(std::move(closure).take());
  });
}

Timer Runtime::timer(Callable<Closure> callback) {
  if (!callback) {
    tell([] { LOG(ERROR) << "epore: timer: the callback is null; the timer does nothing"; });
    return Timer();
  }
  if (!core_ || core_->is_forked() || core_->phase() >= Core::Phase::refusing) return Timer();
  try {
    internal::Reactor& home = core_->any_reactor();
    auto timer = Ref<internal::RuntimeTimer>::adopt(
        new internal::RuntimeTimer(core_, home, std::move(callback).take()));
    if (!timer->list()) return Timer();
    return Timer(std::move(timer));
  } catch (const std::bad_alloc&) {
    return Timer();
  }
}

Timer Runtime::post_after(absl::Duration delay, Callable<Closure> closure) {
  Timer timer = this->timer(std::move(closure));
  timer.arm(delay);
  return timer;
}

absl::StatusOr<Watch> Runtime::watch(int fd, Interest interest, Callable<Watch::Callback> callback,
                                     const Order& order) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("watch", [&]() -> absl::StatusOr<Watch> {
    absl::StatusOr<Ref<internal::WatchState>> state =
        internal::WatchState::make(core_, fd, interest, std::move(callback).take(), order);
    if (!state.ok()) return state.status();
    return Watch(*std::move(state));
  });
}

absl::StatusOr<UdpSocket> Runtime::udp(std::string_view address, const UdpOptions& options) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("udp", [&] {
    return UdpState::open(core_, UdpState::Family::ip, address, nullptr, options);
  });
}

absl::StatusOr<UdpSocket> Runtime::udp(std::string_view address,
                                       Callable<UdpSocket::Callback> on_receive,
                                       const UdpOptions& options) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("udp", [&]() -> absl::StatusOr<UdpSocket> {
    if (!on_receive) return no_on_receive("udp", address);
    return UdpState::open(core_, UdpState::Family::ip, address, std::move(on_receive).take(),
                          options);
  });
}

absl::StatusOr<UnixDatagramSocket> Runtime::unix_datagram(std::string_view address,
                                                          const UdpOptions& options) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("unix_datagram", [&] {
    return UdpState::open(core_, UdpState::Family::unix_socket, address, nullptr, options);
  });
}

absl::StatusOr<UnixDatagramSocket> Runtime::unix_datagram(std::string_view address,
                                                          Callable<UdpSocket::Callback> on_receive,
                                                          const UdpOptions& options) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("unix_datagram", [&]() -> absl::StatusOr<UnixDatagramSocket> {
    if (!on_receive) return no_on_receive("unix_datagram", address);
    return UdpState::open(core_, UdpState::Family::unix_socket, address,
                          std::move(on_receive).take(), options);
  });
}

absl::StatusOr<Child> Runtime::start_child(const Command& command, const ChildOptions& options,
                                           Callable<Child::Callback> on_exit, const Order& order) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("start_child", [&] {
    return internal::ChildState::start(core_, command, options, order, std::move(on_exit).take());
  });
}

absl::StatusOr<Lane> Runtime::lane(const LaneOptions& options) {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("lane", [&]() -> absl::StatusOr<Lane> {
    if (absl::Status bad = options.check(); !bad.ok()) return bad;
    return core_->lanes().make(*core_, options);
  });
}

Order Runtime::order() { return status().ok() ? internal::OrderState::make(core_) : Order(); }

absl::Status Runtime::check_run() const {
  if (!core_ || !core_->would_wait_for_itself()) return absl::OkStatus();
  return internal::make_error(
      absl::StatusCode::kFailedPrecondition,
      "run: called from a callback or a task, it would wait for itself; use spawn()");
}

Job Runtime::start_job(const Order* order,
                       absl::FunctionRef<std::unique_ptr<internal::TaskStart>()> make_start) {
  if (absl::Status bad = status(); !bad.ok()) return Job(std::move(bad));
  try {
    Ref<internal::OrderState> in;
    if (order != nullptr) {
      absl::Status bad = internal::OrderState::check(*order, *core_, "spawn");
      if (!bad.ok()) return Job(std::move(bad));
      absl::StatusOr<Ref<internal::OrderState>> named =
          internal::OrderState::share(*order, "spawn_in");
      if (!named.ok()) return Job(named.status());
      in = *std::move(named);
    } else {
      in = Ref<internal::OrderState>::adopt(new internal::OrderState(core_, core_->any_reactor()));
    }
    auto root = Ref<internal::JobRoot>::adopt(new internal::JobRoot(std::move(in), make_start()));
    absl::Status started = root->start();
    return started.ok() ? Job(std::move(root)) : Job(std::move(started));
  } catch (const std::bad_alloc&) {
    return Job(no_memory("spawn"));
  }
}

absl::Status Runtime::shutdown() {
  return core_ ? shutdown(core_->options().drain_timeout) : absl::OkStatus();
}

absl::Status Runtime::shutdown(absl::Duration drain_timeout) {
  const Ref<Core> core = core_;
  if (!core) return absl::OkStatus();
  return or_no_memory("shutdown", [&] {
    return core->shutdown().run(absl::ToInt64Nanoseconds(drain_timeout), [] { return false; });
  });
}

void Runtime::request_shutdown() {
  const Ref<Core> core = core_;
  if (core) core->shutdown().request();
}

absl::Status Runtime::catch_signals() {
  if (!core_) return status();
  return or_no_memory("catch_signals", [this] { return signals_->catch_signals(*core_); });
}

absl::Status Runtime::run_until_signal() {
  const Ref<Core> core = core_;
  const std::shared_ptr<internal::SignalWaiter> signals = signals_;
  if (!core) return status();
  return or_no_memory("run_until_signal", [&] { return signals->run(*core, nullptr); });
}

absl::Status Runtime::run_service() {
  const Ref<Core> core = core_;
  const std::shared_ptr<internal::SignalWaiter> signals = signals_;
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("run_service", [&]() -> absl::Status {
    absl::StatusOr<internal::ServiceManager> connected = internal::ServiceManager::connect(
        core->kernel(), internal::ServiceManager::environment(), ::getpid());
    if (!connected.ok()) return connected.status();
    const auto manager = std::make_shared<const internal::ServiceManager>(*std::move(connected));
    Timer watchdog;
    if (manager->is_asked() && manager->watchdog() > 0) {
      // Twice as often as it asks, as it recommends. A runtime that runs no callbacks falls silent.
      watchdog = timer([manager] {
        if (absl::Status told = manager->tell("WATCHDOG=1", 0); !told.ok()) {
          LOG(ERROR) << "epore: " << told.message();
        }
      });
      watchdog.arm_every(absl::Nanoseconds(manager->watchdog()) / 2);
    }
    absl::Status ended = signals->run(*core, manager.get());
    watchdog.cancel();
    return ended;
  });
}

absl::Status Runtime::on_signal(int signal, Callable<Closure> callback) {
  if (!core_ || core_->is_forked()) return status();
  return or_no_memory("on_signal",
                      [&] { return signals_->add(signal, std::move(callback).take()); });
}

absl::StatusOr<Signal> Runtime::on_signal(int signal) {
  if (!core_) return status();
  return or_no_memory("on_signal", [&] { return signals_->add(signal); });
}

absl::StatusOr<std::string> Runtime::dump_tasks(absl::Duration limit) const {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  return or_no_memory("dump_tasks", [&]() -> absl::StatusOr<std::string> {
    if (core_->is_own_thread()) {
      return absl::FailedPreconditionError(
          "dump_tasks: called from a callback or a task, for which others would wait");
    }
    const std::int64_t wait = std::max<std::int64_t>(absl::ToInt64Nanoseconds(limit), 0);
    return core_->tasks().dump(internal::saturating_add(core_->kernel().now(), wait));
  });
}

absl::StatusOr<std::vector<ConnectionInfo>> Runtime::connections(std::size_t most) const {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  const Ref<Core> core = core_;  // a shutdown that waits for this call may end before it returns
  return or_no_memory("connections", [&]() -> absl::StatusOr<std::vector<ConnectionInfo>> {
    return internal::ConnectionList::of(*core, most).connections;
  });
}

absl::StatusOr<std::string> Runtime::dump_connections(std::size_t most) const {
  if (absl::Status bad = status(); !bad.ok()) return bad;
  const Ref<Core> core = core_;  // as above
  return or_no_memory("dump_connections", [&]() -> absl::StatusOr<std::string> {
    return internal::ConnectionList::of(*core, most).to_string();
  });
}

absl::Status Runtime::run_once(absl::Duration limit) {
  const Ref<Core> core = core_;
  if (!core) return status();
  return or_no_memory("run_once",
                      [&] { return core->caller_loop().run_once(nanoseconds_or_never(limit)); });
}

absl::Status Runtime::run_until(absl::FunctionRef<bool()> condition, absl::Duration limit) {
  const Ref<Core> core = core_;
  if (!core) return status();
  return or_no_memory("run_until", [&] {
    return core->caller_loop().run_until(condition, nanoseconds_or_never(limit));
  });
}

absl::StatusOr<int> Runtime::poll_fd() {
  if (!core_) return status();
  return or_no_memory("poll_fd", [&] { return core_->caller_loop().poll_fd(); });
}

absl::Duration Runtime::poll_timeout() const {
  if (!core_) return absl::InfiniteDuration();
  const std::int64_t left = core_->caller_loop().poll_timeout();
  return left == internal::kNever ? absl::InfiniteDuration() : absl::Nanoseconds(left);
}

Counters Runtime::counters() const { return core_ ? core_->snapshot() : Counters(); }

}  // namespace epore
