#include "epore/runtime/testing/manual_clock.h"

#include "absl/log/check.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/testing/manual_kernel.h"

namespace epore {

ManualClock::ManualClock() : ManualClock(&Kernel::real()) {}
ManualClock::ManualClock(Kernel* inner)
    : kernel_(std::make_unique<internal::ManualKernel>(*inner)) {}
ManualClock::~ManualClock() = default;

Kernel* ManualClock::kernel() const { return kernel_.get(); }

void ManualClock::advance(absl::Duration time) {
  CHECK(time >= absl::ZeroDuration() && time < absl::InfiniteDuration())
      << "ManualClock::advance: " << time << " is negative or infinite";
  kernel_->advance(absl::ToInt64Nanoseconds(time));
}

void ManualClock::await_idle() { kernel_->await_idle(); }

std::chrono::steady_clock::time_point ManualClock::now() const {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(kernel_->time()));
}

}  // namespace epore
