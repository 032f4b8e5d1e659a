#ifndef EPORE_TESTS_BENCH_LOAD_CONNECTION_H_
#define EPORE_TESTS_BENCH_LOAD_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/histogram.h"
#include "tests/bench/stream_pattern.h"

namespace epore::bench {

// One connection of a Load: sends messages that are pieces of a StreamPattern, and checks what
// comes back. Its socket is non-blocking and watched edge-triggered by the Load.
class LoadConnection {
 public:
  // `begin`: where in the pattern this connection begins. The pattern must outlive it.
  LoadConnection(OwnedFd fd, int number, std::uint64_t begin, const StreamPattern& pattern,
                 std::size_t message_size, int depth);

  int fd() const { return fd_.get(); }
  int in_flight() const { return static_cast<int>(messages_sent_ - messages_received_); }
  bool has_unsent() const { return bytes_sent_ < bytes_queued_; }

  // Begins `count` messages, the time being `now`; at most `depth` are in flight.
  absl::Status send(int count, std::uint64_t now);

  // Goes on sending what the socket did not take.
  absl::Status flush();

  // Receives what is there, using `buffer`, and notes how long each message took that it completes.
  // `may_have_ended`: the event said so, and the end of file must be read.
  absl::Status receive(std::span<char> buffer, bool may_have_ended, Histogram& latency);

  // Messages completed by the last receive(), and when.
  int completed() const { return completed_; }
  std::uint64_t completed_at() const { return completed_at_; }

 private:
  absl::Status check(const char* bytes, std::size_t size);
  void complete(Histogram& latency);
  absl::Status error(absl::StatusCode code, const std::string& what) const;

  const OwnedFd fd_;
  const int number_;
  const std::uint64_t begin_;
  const StreamPattern& pattern_;
  const std::size_t message_size_;

  std::uint64_t bytes_queued_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t bytes_received_ = 0;
  std::uint64_t messages_sent_ = 0;
  std::uint64_t messages_received_ = 0;
  std::vector<std::uint64_t> sent_at_;  // of message n at n modulo depth
  int completed_ = 0;
  std::uint64_t completed_at_ = 0;
};

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_LOAD_CONNECTION_H_
