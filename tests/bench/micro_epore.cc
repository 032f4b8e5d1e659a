// epore's side of micro.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/runtime.h"
#include "tests/bench/clock.h"
#include "tests/bench/micro_epore_tasks.h"
#include "tests/bench/micro_load.h"
#include "tests/bench/micro_side.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

class EporeSide final : public MicroSide {
  // First, as their types are deduced.
  auto poster() {
    return [this](auto closure) { (void)runtime_.post(closure); };
  }
  auto order_poster() {
    return [this](auto closure) {
      (void)connection_.post([closure](Connection&) mutable { closure(); });
    };
  }

 public:
  explicit EporeSide(const RuntimeOptions& options) : options_(options), runtime_(options) {}

  std::string name() const override { return "epore"; }
  std::string version() const override {
    return absl::StrCat("dispatch ", dispatch_name(options_.dispatch));
  }

  absl::Status start() override {
    if (!runtime_.status().ok()) return runtime_.status();
    // A connection that nobody talks to: the peer is the backlog of a listening socket.
    const absl::StatusOr<Endpoint> any = Endpoint::parse("127.0.0.1:0");
    if (!any.ok()) return any.status();
    absl::StatusOr<OwnedFd> listening = listen_tcp(*any);
    if (!listening.ok()) return listening.status();
    backlog_ = *std::move(listening);
    const absl::StatusOr<Endpoint> address = local_endpoint(backlog_.get());
    if (!address.ok()) return address.status();
    absl::Notification done;
    absl::Status failed;
    runtime_.connect(address->to_string(), [&](absl::StatusOr<Connection> connection) {
      failed = connection.status();
      if (connection.ok()) connection_ = *connection;
      done.Notify();
    });
    done.WaitForNotification();
    return failed;
  }

  Stopwatch::Time post_burst(int count, int burst) override {
    return run_burst_load(count, burst, poster());
  }
  Stopwatch::Time post_from(int threads, int count) override {
    return run_thread_load(threads, count, poster());
  }
  Stopwatch::Time post_in_order_burst(int count, int burst) override {
    return run_burst_load(count, burst, order_poster());
  }
  Stopwatch::Time post_in_order_from(int threads, int count) override {
    return run_thread_load(threads, count, order_poster());
  }

  void hold_timers(int count) override {
    run_batches(1, 1, poster(), [this, count](int) {
      while (held_.size() < static_cast<std::size_t>(count)) {
        held_.push_back(runtime_.timer([] {}));
        held_.back().arm(absl::Hours(1) + absl::Milliseconds(scatter_.below(3'600'000)));
      }
    });
  }

  Stopwatch::Time arm_and_cancel(int count) override {
    if (!timer_) timer_ = runtime_.timer([] {});
    return run_batches(count, kTimersAtOnce, poster(), [this](int size) {
      for (int i = 0; i < size; ++i) {
        timer_->arm(absl::Milliseconds(60'000 + scatter_.below(600'000)));
        timer_->cancel();
      }
    });
  }

  Stopwatch::Time rearm(int count) override {
    return run_batches(count, kTimersAtOnce, poster(), [this](int size) {
      for (int i = 0; i < size; ++i) {
        held_[next_held_].arm(absl::Hours(2));
        if (++next_held_ == held_.size()) next_held_ = 0;
      }
    });
  }

  Stopwatch::Time expire(int count) override {
    Countdown left(count);
    absl::Notification done;
    std::vector<Timer> timers;
    timers.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      timers.push_back(runtime_.timer([&left, &done] {
        if (left.one_less() == 0) done.Notify();
      }));
    }
    const std::uint64_t due = now_ns() + 20'000'000 + static_cast<std::uint64_t>(count) * 2'000;
    run_batches(1, 1, poster(), [&](int) {
      for (Timer& timer : timers) {
        const std::uint64_t deadline = due - scatter_.below(100'000);
        timer.arm(absl::Nanoseconds(static_cast<std::int64_t>(deadline - now_ns())));
      }
    });
    const std::uint64_t begin = now_ns();
    const Stopwatch watch;
    done.WaitForNotification();
    Stopwatch::Time time = watch.so_far();
    time.wall_ns -= static_cast<double>(due - begin);
    return time;
  }

  Stopwatch::Time run_tasks(TaskWork work, int count) override {
    if (!other_) other_.emplace(options_);
    return run_epore_tasks(runtime_, *other_, work, count);
  }

  absl::StatusOr<std::string> serve(Server server) override {
    absl::StatusOr<Listener> listener =
        server.is_coroutine ? listen_with_task(server) : listen_with_callbacks(server);
    if (!listener.ok()) return listener.status();
    listeners_.push_back(*std::move(listener));
    return listeners_.back().address().to_string();
  }

 private:
  absl::StatusOr<Listener> listen_with_callbacks(Server server) {
    ListenOptions options;
    if (server.has_timeout) options.connection.idle_timeout = absl::Hours(1);
    return runtime_.listen(
        "127.0.0.1:0",
        [](Connection& peer) {
          peer.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
        },
        options);
  }

  absl::StatusOr<Listener> listen_with_task(Server server) {
    if (!server.has_timeout) {
      return runtime_.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
        while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
      });
    }
    return runtime_.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
      while (ByteView bytes = co_await within(absl::Hours(1), peer.read())) {
        co_await peer.write(bytes);
      }
    });
  }

  const RuntimeOptions options_;
  OwnedFd backlog_;
  Scatter scatter_;
  Runtime runtime_;
  Connection connection_;
  std::vector<Listener> listeners_;
  std::vector<Timer> held_;
  std::size_t next_held_ = 0;
  std::optional<Timer> timer_;
  std::optional<Runtime> other_;  // has threads that nobody else's tasks are on
};

}  // namespace

std::unique_ptr<MicroSide> make_epore_side(std::optional<Dispatch> dispatch, int workers) {
  RuntimeOptions options;
  if (dispatch) options.dispatch = *dispatch;
  options.workers = workers;
  options.drain_timeout = absl::ZeroDuration();
  return std::make_unique<EporeSide>(options);
}

}  // namespace epore::bench
