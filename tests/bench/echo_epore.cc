// The same echo on epore, as examples/echo_server.cc has it, and as a coroutine.

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "tests/bench/contender_program.h"
#include "tests/bench/contender_work.h"

ABSL_FLAG(int, workers, 0, "worker threads; 0: one per core");
ABSL_FLAG(int, reactors, 1, "poll threads");
ABSL_FLAG(std::string, dispatch, "",
          "who runs callbacks: adaptive, workers or poll_thread; empty: the runtime's default");
ABSL_FLAG(std::string, handler, "callback", "what serves a connection: callback or coroutine");
ABSL_FLAG(std::string, selector, "", "the event queue's engine; empty: the best");

namespace epore::bench {
namespace {

ContenderWork work;

// The connections of a broadcast, whose callbacks run on several threads.
class Members {
 public:
  void add(const Connection& member) {
    const absl::MutexLock lock(&mutex_);
    members_.push_back(member);
  }
  void remove(const Connection& member) {
    const absl::MutexLock lock(&mutex_);
    std::erase_if(members_, [&](const Connection& other) { return other.id() == member.id(); });
  }
  // send() calls nobody back and waits for nobody, so the lock does no harm.
  void send(ByteView bytes) {
    const Bytes message(bytes);
    const absl::MutexLock lock(&mutex_);
    for (Connection& member : members_) (void)member.send(message);
  }

 private:
  absl::Mutex mutex_;
  std::vector<Connection> members_ ABSL_GUARDED_BY(mutex_);
};

void serve_echo(Connection& peer) {
  peer.on_data([](Connection& c, std::span<const std::byte> bytes) {
    work.burn_for(static_cast<char>(bytes[0]));
    if (c.send(bytes) == SendResult::high) c.pause_reading();
  });
  peer.on_writable([](Connection& c) { c.resume_reading(); });
}

void serve_ten_sends(Connection& peer) {
  peer.on_data([](Connection& c, std::span<const std::byte> bytes) {
    work.burn_for(static_cast<char>(bytes[0]));
    for_ten_pieces(bytes.size(), [&](std::size_t offset, std::size_t size) {
      if (c.send(bytes.subspan(offset, size)) == SendResult::high) c.pause_reading();
    });
  });
  peer.on_writable([](Connection& c) { c.resume_reading(); });
}

void serve_broadcast(Connection& peer, Members& members) {
  members.add(peer);
  peer.on_data([&members](Connection&, std::span<const std::byte> bytes) {
    work.burn_for(static_cast<char>(bytes[0]));
    members.send(bytes);
  });
  peer.on_closed([&members](Connection& c, const absl::Status&) { members.remove(c); });
}

// -- The same as coroutines. --

Task<> echo_in_task(Connection peer) {
  while (ByteView bytes = co_await peer.read()) {
    work.burn_for(static_cast<char>(bytes[0]));
    co_await peer.write(bytes);
  }
}

Task<> echo_in_task_within(Connection peer, absl::Duration timeout) {
  while (ByteView bytes = co_await within(timeout, peer.read())) {
    work.burn_for(static_cast<char>(bytes[0]));
    co_await peer.write(bytes);
  }
}

Task<> ten_sends_in_task(Connection peer, absl::Duration timeout) {
  while (ByteView bytes = co_await within(timeout, peer.read())) {
    work.burn_for(static_cast<char>(bytes[0]));
    std::array<ByteView, 10> pieces;
    std::size_t count = 0;
    for_ten_pieces(bytes.size(), [&](std::size_t offset, std::size_t size) {
      pieces[count++] = bytes.subspan(offset, size);
    });
    for (std::size_t i = 0; i < count; ++i) co_await peer.write(pieces[i]);
  }
}

Task<> broadcast_in_task(Connection peer, absl::Duration timeout, Members& members) {
  members.add(peer);
  const absl::Cleanup leave = [&] { members.remove(peer); };
  while (ByteView bytes = co_await within(timeout, peer.read())) {
    work.burn_for(static_cast<char>(bytes[0]));
    members.send(bytes);
  }
}

Task<> serve_in_task(Connection peer, Members& members) {
  const absl::Duration timeout =
      work.idle_timeout ? absl::FromChrono(*work.idle_timeout) : absl::InfiniteDuration();
  switch (work.reply) {
    case Reply::echo:
      break;
    case Reply::ten_sends:
      return ten_sends_in_task(std::move(peer), timeout);
    case Reply::broadcast:
      return broadcast_in_task(std::move(peer), timeout, members);
  }
  if (work.idle_timeout) return echo_in_task_within(std::move(peer), timeout);
  return echo_in_task(std::move(peer));
}

absl::Status serve() {
  const absl::StatusOr<ContenderWork> flags = ContenderWork::from_flags();
  if (!flags.ok()) return flags.status();
  work = *flags;
  RuntimeOptions options;
  options.workers = absl::GetFlag(FLAGS_workers);
  options.reactors = absl::GetFlag(FLAGS_reactors);
  options.selector = absl::GetFlag(FLAGS_selector);
  if (const std::string name = absl::GetFlag(FLAGS_dispatch); !name.empty()) {
    const std::optional<Dispatch> dispatch = parse_dispatch(name);
    if (!dispatch) return absl::InvalidArgumentError(absl::StrCat("no dispatch \"", name, "\""));
    options.dispatch = *dispatch;
  }
  Members members;
  Runtime runtime(options);
  const auto serve_peer = [&](Connection& peer) {
    switch (work.reply) {
      case Reply::echo:
        return serve_echo(peer);
      case Reply::ten_sends:
        return serve_ten_sends(peer);
      case Reply::broadcast:
        return serve_broadcast(peer, members);
    }
  };
  ListenOptions listening;
  const std::string handler = absl::GetFlag(FLAGS_handler);
  if (handler != "callback" && handler != "coroutine") {
    return absl::InvalidArgumentError(
        absl::StrCat("--handler: \"", handler, "\" is neither callback nor coroutine"));
  }
  absl::StatusOr<Listener> listener;
  if (handler == "coroutine") {
    listener = runtime.listen(contender_address(), [&members](Connection peer) {
      return serve_in_task(std::move(peer), members);
    });
  } else {
    if (work.idle_timeout) listening.connection.idle_timeout = absl::FromChrono(*work.idle_timeout);
    listener = runtime.listen(contender_address(), serve_peer, listening);
  }
  if (!listener.ok()) return listener.status();
  if (absl::Status caught = runtime.catch_signals(); !caught.ok()) return caught;
  announce_contender(listener->address().to_string(),
                     absl::StrCat("dispatch ", dispatch_name(options.dispatch)));
  return runtime.run_until_signal();
}

}  // namespace
}  // namespace epore::bench

int main(int argc, char** argv) {
  epore::bench::begin_contender(argc, argv, "An echo server on epore.");
  const absl::Status status = epore::bench::serve();
  return status.ok() ? 0 : epore::bench::fail_contender(status);
}
