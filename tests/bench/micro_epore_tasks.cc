#include "tests/bench/micro_epore_tasks.h"

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/async_event.h"
#include "epore/runtime/channel.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

Task<> nothing() { co_return; }

Task<> nested(int levels) {
  if (levels > 1) co_await nested(levels - 1);
}

Task<> empty_children(int count) {
  for (int i = 0; i < count; ++i) co_await nothing();
}

Task<> ready_awaits(int count) {
  AsyncEvent event(/*is_set=*/true);
  for (int i = 0; i < count; ++i) co_await event.wait();
}

Task<> yields(int count) {
  for (int i = 0; i < count; ++i) co_await yield();
}

Task<> eight_deep(int count) {
  for (int i = 0; i < count; ++i) co_await nested(kDepth);
}

Task<> send_to(Channel<int> channel, int count) {
  for (int i = 0; i < count; ++i) co_await channel.send(i);
}

Task<> receive_from(Channel<int> channel, int count) {
  for (int i = 0; i < count; ++i) (void)co_await channel.receive();
}

Task<> receive_within(Channel<int> channel, int count) {
  for (int i = 0; i < count; ++i) (void)co_await within(absl::Minutes(1), channel.receive());
}

Task<> hand_over(int room, int count) {
  Channel<int> channel(static_cast<std::size_t>(room));
  co_await all(receive_from(channel, count), send_to(channel, count));
}

Task<> within_waits(int count) {
  Channel<int> channel(0);
  co_await all(receive_within(channel, count), send_to(channel, count));
}

// A connection of a task, and the socket of its peer.
struct SocketPair {
  Connection connection;
  OwnedFd peer;
};

Task<SocketPair> make_sockets() {
  OwnedFd listening = co_await listen_tcp(Endpoint::parse("127.0.0.1:0").value());
  const Endpoint address = co_await local_endpoint(listening.get());
  SocketPair pair;
  pair.connection = co_await connect(address.to_string());
  pair.peer = OwnedFd(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  co_return std::move(pair);
}

void send_messages(int fd) {
  static constexpr std::array<char, kMessage* kMessagesAtOnce> kBytes = {};
  CHECK_EQ(::send(fd, kBytes.data(), kBytes.size(), MSG_NOSIGNAL),
           static_cast<ssize_t>(kBytes.size()));
}

Task<> ready_reads(int count) {
  SocketPair pair = co_await make_sockets();
  std::array<std::byte, kMessage> message;
  for (int i = 0; i < count; ++i) {
    if (i % kMessagesAtOnce == 0) send_messages(pair.peer.get());
    (void)co_await pair.connection.read_some(message);
  }
}

Task<> ready_messages(int count) {
  SocketPair pair = co_await make_sockets();
  for (int i = 0; i < count; ++i) {
    if (i % kMessagesAtOnce == 0) send_messages(pair.peer.get());
    (void)co_await pair.connection.read_exactly(kMessage);
  }
}

// Tasks that are started one after the other.
class SpawnLoad {
 public:
  SpawnLoad(Runtime& runtime, int count) : runtime_(runtime), left_(count) {}

  void next() {
    if (left_-- <= 0) {
      done_.Notify();
      return;
    }
    runtime_.spawn([this]() -> Task<> {
      for (int i = 0; i < kYields; ++i) co_await yield();
      next();
    });
  }

  void wait() { done_.WaitForNotification(); }

 private:
  Runtime& runtime_;
  int left_;
  absl::Notification done_;
};

Stopwatch::Time spawn(Runtime& runtime, int count) {
  SpawnLoad load(runtime, count);
  const Stopwatch watch;
  load.next();
  load.wait();
  return watch.so_far();
}

Stopwatch::Time hand_over_threads(Runtime& from, Runtime& to, int count) {
  const Channel<int> channel(kChannelRoom);
  const Stopwatch watch;
  const Job receiver = to.spawn(receive_from, channel, count);
  const Job sender = from.spawn(send_to, channel, count);
  CHECK_OK(sender.wait());
  CHECK_OK(receiver.wait());
  return watch.so_far();
}

template <typename... Args>
Stopwatch::Time timed(Runtime& runtime, Task<> (*work)(Args...), Args... args) {
  const Stopwatch watch;
  CHECK_OK(runtime.run(work, args...));
  return watch.so_far();
}

}  // namespace

Stopwatch::Time run_epore_tasks(Runtime& runtime, Runtime& other, TaskWork work, int count) {
  switch (work) {
    case TaskWork::empty_child:
      return timed(runtime, empty_children, count);
    case TaskWork::ready_await:
      return timed(runtime, ready_awaits, count);
    case TaskWork::yield:
      return timed(runtime, yields, count);
    case TaskWork::spawn_ten_yields:
      return spawn(runtime, count);
    case TaskWork::eight_deep:
      return timed(runtime, eight_deep, count);
    case TaskWork::hand_over:
      return timed(runtime, hand_over, kChannelRoom, count);
    case TaskWork::rendezvous:
      return timed(runtime, hand_over, 0, count);
    case TaskWork::hand_over_threads:
      return hand_over_threads(runtime, other, count);
    case TaskWork::within_wait:
      return timed(runtime, within_waits, count);
    case TaskWork::ready_read:
      return timed(runtime, ready_reads, count);
    case TaskWork::ready_message:
      return timed(runtime, ready_messages, count);
  }
  return {};
}

}  // namespace epore::bench
