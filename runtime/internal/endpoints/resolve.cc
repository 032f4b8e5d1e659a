#include "epore/runtime/resolve.h"

#include <string>
#include <utility>
#include <vector>

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

}  // namespace

Task<std::vector<SocketAddress>> resolve(std::string address) {
  internal::Core* const core = co_await FindCore();
  internal::Target target = co_await internal::parse_target(address, /*to_listen=*/false);
  if (!target.addresses.empty()) co_return std::move(target.addresses);
  if (auto known = internal::find_host(core->options().hosts, target.host_port)) {
    co_return *std::move(known);
  }
  Completion<std::vector<SocketAddress>> found;
  co_await core->resolver().start(std::move(target.host_port), found.completer());
  co_return co_await found.wait();
}

}  // namespace epore
