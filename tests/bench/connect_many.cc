#include "tests/bench/connect_many.h"

#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/clock.h"
#include "tests/bench/tcp.h"

namespace epore::bench {
namespace {

constexpr std::size_t kMaxInProgress = 64;

// Waits until every connection of the batch stands.
absl::Status await_all(const std::vector<OwnedFd>& batch, const Endpoint& server,
                       std::uint64_t deadline) {
  std::vector<pollfd> waiting;
  for (const OwnedFd& fd : batch)
    waiting.push_back({.fd = fd.get(), .events = POLLOUT, .revents = 0});
  while (!waiting.empty()) {
    if (now_ns() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          "connect to ", server.to_string(), ": no answer to ", waiting.size(), " attempts"));
    }
    if (::poll(waiting.data(), waiting.size(), /*timeout=*/10) < 0 && errno != EINTR) {
      return errno_status(errno, "poll");
    }
    for (const pollfd& entry : waiting) {
      if (entry.revents == 0) continue;
      if (const int error = socket_error(entry.fd); error != 0) {
        return errno_status(error, absl::StrCat("connect to ", server.to_string()));
      }
    }
    std::erase_if(waiting, [](const pollfd& entry) { return entry.revents != 0; });
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<OwnedFd>> connect_many(const Endpoint& server, int count,
                                                  absl::Duration timeout) {
  if (absl::Status status = reserve_descriptors(count); !status.ok()) return status;
  const std::uint64_t deadline = deadline_ns(timeout);
  std::vector<OwnedFd> all;
  while (all.size() < static_cast<std::size_t>(count)) {
    std::vector<OwnedFd> batch;
    const std::size_t size = std::min(kMaxInProgress, static_cast<std::size_t>(count) - all.size());
    while (batch.size() < size) {
      absl::StatusOr<OwnedFd> fd = start_connect(server);
      if (!fd.ok()) return fd.status();
      batch.push_back(*std::move(fd));
    }
    if (absl::Status status = await_all(batch, server, deadline); !status.ok()) return status;
    std::move(batch.begin(), batch.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace epore::bench
