#include "epore/runtime/internal/net/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/runtime/internal/base/gate.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/internal/base/printable.h"

namespace epore::internal {
namespace {

absl::Status lookup_error(const HostPort& host_port, int code, int error) {
  const std::string text = absl::StrCat(
      "resolving \"", printable(host_port.host),
      "\": ", code == EAI_SYSTEM ? errno_text(error) : std::string(::gai_strerror(code)));
  switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
      return absl::NotFoundError(text);
    default:
      return absl::UnavailableError(text);
  }
}

std::vector<SocketAddress> numbers(std::initializer_list<std::string_view> hosts,
                                   std::uint16_t port) {
  std::vector<SocketAddress> addresses;
  for (std::string_view host : hosts) {
    addresses.push_back(SocketAddress::parse(absl::StrCat(host, ":0"))->with_port(port));
  }
  return addresses;
}

}  // namespace

absl::StatusOr<Target> parse_target(std::string_view text, bool to_listen) {
  absl::StatusOr<SocketAddress> number = SocketAddress::parse(text);
  if (absl::StartsWith(text, "unix:")) {
    if (!number.ok()) return number.status();
    return Target{HostPort(), {*number}};
  }
  absl::StatusOr<HostPort> host_port = HostPort::parse(text);
  if (!host_port.ok()) return host_port.status();
  if (number.ok()) return Target{*std::move(host_port), {*number}};
  const std::uint16_t port = host_port->port;
  const bool is_star = host_port->host == "*";
  if (is_star && !to_listen) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", printable(text), "\": \"*\" is only for listening"));
  }
  if (!is_star && !host_port->host.empty()) return Target{*std::move(host_port), {}};
  return Target{*std::move(host_port), to_listen ? numbers({"0.0.0.0", "[::]"}, port)
                                                 : numbers({"127.0.0.1", "[::1]"}, port)};
}

absl::StatusOr<std::vector<SocketAddress>> resolve(Kernel& kernel, const HostPort& host_port,
                                                   bool to_listen) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0);
  const std::string service = absl::StrCat(host_port.port);
  addrinfo* list = nullptr;
  errno = 0;
  int code = kernel.resolve(host_port.host.empty() ? nullptr : host_port.host.c_str(),
                            service.c_str(), &hints, &list);
  // A bare container has no /etc/hosts; no host at all is loopback, unless the hints say passive.
  if (code != 0 && host_port.host == "localhost") {
    hints.ai_flags = AI_NUMERICSERV;
    errno = 0;
    code = kernel.resolve(nullptr, service.c_str(), &hints, &list);
  }
  if (code != 0) return lookup_error(host_port, code, errno);
  const absl::Cleanup free_list = [&] { kernel.free_addresses(list); };
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const SocketAddress address = SocketAddress::from_sockaddr(entry->ai_addr, entry->ai_addrlen);
    if (address.is_empty()) continue;
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  if (addresses.empty()) return lookup_error(host_port, EAI_NONAME, 0);
  return addresses;
}

struct Resolver::State {
  struct Request {
    HostPort host_port;
    Callback done;
  };

  // A thread that was started, or is about to be. Its address does not change.
  struct Thread {
    std::uint64_t id = 0;     // 0: not known yet, or already joined or detached
    bool has_looked = false;  // for requests
    bool is_resolving = false;
    bool is_abandoned = false;
    Callback done;  // of the lookup that it is in
  };

  State(Kernel& kernel, std::shared_ptr<Kernel> owner)
      : owner(std::move(owner)), kernel(kernel), gate(kernel) {}

  void work(Thread& self);
  bool take(Thread& self, HostPort& host_port);
  std::optional<Callback> resolved(Thread& self);

  const std::shared_ptr<Kernel> owner;
  Kernel& kernel;
  Gate gate;

  absl::Mutex mutex;
  std::map<Ticket, Request> requests ABSL_GUARDED_BY(mutex);  // the first one comes next
  Ticket last_ticket ABSL_GUARDED_BY(mutex) = 0;
  std::list<Thread> threads ABSL_GUARDED_BY(mutex);
  int starting ABSL_GUARDED_BY(mutex) = 0;  // whose ids are not known
  int coming ABSL_GUARDED_BY(mutex) = 0;    // that have not looked for requests
  int idle ABSL_GUARDED_BY(mutex) = 0;
  bool is_stopping ABSL_GUARDED_BY(mutex) = false;
};

Resolver::Resolver(Kernel& kernel, std::shared_ptr<Kernel> owner)
    : state_(std::make_shared<State>(kernel, std::move(owner))) {}

absl::Status Resolver::start(HostPort host_port, Callback done, Ticket* ticket) {
  State& state = *state_;
  State::Thread* fresh = nullptr;
  {
    absl::MutexLock lock(&state.mutex);
    if (state.is_stopping) return absl::CancelledError("the runtime is shut down");
    if (state.requests.size() >= kMostWaiting) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "resolving \"", printable(host_port.host), "\": ", kMostWaiting, " names wait already"));
    }
    std::list<State::Thread> thread;
    if (static_cast<int>(state.requests.size()) >= state.idle + state.coming &&
        state.threads.size() < kThreads) {
      thread.emplace_back();
    }
    state.requests.emplace_hint(state.requests.end(), state.last_ticket + 1,
                                State::Request{std::move(host_port), std::move(done)});
    ++state.last_ticket;
    if (ticket != nullptr) *ticket = state.last_ticket;
    if (!thread.empty()) {
      fresh = &thread.back();
      state.threads.splice(state.threads.end(), thread);
      ++state.starting;
      ++state.coming;
    }
  }
  if (fresh == nullptr) {
    state.gate.notify();
    return absl::OkStatus();
  }
  std::uint64_t id = 0;
  SysResult started = SysResult::from_errno(ENOMEM);
  try {
    started = state.kernel.start_thread(
        "epore-resolver", [shared = state_, fresh] { shared->work(*fresh); }, &id);
  } catch (const std::bad_alloc&) {
  }
  std::map<Ticket, State::Request> abandoned;
  {
    absl::MutexLock lock(&state.mutex);
    --state.starting;
    if (started.ok()) {
      fresh->id = id;
    } else {
      --state.coming;
      state.threads.remove_if([&](const State::Thread& thread) { return &thread == fresh; });
      // Without a thread, nobody is left for the requests of other callers either.
      if (state.threads.empty()) abandoned.swap(state.requests);
    }
  }
  state.gate.notify();  // stop() waits until no thread is being started
  if (abandoned.empty()) return absl::OkStatus();
  const absl::Status failed = or_no_memory("starting a resolver thread", [&] {
    return errno_status(started.error(), "starting a resolver thread");
  });
  for (auto& [_, request] : abandoned) request.done(failed);
  return absl::OkStatus();
}

// Allocates nothing, as callers do so at their end.
void Resolver::cancel(Ticket ticket) {
  State& state = *state_;
  decltype(state.requests)::node_type dropped;  // destroyed without the lock
  absl::MutexLock lock(&state.mutex);
  dropped = state.requests.extract(ticket);
}

void Resolver::State::work(Thread& self) {
  HostPort host_port;
  while (take(self, host_port)) {
    absl::StatusOr<std::vector<SocketAddress>> addresses = or_no_memory(
        "resolving a name", [&] { return resolve(kernel, host_port, /*to_listen=*/false); });
    std::optional<Callback> done = resolved(self);
    if (!done) return;  // stop() left this thread behind: the runtime may be gone
    (*done)(std::move(addresses));
  }
}

// Waits for a request. Returns false if the thread must end.
bool Resolver::State::take(Thread& self, HostPort& host_port) {
  bool has_taken = false;
  bool is_idle = false;
  gate.wait([&] {
    absl::MutexLock lock(&mutex);
    if (!std::exchange(self.has_looked, true)) --coming;
    const bool waits = !is_stopping && requests.empty();
    // In the same step as the taking: start() must not count a thread as idle that has work.
    idle += static_cast<int>(waits) - static_cast<int>(is_idle);
    is_idle = waits;
    if (waits || is_stopping) return !waits;
    const auto first = requests.begin();
    host_port = std::move(first->second.host_port);
    self.done = std::move(first->second.done);
    self.is_resolving = has_taken = true;
    requests.erase(first);
    return true;
  });
  return has_taken;
}

// Returns the callback to call, or none if stop() has left this thread behind.
std::optional<Resolver::Callback> Resolver::State::resolved(Thread& self) {
  absl::MutexLock lock(&mutex);
  if (self.is_abandoned) return std::nullopt;
  self.is_resolving = false;
  return std::move(self.done);
}

// Allocates nothing, because a shutdown cannot return an error.
void Resolver::stop() {
  State& state = *state_;
  std::map<Ticket, State::Request> dropped;  // destroyed without the lock
  {
    absl::MutexLock lock(&state.mutex);
    state.is_stopping = true;
    dropped.swap(state.requests);
  }
  state.gate.notify();
  state.gate.wait([&] {
    absl::MutexLock lock(&state.mutex);
    return state.starting == 0;  // until then some thread's id is not known
  });
  for (;;) {
    std::uint64_t id = 0;
    Callback abandoned;  // destroyed without the lock
    {
      absl::MutexLock lock(&state.mutex);
      // A thread without an id was joined or detached before.
      const auto next = std::find_if(state.threads.begin(), state.threads.end(),
                                     [](const State::Thread& thread) { return thread.id != 0; });
      if (next == state.threads.end()) return;
      id = std::exchange(next->id, 0);
      next->is_abandoned = next->is_resolving;
      if (next->is_abandoned) abandoned = std::move(next->done);
    }
    if (abandoned) {
      (void)state.kernel.detach_thread(id);
    } else {
      (void)state.kernel.join_thread(id);
    }
  }
}

}  // namespace epore::internal
