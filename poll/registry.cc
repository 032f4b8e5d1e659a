#include "epore/poll/registry.h"

#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/or_enomem.h"

namespace epore {
namespace {

absl::Status to_status(SysResult result, const char* call, int fd) {
  if (result.ok()) return absl::OkStatus();
  return errno_status(result.error(), absl::StrCat(call, "(fd ", fd, ")"));
}

absl::Status check_interest(const char* call, int fd, Interest interest) {
  if (!interest.is_empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      call, "(fd ", fd, "): EINVAL: the interest is empty; use deregister_fd to hear nothing"));
}

}  // namespace

Registry::Registry(std::unique_ptr<internal::Selector> selector, Kernel& kernel)
    : selector_(std::move(selector)), kernel_(kernel) {}

Registry::~Registry() = default;

absl::Status Registry::register_fd(int fd, Token token, Interest interest) {
  return or_enomem("register_fd", [&] {
    if (absl::Status bad = check("register_fd", fd); !bad.ok()) return bad;
    if (absl::Status bad = check_interest("register_fd", fd, interest); !bad.ok()) return bad;
    publish();
    return to_status(selector_->add(fd, token, interest), "register_fd", fd);
  });
}

absl::Status Registry::reregister_fd(int fd, Token token, Interest interest) {
  return or_enomem("reregister_fd", [&] {
    if (absl::Status bad = check("reregister_fd", fd); !bad.ok()) return bad;
    if (absl::Status bad = check_interest("reregister_fd", fd, interest); !bad.ok()) return bad;
    publish();
    return to_status(selector_->modify(fd, token, interest), "reregister_fd", fd);
  });
}

absl::Status Registry::deregister_fd(int fd) {
  return or_enomem("deregister_fd", [&] {
    if (absl::Status bad = check("deregister_fd", fd); !bad.ok()) return bad;
    return to_status(selector_->remove(fd), "deregister_fd", fd);
  });
}

std::string_view Registry::selector_name() const { return selector_->traits().name; }

bool Registry::has_edges() const { return selector_->traits().has_edges; }

absl::Status Registry::check(const char* call, int fd) const {
  if (!poll_gone_.load(std::memory_order_acquire)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(call, "(fd ", fd, "): the Poll of this registry is gone"));
}

}  // namespace epore
