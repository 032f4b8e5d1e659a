// A NameChannel by c-ares, which needs somebody who watches its sockets and its time.

#include "epore/runtime/cares/name_channel.h"

#ifndef EPORE_HAVE_C_ARES

namespace epore::internal {

absl::StatusOr<std::shared_ptr<NameChannel>> open_cares_channel(Runtime&,
                                                                const NameResolverOptions&) {
  return absl::UnimplementedError("names: built without c-ares (Debian: libc-ares-dev)");
}

}  // namespace epore::internal

#else

// Its newer functions are not there before c-ares 1.28, and Debian 12 has 1.18.
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/poll/interest.h"
#include "epore/poll/readiness.h"
#include "epore/runtime/internal/base/no_memory.h"
#include "epore/runtime/timer.h"
#include "epore/runtime/watch.h"

namespace epore::internal {
namespace {

// Of RFC 1035 and RFC 2782.
constexpr int kInternet = 1;
constexpr int kSrv = 33;

// A larger datagram may be cut into fragments, which get lost (DNS flag day 2020).
constexpr int kLargestDatagram = 1232;

absl::Status to_status(int code, std::string_view name) {
  const std::string text = absl::StrCat("resolving \"", name, "\": ", ::ares_strerror(code));
  switch (code) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_ENONAME:
      return absl::NotFoundError(text);
    case ARES_EBADNAME:
      return absl::InvalidArgumentError(text);
    case ARES_ENOMEM:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

#ifdef ARES_OPT_QUERY_CACHE

// c-ares 1.31 and later keep answers for an hour unless they are told not to. Returns the bit of
// the option.
int without_cache(ares_options& options) {
  options.qcache_max_ttl = 0;
  return ARES_OPT_QUERY_CACHE;
}

#else

int without_cache(ares_options&) { return 0; }

#endif

class CaresChannel;

// One question. c-ares has it until the answer.
struct Lookup {
  Lookup(CaresChannel& channel, std::string name, std::uint16_t port, Completer<NameAnswer> done)
      : channel(channel), name(std::move(name)), port(port), done(std::move(done)) {}

  CaresChannel& channel;
  const std::string name;
  const std::uint16_t port;  // of each address
  const Completer<NameAnswer> done;
};

// All calls of c-ares are made under one lock, as they neither block nor run code of the program:
// what c-ares calls back completes a Completion, or starts and ends a watch, neither of which runs
// anything in the call.
//
//   a lookup --ares_query--> c-ares opens a socket --> changed(): a watch of it
//   the socket is ready --> is_ready() --ares_process_fd--> the answer --> finish()
//   c-ares wants to be called at a time --> arm(): the timer --> is_due()
//
// The watches and the timer hold weak pointers: the channel goes with its last lookup or resolver.
class CaresChannel final : public NameChannel, public std::enable_shared_from_this<CaresChannel> {
 public:
  CaresChannel(Runtime& runtime, const NameResolverOptions& options)
      : runtime_(runtime), max_lookups_(options.max_lookups) {}
  ~CaresChannel() override { close(); }

  absl::Status open(const NameResolverOptions& options);
  void close() override;
  void find_addresses(const HostPort& host_port, Completer<NameAnswer> done) override;
  void find_targets(const std::string& service, Completer<NameAnswer> done) override;

 private:
  // What c-ares calls, with the lock held.
  static void changed(void* self, ares_socket_t fd, int reads, int writes);
  static void found_addresses(void* lookup, int code, int timeouts, ares_addrinfo* found);
  static void found_targets(void* lookup, int code, int timeouts, unsigned char* answer, int size);

  bool begin(Lookup& lookup) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void watch(int fd, Interest interest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void is_ready(const Watch& watch, const absl::StatusOr<Readiness>& ready);
  void is_due();
  void arm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void finish(const Lookup& lookup, int code, NameAnswer answer);

  Runtime& runtime_;
  const std::size_t max_lookups_;

  absl::Mutex mutex_;
  ares_channel channel_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null: closed
  absl::flat_hash_map<int, Watch> watches_ ABSL_GUARDED_BY(mutex_);
  Timer timer_ ABSL_GUARDED_BY(mutex_);
  std::size_t lookups_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);  // of a watch or the timer: it ends all lookups
};

absl::Status CaresChannel::open(const NameResolverOptions& options) {
  static const int ready = ::ares_library_init(ARES_LIB_INIT_ALL);
  if (ready != ARES_SUCCESS) return absl::InternalError(::ares_strerror(ready));
  std::string lookups = options.uses_hosts_file ? "fb" : "b";  // the file, then name servers
  ares_options all = {};
  // With aliases, a file that the environment names (HOSTALIASES) would decide who a host is.
  all.flags =
      ARES_FLAG_EDNS | ARES_FLAG_NOALIASES | (options.uses_search_domains ? 0 : ARES_FLAG_NOSEARCH);
  all.ednspsz = kLargestDatagram;
  all.timeout = static_cast<int>(absl::ToInt64Milliseconds(options.timeout));
  all.tries = options.tries;
  all.lookups = lookups.data();
  all.sock_state_cb = changed;
  all.sock_state_cb_data = this;
  const int set = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                  ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | without_cache(all);
  absl::MutexLock lock(&mutex_);
  int code = ::ares_init_options(&channel_, &all, set);
  if (code != ARES_SUCCESS) {
    channel_ = nullptr;
    return absl::InternalError(absl::StrCat("ares_init_options: ", ::ares_strerror(code)));
  }
  if (!options.servers.empty()) {
    code = ::ares_set_servers_ports_csv(channel_, options.servers.c_str());
    if (code != ARES_SUCCESS) {
      return absl::InvalidArgumentError(absl::StrCat(
          "NameResolverOptions::servers: \"", options.servers, "\": ", ::ares_strerror(code)));
    }
  }
  timer_ = runtime_.timer([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->is_due();
  });
  return absl::OkStatus();
}

void CaresChannel::close() {
  absl::MutexLock lock(&mutex_);
  if (channel_ == nullptr) return;
  failure_ = absl::CancelledError("the resolver is gone");
  ::ares_destroy(channel_);  // ends the lookups, and the watches through changed()
  channel_ = nullptr;
  timer_.cancel();
}

void CaresChannel::find_addresses(const HostPort& host_port, Completer<NameAnswer> done) {
  auto lookup = std::make_unique<Lookup>(*this, host_port.host, host_port.port, std::move(done));
  absl::MutexLock lock(&mutex_);
  if (!begin(*lookup)) return;
  ares_addrinfo_hints hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ::ares_getaddrinfo(channel_, host_port.host.c_str(), nullptr, &hints, found_addresses,
                     lookup.release());
  arm();
}

void CaresChannel::find_targets(const std::string& service, Completer<NameAnswer> done) {
  auto lookup = std::make_unique<Lookup>(*this, service, std::uint16_t{0}, std::move(done));
  absl::MutexLock lock(&mutex_);
  if (!begin(*lookup)) return;
  ::ares_query(channel_, service.c_str(), kInternet, kSrv, found_targets, lookup.release());
  arm();
}

// False: it is refused, and was told so.
bool CaresChannel::begin(Lookup& lookup) {
  if (channel_ == nullptr) {
    lookup.done(absl::CancelledError("the resolver is gone"));
  } else if (lookups_ == max_lookups_) {
    lookup.done(absl::ResourceExhaustedError(
        absl::StrCat("resolving \"", lookup.name, "\": ", max_lookups_,
                     " lookups go on (NameResolverOptions::max_lookups)")));
  } else {
    ++lookups_;
    return true;
  }
  return false;
}

void CaresChannel::found_addresses(void* lookup, int code, int, ares_addrinfo* found) {
  const std::unique_ptr<Lookup> owner(static_cast<Lookup*>(lookup));
  NameAnswer answer;
  try {
    for (const auto* node = found ? found->nodes : nullptr; node != nullptr; node = node->ai_next) {
      const SocketAddress address =
          SocketAddress::from_sockaddr(node->ai_addr, static_cast<unsigned>(node->ai_addrlen));
      if (!address.is_empty()) answer.addresses.push_back(address.with_port(owner->port));
    }
    if (code == ARES_SUCCESS && answer.addresses.empty()) code = ARES_ENODATA;
  } catch (const std::bad_alloc&) {
    code = ARES_ENOMEM;
  }
  if (found != nullptr) ::ares_freeaddrinfo(found);
  owner->channel.finish(*owner, code, std::move(answer));
}

void CaresChannel::found_targets(void* lookup, int code, int, unsigned char* bytes, int size) {
  const std::unique_ptr<Lookup> owner(static_cast<Lookup*>(lookup));
  NameAnswer answer;
  ares_srv_reply* list = nullptr;
  if (code == ARES_SUCCESS) code = ::ares_parse_srv_reply(bytes, size, &list);
  try {
    for (const ares_srv_reply* target = list; target != nullptr; target = target->next) {
      answer.targets.push_back({.host = target->host,
                                .port = target->port,
                                .priority = target->priority,
                                .weight = target->weight});
    }
  } catch (const std::bad_alloc&) {
    code = ARES_ENOMEM;
  }
  if (list != nullptr) ::ares_free_data(list);
  if (code == ARES_SUCCESS && answer.targets.empty()) code = ARES_ENODATA;
  owner->channel.finish(*owner, code, std::move(answer));
}

// In a callback of c-ares, and so with the lock held.
void CaresChannel::finish(const Lookup& lookup, int code, NameAnswer answer) {
  mutex_.AssertHeld();
  --lookups_;
  const bool was_ended = code == ARES_ECANCELLED || code == ARES_EDESTRUCTION;
  if (code == ARES_SUCCESS) {
    lookup.done(std::move(answer));
  } else if (was_ended && !failure_.ok()) {
    lookup.done(failure_);
  } else {
    lookup.done(or_no_memory("resolving", [&] { return to_status(code, lookup.name); }));
  }
}

void CaresChannel::changed(void* self, ares_socket_t fd, int reads, int writes) {
  auto& channel = *static_cast<CaresChannel*>(self);
  channel.mutex_.AssertHeld();
  Interest interest = Interest::readable();
  if (writes != 0) interest = interest | Interest::writable();
  if (reads == 0) interest = interest - Interest::readable();
  const auto at = channel.watches_.find(fd);
  if (reads == 0 && writes == 0) {  // it is about to be closed
    if (at == channel.watches_.end()) return;
    at->second.cancel();
    channel.watches_.erase(at);
  } else if (at != channel.watches_.end()) {
    at->second.set_interest(interest);
  } else {
    channel.watch(fd, interest);
  }
}

void CaresChannel::watch(int fd, Interest interest) {
  try {
    Watch& place = watches_[fd];
    absl::StatusOr<Watch> made = runtime_.watch(
        fd, interest, [weak = weak_from_this()](Watch& self, absl::StatusOr<Readiness> ready) {
          if (const auto channel = weak.lock()) channel->is_ready(self, ready);
        });
    if (made.ok()) {
      place = *std::move(made);
    } else {
      failure_ = made.status();
    }
  } catch (const std::bad_alloc&) {
    failure_ = no_memory("resolving");
  }
  if (!failure_.ok()) watches_.erase(fd);
}

void CaresChannel::is_ready(const Watch& watch, const absl::StatusOr<Readiness>& ready) {
  absl::MutexLock lock(&mutex_);
  const auto at = watches_.find(watch.fd());
  // The socket may have been closed, and its number may be that of a new one.
  if (channel_ == nullptr || at == watches_.end() || !(at->second == watch)) return;
  if (ready.ok()) {
    const int fd = watch.fd();
    ::ares_process_fd(channel_, ready->is_readable() ? fd : ARES_SOCKET_BAD,
                      ready->is_writable() ? fd : ARES_SOCKET_BAD);
  } else {
    failure_ = ready.status();
  }
  arm();
}

void CaresChannel::is_due() {
  absl::MutexLock lock(&mutex_);
  if (channel_ == nullptr) return;
  ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  arm();
}

// After each call of c-ares.
void CaresChannel::arm() {
  timeval left = {};
  if (failure_.ok()) {
    if (::ares_timeout(channel_, nullptr, &left) == nullptr) {
      timer_.cancel();
      return;
    }
    // c-ares counts whole milliseconds and forgets the rest.
    const absl::Duration after = absl::DurationFromTimeval(left) + absl::Milliseconds(1);
    if (timer_.arm(after)) return;
    failure_ = absl::CancelledError("the runtime is shut down");
  }
  // Without a watch or a timer a lookup would wait for ever.
  ::ares_cancel(channel_);
  failure_ = absl::OkStatus();
  timer_.cancel();
}

}  // namespace

absl::StatusOr<std::shared_ptr<NameChannel>> open_cares_channel(
    Runtime& runtime, const NameResolverOptions& options) {
  auto channel = std::make_shared<CaresChannel>(runtime, options);
  if (absl::Status bad = channel->open(options); !bad.ok()) return bad;
  return channel;
}

}  // namespace epore::internal

#endif  // EPORE_HAVE_C_ARES
