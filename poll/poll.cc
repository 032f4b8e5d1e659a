#include "epore/poll/poll.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/log/check.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/engine/selector.h"
#include "epore/poll/engine/selector_factory.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/kernel/or_enomem.h"

namespace epore {
namespace {

constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

// Rounds up to whole nanoseconds, so that no wait is shorter than asked. 292 years and more become
// kForever. Infinity and zero are tested first, because absl::Duration's arithmetic is slow.
std::int64_t to_nanoseconds(absl::Duration timeout) {
  if (timeout == absl::InfiniteDuration()) return kForever;
  if (timeout <= absl::ZeroDuration()) return 0;
  const std::int64_t nanoseconds = absl::ToInt64Nanoseconds(timeout);
  const bool is_cut = nanoseconds != kForever && absl::Nanoseconds(nanoseconds) < timeout;
  return is_cut ? nanoseconds + 1 : nanoseconds;
}

// An engine may find no memory for what it asks the kernel.
SysResult wait_once(internal::Selector& selector, Events& events, std::int64_t timeout_ns) {
  try {
    return selector.wait(events, timeout_ns);
  } catch (const std::bad_alloc&) {
    return SysResult::from_errno(ENOMEM);
  }
}

}  // namespace

absl::StatusOr<Poll> Poll::create(const PollOptions& options) {
  return or_enomem("Poll::create", [&]() -> absl::StatusOr<Poll> {
    Kernel& kernel = options.kernel != nullptr ? *options.kernel : Kernel::real();
    absl::StatusOr<std::unique_ptr<internal::Selector>> selector =
        internal::make_selector(options.selector, kernel);
    if (!selector.ok()) return selector.status();
    return Poll(absl::WrapUnique(new Registry(*std::move(selector), kernel)));
  });
}

Poll::Poll(std::shared_ptr<Registry> registry) : registry_(std::move(registry)) {}

Poll::Poll(Poll&& other) noexcept : registry_(std::move(other.registry_)) {
  CHECK(!other.polling_.load(std::memory_order_relaxed)) << "a Poll was moved during its poll()";
}

Poll& Poll::operator=(Poll&& other) noexcept {
  if (this != &other) {
    detach();
    CHECK(!other.polling_.load(std::memory_order_relaxed)) << "a Poll was moved during its poll()";
    registry_ = std::move(other.registry_);
  }
  return *this;
}

Poll::~Poll() { detach(); }

void Poll::detach() {
  CHECK(!polling_.load(std::memory_order_relaxed)) << "a Poll was destroyed during its poll()";
  if (registry_ != nullptr) registry_->poll_gone_.store(true, std::memory_order_release);
}

void Poll::release() {
  if (registry_ == nullptr || polling_.exchange(true, std::memory_order_acquire)) return;
  registry_->selector_->release();
  polling_.store(false, std::memory_order_release);
}

int Poll::descriptor() const {
  return registry_ == nullptr ? -1 : registry_->selector_->traits().descriptor;
}

internal::CompletionQueue* Poll::completions() const {
  return registry_ == nullptr ? nullptr : registry_->selector_->traits().completions;
}

absl::Status Poll::poll(Events& events, absl::Duration timeout) {
  if (registry_ == nullptr) {
    return absl::FailedPreconditionError("Poll::poll: this Poll was moved from");
  }
  if (polling_.exchange(true, std::memory_order_acquire)) {
    return absl::FailedPreconditionError("Poll::poll: another thread is in poll() already");
  }
  const absl::Cleanup done = [this] { polling_.store(false, std::memory_order_release); };

  internal::Selector& selector = *registry_->selector_;
  Kernel& kernel = registry_->kernel_;
  const std::int64_t timeout_ns = to_nanoseconds(timeout);
  const bool is_finite = timeout_ns != kForever;
  std::int64_t deadline = kForever;
  if (is_finite && timeout_ns > 0) {
    const std::int64_t now = kernel.now();
    deadline = timeout_ns < kForever - now ? now + timeout_ns : kForever;
  }
  std::int64_t left = is_finite ? timeout_ns : -1;
  for (;;) {
    events.clear();
    const SysResult waited = wait_once(selector, events, left);
    (void)registry_->published_.load(std::memory_order_acquire);
    if (waited.ok()) return absl::OkStatus();
    if (waited.error() != EINTR) {
      return or_enomem("Poll::poll", [&] {
        return errno_status(waited.error(),
                            absl::StrCat("Poll::poll: wait of ", selector.traits().name));
      });
    }
    if (left > 0) left = std::max<std::int64_t>(deadline - kernel.now(), 0);
  }
}

}  // namespace epore
