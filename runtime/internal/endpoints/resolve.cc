#include "epore/runtime/resolve.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "epore/runtime/completion.h"
#include "epore/runtime/internal/net/hosts.h"
#include "epore/runtime/internal/net/resolver.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "epore/runtime/internal/task/awaitable.h"
#include "epore/runtime/internal/task/wait_list.h"

namespace epore {
namespace {

// Gives the core of the task that awaits it, which lives as long as the task.
class FindCore {
 public:
  using Value = internal::Core*;

  bool begin(internal::TaskNode& node) {
    if (!internal::ends_with_stop(node)) {
      core_ = &node.scope->chain->home().order_state()->core();
    }
    return true;
  }
  void finish(internal::TaskNode&) {}
  internal::Core* take() { return core_; }

 private:
  internal::Core* core_ = nullptr;
};

// Takes the name back if the task ends before a thread has it.
class Lookup {
 public:
  explicit Lookup(internal::Resolver& resolver) : resolver_(resolver) {}
  ~Lookup() { resolver_.cancel(ticket_); }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  absl::Status start(HostPort host_port, internal::Resolver::Callback done) {
    return resolver_.start(std::move(host_port), std::move(done), &ticket_);
  }

 private:
  internal::Resolver& resolver_;
  internal::Resolver::Ticket ticket_ = 0;
};

}  // namespace

Task<std::vector<SocketAddress>> resolve(std::string address) {
  internal::Core* const core = co_await FindCore();
  internal::Target target = co_await internal::parse_target(address, /*to_listen=*/false);
  if (!target.addresses.empty()) co_return std::move(target.addresses);
  if (auto known = internal::find_host(core->options().hosts, target.host_port)) {
    co_return *std::move(known);
  }
  Completion<std::vector<SocketAddress>> found;
  Lookup lookup(core->resolver());
  co_await lookup.start(std::move(target.host_port), found.completer());
  co_return co_await found.wait();
}

}  // namespace epore
