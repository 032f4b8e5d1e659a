#include "tests/bench/load.h"

#include <errno.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/clock.h"
#include "tests/bench/connect_many.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/load_connection.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr std::size_t kMaxEvents = 1024;
constexpr std::size_t kBufferSize = 64 * 1024;
constexpr std::uint64_t kStride = 7919;  // between the beginnings of two connections in the pattern

}  // namespace

struct Load::Run {
  std::uint64_t start;
  std::uint64_t deadline;
  std::uint64_t messages_left;  // to begin
  std::uint64_t in_flight = 0;
  std::uint64_t done = 0;
  std::uint64_t done_in_time = 0;
  std::uint64_t last_done_in_time_at = 0;
  Histogram latency;

  // Of an open loop.
  std::uint64_t begun = 0;
  std::uint64_t next_due = 0;  // when the next message is; 0: there is none
  std::uint64_t unsent = 0;
};

absl::Status LoadOptions::check() const {
  if (connections < 1) return absl::InvalidArgumentError("connections must be at least 1");
  if (message_size < 1 || message_size > 16 * 1024 * 1024) {
    return absl::InvalidArgumentError("the message size must be 1 byte to 16 MiB");
  }
  if (depth < 1 || depth > 100'000) {
    return absl::InvalidArgumentError("the depth must be 1 to 100000");
  }
  if (!(rate >= 0 && rate <= 1e8)) {
    return absl::InvalidArgumentError("the rate must be 0 to 100 million messages per second");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Load>> Load::connect(const Endpoint& server,
                                                    const LoadOptions& options) {
  if (absl::Status status = options.check(); !status.ok()) return status;
  auto load = absl::WrapUnique(new Load(options));
  if (absl::Status status = load->connect_all(server); !status.ok()) return status;
  return load;
}

Load::Load(const LoadOptions& options)
    : options_(options),
      full_(static_cast<std::uint64_t>(options.connections) *
            static_cast<std::uint64_t>(options.depth)),
      buffer_(kBufferSize),
      events_(kMaxEvents) {}

absl::Status Load::connect_all(const Endpoint& server) {
  absl::StatusOr<std::vector<OwnedFd>> fds =
      connect_many(server, options_.connections, options_.stall_timeout);
  if (!fds.ok()) return fds.status();
  epoll_ = OwnedFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.is_valid()) return errno_status(errno, "epoll_create1");
  for (OwnedFd& fd : *fds) {
    const std::size_t index = connections_.size();
    epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                         .data = {.u64 = index}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
      return errno_status(errno, "epoll_ctl");
    }
    connections_.push_back(std::make_unique<LoadConnection>(std::move(fd), static_cast<int>(index),
                                                            index * kStride, pattern_,
                                                            options_.message_size, options_.depth));
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadResult> Load::run(const LoadLimit& limit) {
  const CpuTime cpu_before = thread_cpu_time();
  const std::uint64_t deadline = deadline_ns(limit.duration);
  const std::uint64_t start = now_ns();
  Run run = {.start = start, .deadline = deadline, .messages_left = limit.messages, .latency = {}};
  if (options_.rate > 0) {
    run.next_due = start;
  } else {
    for (auto& connection : connections_) {
      absl::Status status = begin_messages(run, *connection, options_.depth, now_ns());
      if (!status.ok()) return status;
    }
  }
  while (run.in_flight > 0 || run.next_due != 0) {
    if (run.next_due != 0) {
      if (absl::Status status = send_due(run); !status.ok()) return status;
      if (run.in_flight == 0 && run.next_due == 0) break;
    }
    if (absl::Status status = wait_and_handle(run); !status.ok()) return status;
  }

  const std::uint64_t window =
      (run.messages_left == 0 ? run.last_done_in_time_at : run.deadline) - start;
  LoadResult result;
  result.messages = run.done;
  if (run.done_in_time > 0) {
    result.rate = static_cast<double>(run.done_in_time) * 1e9 / static_cast<double>(window);
  }
  result.unsent = run.unsent;
  result.latency = std::move(run.latency);
  result.elapsed = absl::Nanoseconds(now_ns() - start);
  result.cpu = thread_cpu_time() - cpu_before;
  return result;
}

absl::Status Load::wait_and_handle(Run& run) {
  const absl::StatusOr<int> count = wait(run, deadline_ns(options_.stall_timeout));
  if (!count.ok()) return count.status();
  for (int i = 0; i < *count; ++i) {
    absl::Status status = handle(run, events_[static_cast<std::size_t>(i)]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// How many events there are; 0: a message is due.
absl::StatusOr<int> Load::wait(const Run& run, std::uint64_t give_up_at) {
  for (;;) {
    const bool has_due = run.next_due != 0 && run.in_flight < full_;
    const std::uint64_t now = now_ns();
    const std::uint64_t until = has_due ? run.next_due : give_up_at;
    if (has_due && now >= until) return 0;
    // At most an hour. Rounded up, but down for a message: a wait that is timed to it would end
    // late, so the last millisecond is spent looking.
    const std::uint64_t left_ms = now < until ? (until - now) / 1'000'000 + (has_due ? 0 : 1) : 0;
    const int count = ::epoll_wait(epoll_.get(), events_.data(), kMaxEvents,
                                   static_cast<int>(std::min<std::uint64_t>(left_ms, 3'600'000)));
    if (count > 0) return count;
    if (count < 0 && errno != EINTR) return errno_status(errno, "epoll_wait");
    if (now_ns() >= give_up_at) {
      return absl::DeadlineExceededError(
          absl::StrCat("no reply for ", absl::FormatDuration(options_.stall_timeout), " while ",
                       run.in_flight, " messages were in flight"));
    }
  }
}

// Sends what is due, on one connection after the other, past those that are full.
absl::Status Load::send_due(Run& run) {
  const auto due = [&](std::uint64_t number) {
    return run.start +
           static_cast<std::uint64_t>(static_cast<double>(number) * 1e9 / options_.rate);
  };
  for (std::uint64_t now = now_ns(); run.next_due <= now; run.next_due = due(++run.begun)) {
    if (run.next_due >= run.deadline || run.messages_left == 0) {
      run.next_due = 0;
      return absl::OkStatus();
    }
    if (now >= run.deadline) {
      run.latency.record(run.deadline - run.next_due);
      ++run.unsent;
      continue;
    }
    if (run.in_flight >= full_) return absl::OkStatus();
    LoadConnection* connection = nullptr;
    do {
      connection = connections_[next_++ % connections_.size()].get();
    } while (connection->in_flight() >= options_.depth);
    absl::Status status = begin_messages(run, *connection, 1, run.next_due);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Load::handle(Run& run, const epoll_event& event) {
  LoadConnection& connection = *connections_[event.data.u64];
  if ((event.events & EPOLLOUT) != 0 && connection.has_unsent()) {
    if (absl::Status status = connection.flush(); !status.ok()) return status;
  }
  constexpr std::uint32_t kEnded = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((event.events & (EPOLLIN | kEnded)) == 0) return absl::OkStatus();
  absl::Status status =
      connection.receive(std::span<char>(buffer_), (event.events & kEnded) != 0, run.latency);
  if (!status.ok()) return status;

  const int completed = connection.completed();
  if (completed == 0) return absl::OkStatus();
  run.in_flight -= static_cast<std::uint64_t>(completed);
  run.done += static_cast<std::uint64_t>(completed);
  if (connection.completed_at() >= run.deadline) return absl::OkStatus();
  run.done_in_time += static_cast<std::uint64_t>(completed);
  run.last_done_in_time_at = connection.completed_at();
  if (options_.rate > 0) return absl::OkStatus();
  return begin_messages(run, connection, completed, connection.completed_at());
}

absl::Status Load::begin_messages(Run& run, LoadConnection& connection, int count,
                                  std::uint64_t now) {
  const int begun = static_cast<int>(
      std::min<std::uint64_t>(static_cast<std::uint64_t>(count), run.messages_left));
  if (begun == 0) return absl::OkStatus();
  run.messages_left -= static_cast<std::uint64_t>(begun);
  run.in_flight += static_cast<std::uint64_t>(begun);
  return connection.send(begun, now);
}

}  // namespace epore::bench
