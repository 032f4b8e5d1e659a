#include "runtime/internal/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "poll/sys/errno_status.h"

namespace epore::internal {
namespace {

absl::Status lookup_error(const HostPort& host_port, int code, int error) {
  const std::string text = absl::StrCat(
      "resolving \"", host_port.host,
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

}  // namespace

absl::StatusOr<std::vector<SocketAddress>> resolve(Kernel& kernel, const HostPort& host_port,
                                                   bool to_listen) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0);
  const std::string service = absl::StrCat(host_port.port);
  addrinfo* list = nullptr;
  errno = 0;
  const int code = kernel.resolve(host_port.host.empty() ? nullptr : host_port.host.c_str(),
                                  service.c_str(), &hints, &list);
  if (code != 0) return lookup_error(host_port, code, errno);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const SocketAddress address = SocketAddress::from_sockaddr(entry->ai_addr, entry->ai_addrlen);
    if (address.is_empty()) continue;
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  kernel.free_addresses(list);
  if (addresses.empty()) return lookup_error(host_port, EAI_NONAME, 0);
  return addresses;
}

Resolver::Resolver(Kernel& kernel) : kernel_(kernel), gate_(kernel) {}

absl::Status Resolver::start(HostPort host_port, Callback done) {
  bool needs_thread = false;
  {
    absl::MutexLock lock(&mutex_);
    if (is_stopping_) return absl::CancelledError("the runtime is shut down");
    requests_.push_back(Request{std::move(host_port), std::move(done)});
    const int threads = static_cast<int>(threads_.size()) + starting_;
    needs_thread = static_cast<int>(requests_.size()) > idle_ + starting_ && threads < kThreads;
    if (needs_thread) ++starting_;
  }
  if (!needs_thread) {
    gate_.notify();
    return absl::OkStatus();
  }
  std::uint64_t thread = 0;
  const SysResult started = kernel_.start_thread(
      "epore-resolver", [this] { work(); }, &thread);
  std::deque<Request> abandoned;
  {
    absl::MutexLock lock(&mutex_);
    --starting_;
    if (started.ok()) {
      threads_.push_back(thread);
    } else if (threads_.empty() && starting_ == 0) {
      abandoned.swap(requests_);  // also those that counted on this thread
    }
  }
  gate_.notify();  // stop() waits for it
  for (Request& request : abandoned) {
    request.done(errno_status(started.error(), "starting a resolver thread"));
  }
  return absl::OkStatus();
}

void Resolver::work() {
  for (;;) {
    Request request;
    bool is_stopping = false;
    bool is_idle = false;
    gate_.wait([&] {
      absl::MutexLock lock(&mutex_);
      is_stopping = is_stopping_;
      const bool waits = !is_stopping && requests_.empty();
      // In one step with the taking, so that start() never counts on a thread that is at work.
      idle_ += static_cast<int>(waits) - static_cast<int>(is_idle);
      is_idle = waits;
      if (waits || is_stopping) return !waits;
      request = std::move(requests_.front());
      requests_.pop_front();
      return true;
    });
    if (is_stopping) return;
    request.done(resolve(kernel_, request.host_port, /*to_listen=*/false));
  }
}

void Resolver::stop() {
  std::vector<std::uint64_t> threads;
  std::deque<Request> dropped;
  {
    absl::MutexLock lock(&mutex_);
    is_stopping_ = true;
    dropped.swap(requests_);
  }
  gate_.notify();
  gate_.wait([&] {
    absl::MutexLock lock(&mutex_);
    if (starting_ != 0) return false;
    threads.swap(threads_);
    return true;
  });
  for (std::uint64_t thread : threads) (void)kernel_.join_thread(thread);
}

}  // namespace epore::internal
