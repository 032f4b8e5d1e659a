#include "epore/poll/waker.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/kernel/or_enomem.h"

namespace epore {

absl::StatusOr<Waker> Waker::create(std::shared_ptr<Registry> registry, Token token) {
  return or_enomem("Waker::create", [&]() -> absl::StatusOr<Waker> {
    if (registry == nullptr) {
      return absl::InvalidArgumentError("Waker::create: the registry is null");
    }
    Kernel& kernel = registry->kernel_;
    const SysResult created = kernel.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!created.ok()) return errno_status(created.error(), "eventfd(EFD_CLOEXEC | EFD_NONBLOCK)");
    OwnedFd owned(created.fd(), kernel);  // closes it if there is no memory below
    auto fd = std::make_shared<const OwnedFd>(std::move(owned));
    if (absl::Status bad = registry->check("Waker::create", fd->get()); !bad.ok()) return bad;
    const SysResult added = registry->selector_->add_waker(fd, token);
    if (!added.ok()) {
      return errno_status(added.error(), absl::StrCat("Waker::create(fd ", fd->get(), ")"));
    }
    return Waker(std::move(registry), std::move(fd));
  });
}

Waker::Waker(std::shared_ptr<Registry> registry, std::shared_ptr<const OwnedFd> fd)
    : registry_(std::move(registry)), fd_(std::move(fd)) {}

Waker& Waker::operator=(Waker&& other) noexcept {
  if (this != &other) {
    deregister();
    registry_ = std::move(other.registry_);
    fd_ = std::move(other.fd_);
  }
  return *this;
}

Waker::~Waker() { deregister(); }

void Waker::deregister() {
  if (registry_ != nullptr) (void)registry_->selector_->remove(fd_->get());
}

absl::Status Waker::wake() const {
  if (registry_ == nullptr) {
    return absl::FailedPreconditionError("Waker::wake: this Waker was moved from");
  }
  if (absl::Status bad = registry_->check("Waker::wake", fd_->get()); !bad.ok()) return bad;
  registry_->publish();
  Kernel& kernel = registry_->kernel_;
  const std::uint64_t one = 1;
  for (;;) {
    const SysResult written = kernel.write(fd_->get(), &one, sizeof one);
    if (written.ok()) return absl::OkStatus();
    if (written.error() == EINTR) continue;
    if (written.error() != EAGAIN) {
      return errno_status(written.error(), absl::StrCat("Waker::wake: write(fd ", fd_->get(), ")"));
    }
    // The counter is full. A write that fails is no edge, so a poll() that has already reported the
    // eventfd would not wake. Empty the counter and write again.
    std::uint64_t drained;
    (void)kernel.read(fd_->get(), &drained, sizeof drained);
  }
}

}  // namespace epore
