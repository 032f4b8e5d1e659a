// Requests to a delay server, a connection each, all of them waited for by one thread: the poll
// layer without the runtime.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/events.h"
#include "epore/poll/poll.h"
#include "examples/client_request.h"
#include "examples/command_line.h"

ABSL_FLAG(std::uint16_t, port, 8080, "the server's port");
ABSL_FLAG(std::uint32_t, requests, 5, "how many");
ABSL_FLAG(std::uint32_t, max_delay, 0, "random delays of 1 to this many seconds");
ABSL_FLAG(absl::Duration, patience, absl::Minutes(1), "beyond the longest delay");
ABSL_FLAG(std::uint64_t, seed, 1, "of the random delays");
ABSL_FLAG(std::string, selector, "", "the event queue's engine: epoll, poll or io_uring");

namespace {

constexpr std::string_view kHelp = R"(delay_client [HOST] [flags]

Sends requests to a delay server (HOST is localhost by default), all at once, a connection each, and
prints what comes back as it comes. Exits with 0 if every request was answered.

  --port=N             the server's port; default 8080
  --requests=N         how many, at most 100,000; default 5. Request i is for N-i seconds, so the last is the first
  --max-delay=S        random delays of 1 to S seconds instead
  --patience=1m        how long it waits beyond the longest delay; then it exits with 1
  --seed=K             of the random delays; default 1
  --selector=NAME      the event queue's engine: epoll, poll or io_uring; default: epoll
  --help               print this
)";

constexpr std::uint32_t kMostRequests = 100'000;

using Requests = std::vector<std::unique_ptr<examples::ClientRequest>>;

std::vector<std::uint64_t> make_delays() {
  std::vector<std::uint64_t> delays(absl::GetFlag(FLAGS_requests));
  const std::uint64_t max_delay = absl::GetFlag(FLAGS_max_delay);
  std::mt19937_64 random(absl::GetFlag(FLAGS_seed));
  for (std::size_t i = 0; i < delays.size(); ++i) {
    delays[i] = max_delay == 0
                    ? (delays.size() - i) * 1000
                    : std::uniform_int_distribution<std::uint64_t>(1000, max_delay * 1000)(random);
  }
  return delays;
}

void print_event(const epore::Event& event) {
  std::printf("RECEIVED: token %llu%s%s%s%s%s\n",
              static_cast<unsigned long long>(event.token.value),
              event.is_readable() ? " readable" : "", event.is_writable() ? " writable" : "",
              event.is_read_closed() ? " read_closed" : "",
              event.is_write_closed() ? " write_closed" : "", event.is_error() ? " error" : "");
}

// Waits until every request has come to its end.
absl::Status run(epore::Poll& poll, Requests& requests, absl::Duration limit) {
  const auto start = std::chrono::steady_clock::now();
  const std::shared_ptr<epore::Registry> registry = poll.registry();
  std::size_t open = requests.size();
  const auto note_end = [&](std::size_t i) {
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const absl::Status& status = requests[i]->status();
    const std::string end =
        status.ok() ? absl::StrCat("status ", requests[i]->response().status()) : status.ToString();
    std::printf("DONE: token %zu after %.3f s: %s\n", i, time.count(), end.c_str());
    --open;
  };
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i]->start(*registry);
    if (requests[i]->is_done()) note_end(i);
  }
  epore::Events events(1024);
  while (open > 0) {
    const absl::Duration left = limit - absl::FromChrono(std::chrono::steady_clock::now() - start);
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat(open, " requests were not answered within ", absl::FormatDuration(limit)));
    }
    const absl::Status polled = poll.poll(events, left);
    if (!polled.ok()) return polled;
    for (const epore::Event& event : events) {
      // A token is an index here, which is safe because none is used a second time.
      examples::ClientRequest& request = *requests[event.token.value];
      print_event(event);
      if (request.is_done()) continue;
      request.on_event(*registry);
      const std::string chunk = request.take_received();
      std::fwrite(chunk.data(), 1, chunk.size(), stdout);
      if (!chunk.empty()) std::puts("\n------");
      if (request.is_done()) note_end(event.token.value);
    }
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

int fail(const absl::Status& status) {
  std::fprintf(stderr, "ERROR: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments = examples::parse_command_line(argc, argv, kHelp);
  if (arguments.size() > 1) examples::usage_error("more than one HOST");
  if (absl::GetFlag(FLAGS_requests) > kMostRequests) {
    examples::usage_error(absl::StrCat("--requests: at most ", kMostRequests));
  }
  const absl::Duration patience = absl::GetFlag(FLAGS_patience);
  if (patience <= absl::ZeroDuration()) examples::usage_error("--patience: more than zero");
  absl::StatusOr<epore::Poll> poll = epore::Poll::create({absl::GetFlag(FLAGS_selector)});
  if (!poll.ok()) return fail(poll.status());
  const auto addresses = examples::resolve(arguments.empty() ? "localhost" : arguments[0],
                                           absl::StrCat(absl::GetFlag(FLAGS_port)));
  if (!addresses.ok()) return fail(addresses.status());

  Requests requests;
  absl::Duration longest;
  for (const std::uint64_t delay : make_delays()) {
    longest = std::max(longest, absl::Milliseconds(delay));
    const std::size_t i = requests.size();
    requests.push_back(std::make_unique<examples::ClientRequest>(
        epore::Token{i},
        absl::StrCat("GET /", delay, "/request-", i,
                     " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        *addresses));
  }
  const absl::Status status = run(*poll, requests, longest + patience);
  if (!status.ok()) return fail(status);
  std::puts("FINISHED");
  for (const auto& request : requests) {
    if (!request->status().ok() || request->response().status() != 200) return 1;
  }
  return 0;
}
