#include "epore/runtime/internal/endpoints/listener_state.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/base/printable.h"
#include "epore/runtime/internal/net/hosts.h"
#include "epore/runtime/internal/net/inherited_sockets.h"
#include "epore/runtime/internal/net/option_setter.h"
#include "epore/runtime/internal/net/resolver.h"
#include "epore/runtime/internal/net/socket_file.h"
#include "epore/runtime/internal/net/socket_options.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/stream/stream.h"

namespace epore::internal {
namespace {

// Before the name of sockets that a service manager has opened.
constexpr std::string_view kInherited = "inherited:";

// Before the number of a socket that the program has got from somewhere.
constexpr std::string_view kDescriptor = "fd://";

struct Bound {
  OwnedFd fd;
  SocketAddress address;
  std::shared_ptr<SocketFile> file = nullptr;
  bool is_duplicate = false;  // of another one
};

// Whether the error says that this machine does not have the address, such as ::1 without IPv6.
bool is_unusable(int error) { return error == EADDRNOTAVAIL || error == EAFNOSUPPORT; }

enum class Sharing { no, by_others, from_the_start };

// Stores the errno of socket(2) or bind(2), or 0, in `error`.
absl::StatusOr<Bound> bind_one(Core& core, const SocketAddress& address, bool v6_only,
                               Sharing sharing, const ListenOptions& options, int& error) {
  Kernel& kernel = core.kernel();
  absl::StatusOr<OwnedFd> fd = open_stream_socket(kernel, address, &error);
  if (!fd.ok()) return fd.status();
  const auto share = [&] {
    return set_option(kernel, fd->get(), SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  };
  absl::Status set = set_option(kernel, fd->get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  if (set.ok() && sharing == Sharing::from_the_start) set = share();
  // Set in any case, because the default depends on the machine (net.ipv6.bindv6only).
  if (set.ok() && address.is_ipv6()) {
    set = set_option(kernel, fd->get(), IPPROTO_IPV6, IPV6_V6ONLY, v6_only ? 1 : 0, "IPV6_V6ONLY");
  }
  if (set.ok())
    set =
        set_connection_options(kernel, fd->get(), address, options.connection, SocketUse::listens);
  if (!set.ok()) return set;
  SysResult result = kernel.bind(fd->get(), address.data(), address.size());
  error = result.error();
  if (!result.ok()) {
    return errno_status(result.error(), absl::StrCat("bind(", address.to_string(), ")"));
  }
  if (sharing == Sharing::by_others) set = share();
  if (!set.ok()) return set;
  result = kernel.listen(fd->get(), options.backlog);
  if (!result.ok()) {
    return errno_status(result.error(), absl::StrCat("listen(", address.to_string(), ")"));
  }
  SocketAddress bound = local_address_of(kernel, fd->get());
  if (bound.is_empty()) {
    // The port was 0, and only the system knows the port that it chose.
    if (address.port() == 0) {
      return absl::UnknownError(absl::StrCat("getsockname(", address.to_string(), ") is refused"));
    }
    bound = address;
  }
  return Bound{*std::move(fd), bound};
}

absl::StatusOr<OwnedFd> duplicate(Kernel& kernel, int fd, const SocketAddress& address) {
  const SysResult copied = kernel.fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (copied.ok()) return OwnedFd(copied.fd(), kernel);
  return errno_status(copied.error(), absl::StrCat("fcntl(F_DUPFD_CLOEXEC), for listening on ",
                                                   address.to_string()));
}

// Binds a Unix socket. All reactors accept from this one by duplicates of its descriptor: several
// sockets cannot share a path.
absl::StatusOr<std::vector<Bound>> bind_unix(Core& core, const SocketAddress& address,
                                             const ListenOptions& options) {
  Kernel& kernel = core.kernel();
  absl::StatusOr<OwnedFd> fd = open_stream_socket(kernel, address);
  if (!fd.ok()) return fd.status();
  absl::Status set =
      set_connection_options(kernel, fd->get(), address, options.connection, SocketUse::listens);
  if (!set.ok()) return set;
  if (options.unix_mode) {
    // The file gets the mode of its socket, so it never has another one.
    const SysResult changed = kernel.fchmod(fd->get(), *options.unix_mode);
    if (!changed.ok()) {
      return errno_status(changed.error(), absl::StrCat("fchmod(", address.to_string(), ")"));
    }
  }
  absl::StatusOr<std::unique_ptr<SocketFile>> file =
      SocketFile::bind_and_listen(kernel, fd->get(), address, options.backlog);
  if (!file.ok()) return file.status();
  std::vector<Bound> all;
  all.push_back({*std::move(fd), address, *std::move(file)});
  while (all.size() < core.reactors().size()) {
    absl::StatusOr<OwnedFd> copied = duplicate(kernel, all.front().fd.get(), address);
    if (!copied.ok()) return copied.status();
    all.push_back({*std::move(copied), address, all.front().file, /*is_duplicate=*/true});
  }
  return all;
}

// Makes a socket of somebody else one of epore's. Returns its address. `name` is for errors.
absl::StatusOr<SocketAddress> adopt(Kernel& kernel, int fd, std::string_view name,
                                    const ListenOptions& options) {
  const auto failed = [name](SysResult result, std::string_view call) {
    return errno_status(result.error(), absl::StrCat(call, ", for ", name));
  };
  const auto refused = [name](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is ", why));
  };
  int type = 0;
  int listens = 0;
  unsigned size = sizeof type;
  SysResult result = kernel.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
  if (!result.ok()) return failed(result, "getsockopt(SO_TYPE)");
  result = kernel.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
  if (!result.ok()) return failed(result, "getsockopt(SO_ACCEPTCONN)");
  if (type != SOCK_STREAM || listens == 0) return refused("no stream socket that listens");
  const SocketAddress address = local_address_of(kernel, fd);
  if (address.is_empty()) return refused("no socket of IPv4, IPv6 or Unix");
  result = kernel.fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (!result.ok()) return failed(result, "fcntl(F_SETFD)");
  result = kernel.fcntl(fd, F_GETFL, 0);
  if (result.ok()) result = kernel.fcntl(fd, F_SETFL, result.fd() | O_NONBLOCK);
  if (!result.ok()) return failed(result, "fcntl(F_SETFL)");
  if (absl::Status set =
          set_connection_options(kernel, fd, address, options.connection, SocketUse::listens);
      !set.ok())
    return set;
  return address;
}

// Adds duplicates of a socket of somebody else to `all`, one for each reactor. A file of its
// belongs to whoever has bound it.
absl::Status adopt_for_all(Core& core, int fd, std::string_view name, const ListenOptions& options,
                           std::vector<Bound>& all) {
  const absl::StatusOr<SocketAddress> address = adopt(core.kernel(), fd, name, options);
  if (!address.ok()) return address.status();
  for (std::size_t i = 0; i < core.reactors().size(); ++i) {
    absl::StatusOr<OwnedFd> copied = duplicate(core.kernel(), fd, *address);
    if (!copied.ok()) return copied.status();
    all.push_back({*std::move(copied), *address, nullptr, /*is_duplicate=*/i != 0});
  }
  return absl::OkStatus();
}

// Listens at duplicates of inherited sockets, so that a later listen() finds them again.
absl::StatusOr<std::vector<Bound>> inherit(Core& core, std::string_view name,
                                           const ListenOptions& options) {
  const absl::StatusOr<std::vector<int>> fds =
      InheritedSockets::of_environment().find(name, ::getpid());
  if (!fds.ok()) return fds.status();
  std::vector<Bound> all;
  for (const int fd : *fds) {
    absl::Status bad =
        adopt_for_all(core, fd, absl::StrCat("the inherited descriptor ", fd), options, all);
    if (!bad.ok()) return bad;
  }
  return all;
}

// Listens at a duplicate of the socket with this number, which stays the program's.
absl::StatusOr<std::vector<Bound>> listen_at(Core& core, std::string_view number,
                                             const ListenOptions& options) {
  int fd = -1;
  if (!absl::SimpleAtoi(number, &fd) || fd < 0) {
    return absl::InvalidArgumentError(absl::StrCat("\"", kDescriptor, printable(number),
                                                   "\": this is no number of a descriptor"));
  }
  std::vector<Bound> all;
  absl::Status bad = adopt_for_all(core, fd, absl::StrCat("the descriptor ", fd), options, all);
  if (!bad.ok()) return bad;
  return all;
}

// Binds one socket for each address and reactor, all on the port of the first one. Unless the
// options allow sharing, the first socket of an address binds without SO_REUSEPORT, so that a port
// in use is refused. It shares the port with the other reactors afterwards.
absl::StatusOr<std::vector<Bound>> bind_all(Core& core, const std::vector<SocketAddress>& addresses,
                                            const ListenOptions& options, int& error) {
  if (addresses.front().is_unix()) return bind_unix(core, addresses.front(), options);
  // "[::]" alone means both families. Beside other addresses it means IPv6 only.
  const bool v6_only = addresses.size() > 1 || !addresses.front().is_any();
  const std::size_t reactors = core.reactors().size();
  std::vector<Bound> all;
  absl::Status last;
  for (const SocketAddress& address : addresses) {
    for (std::size_t i = 0; i < reactors; ++i) {
      const Sharing sharing = options.reuse_port || i > 0 ? Sharing::from_the_start
                              : reactors > 1              ? Sharing::by_others
                                                          : Sharing::no;
      const std::uint16_t port = all.empty() ? address.port() : all.front().address.port();
      absl::StatusOr<Bound> bound =
          bind_one(core, address.with_port(port), v6_only, sharing, options, error);
      if (!bound.ok() && !is_unusable(error)) return bound.status();
      if (!bound.ok()) {
        last = bound.status();
        break;
      }
      all.push_back(*std::move(bound));
    }
  }
  if (all.empty()) return last;
  return all;
}

// Opens the sockets that `address` names, one for each address and reactor.
absl::StatusOr<std::vector<Bound>> open_sockets(Core& core, std::string_view address,
                                                const ListenOptions& options) {
  if (absl::StartsWith(address, kInherited)) {
    return inherit(core, address.substr(kInherited.size()), options);
  }
  if (absl::StartsWith(address, kDescriptor)) {
    return listen_at(core, address.substr(kDescriptor.size()), options);
  }
  absl::StatusOr<Target> target = parse_target(address, /*to_listen=*/true);
  if (!target.ok()) return target.status();
  if (target->addresses.empty()) {
    auto found = find_host(core.options().hosts, target->host_port);
    if (!found && core.is_own_thread()) {
      return absl::FailedPreconditionError(
          absl::StrCat("listen(\"", printable(address),
                       "\"): a callback may not resolve names, as it would block; give numbers"));
    }
    if (!found) found = resolve(core.kernel(), target->host_port, /*to_listen=*/true);
    if (!found->ok()) return found->status();
    target->addresses = **std::move(found);
  }
  const std::vector<SocketAddress>& addresses = target->addresses;
  // With port 0, the port of the first address may be in use at another address. Then try again.
  const bool may_retry = target->host_port.port == 0 && addresses.size() > 1;
  int error = 0;
  absl::StatusOr<std::vector<Bound>> bound = bind_all(core, addresses, options, error);
  for (int left = 16; left > 0 && may_retry && !bound.ok() && error == EADDRINUSE; --left) {
    bound = bind_all(core, addresses, options, error);
  }
  return bound;
}

}  // namespace

absl::StatusOr<std::shared_ptr<ListenerState>> ListenerState::open(
    Ref<Core> core, std::string_view address, absl::AnyInvocable<void(Connection&)> on_accept,
    bool has_tasks, const ListenOptions& options) {
  if (absl::Status bad = options.check(); !bad.ok()) return bad;
  absl::Status bad_order =
      OrderState::check(options.order, *core, absl::StrCat("listen(\"", printable(address), "\")"));
  if (!bad_order.ok()) return bad_order;
  absl::StatusOr<std::vector<Bound>> bound = open_sockets(*core, address, options);
  if (!bound.ok()) return bound.status();

  auto state = std::make_shared<ListenerState>();
  state->core_ = core;
  state->sockets_ = std::make_shared<OpenSockets>(core->kernel(), bound->size());
  if (!on_accept) state->queue_ = Ref<AcceptQueue>::adopt(new AcceptQueue());
  const auto shared = std::make_shared<AcceptSettings>(
      std::move(on_accept), state->queue_,
      Ref<const StreamLimits>::adopt(new StreamLimits(options.connection, options.max_connections)),
      OrderState::share(options.order, *core), has_tasks, options);
  const std::size_t reactors = core->reactors().size();
  for (std::size_t i = 0; i < bound->size(); ++i) {
    Bound& one = (*bound)[i];
    if (i % reactors == 0) state->addresses_.push_back(one.address);
    state->acceptors_.push_back(Ref<Acceptor>::adopt(
        new Acceptor(core, *core->reactors()[i % reactors], std::move(one.fd), std::move(one.file),
                     one.address, shared, state->sockets_)));
    if (!one.is_duplicate) state->distinct_.push_back(state->acceptors_.back());
  }
  absl::Cleanup close = [&] { state->close(); };
  for (const Ref<Acceptor>& acceptor : state->acceptors_) {
    if (absl::Status started = acceptor->start(); !started.ok()) return started;
  }
  std::move(close).Cancel();
  return state;
}

absl::Status ListenerState::status() const {
  for (const Ref<Acceptor>& acceptor : acceptors_) {
    if (absl::Status status = acceptor->status(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<OwnedFd>> ListenerState::descriptors() const {
  std::vector<OwnedFd> all;
  all.reserve(distinct_.size());  // a socket that was duplicated is handed out: its file stays
  for (const Ref<Acceptor>& acceptor : distinct_) {
    absl::StatusOr<OwnedFd> copied = acceptor->duplicate();
    if (!copied.ok()) return copied.status();
    all.push_back(*std::move(copied));
  }
  return all;
}

void ListenerState::close() {
  for (const Ref<Acceptor>& acceptor : acceptors_) acceptor->close();
}

absl::Status ListenerState::close_and_wait() {
  if (core_->is_forked()) return Core::forked("Listener::close_and_wait");
  if (core_->is_own_thread()) {
    return absl::FailedPreconditionError(
        "Listener::close_and_wait: called from a callback, it could wait for itself; use close()");
  }
  close();
  sockets_->await_none(core_->caller_loop());
  return absl::OkStatus();
}

}  // namespace epore::internal
