#ifndef EPORE_TESTS_BENCH_ARENA_ROOM_LOAD_H_
#define EPORE_TESTS_BENCH_ARENA_ROOM_LOAD_H_

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/histogram.h"
#include "tests/bench/load.h"
#include "tests/bench/stream_pattern.h"
#include "tests/bench/tcp.h"

namespace epore::bench {

struct RoomOptions {
  int members = 1000;
  int talkers = 1;                // of the members; they are spread evenly among them
  std::size_t message_size = 64;  // 16 bytes to 4 KiB
  absl::Duration stall_timeout = absl::Seconds(10);

  absl::Status check() const;
};

// Load on a chat room: a server that sends what it receives to all its connections. Each talker
// sends its next message when its own copy of the last one has come back, whoever else has it by
// then, so several messages are on their way at once. BroadcastLoad sends one at a time.
// One thread, the caller's. Every byte is compared, and each talker's messages come in order.
class RoomLoad {
 public:
  // Returns when the server knows all members: a message has reached them all.
  static absl::StatusOr<std::unique_ptr<RoomLoad>> connect(const Endpoint& server,
                                                           const RoomOptions& options);

  // `messages` and the rate count deliveries: what arrives, at each member. Latency is until the
  // talker's own copy is back. Returns when every message has reached every member.
  absl::StatusOr<LoadResult> run(absl::Duration duration);

 private:
  struct Member {
    OwnedFd fd;
    std::string part;  // of a message that has not arrived whole
    // By talker, the number of its next message; 0: whichever comes first.
    std::vector<std::uint32_t> next;
  };
  struct Talker {
    std::size_t member;
    std::uint32_t sent = 0;     // messages, which have the numbers from 1 on
    std::uint64_t sent_at = 0;  // the last one
    std::size_t missing = 0;    // members that do not have the last one
  };

  RoomLoad(const RoomOptions& options, OwnedFd epoll);
  absl::Status probe();
  absl::Status talk(std::size_t talker);
  // Reads what has arrived, after waiting for at most `timeout`. False: nothing has.
  absl::StatusOr<bool> receive_some(absl::Duration timeout);
  absl::Status receive(std::size_t member);
  absl::Status take(std::size_t member, const char* bytes, std::size_t size);
  absl::Status deliver(std::size_t member, const char* message);

  const RoomOptions options_;
  const OwnedFd epoll_;
  const StreamPattern pattern_;
  std::vector<Member> members_;
  std::vector<Talker> talkers_;
  std::vector<std::size_t> answered_;  // talkers whose own copy has come
  std::vector<epoll_event> events_;
  std::vector<char> buffer_;
  std::string message_;
  std::uint64_t delivered_ = 0;
  Histogram latency_;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_ARENA_ROOM_LOAD_H_
