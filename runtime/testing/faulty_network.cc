#include "epore/runtime/testing/faulty_network.h"

#include <cerrno>

#include "absl/log/check.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/runtime/internal/testing/faulty_kernel.h"

namespace epore {

FaultyNetwork::FaultyNetwork()
    : kernel_(std::make_unique<internal::FaultyKernel>(Kernel::real())) {}
FaultyNetwork::~FaultyNetwork() = default;

Kernel* FaultyNetwork::kernel() const { return kernel_.get(); }

void FaultyNetwork::shrink_reads(std::size_t most) {
  CHECK(most > 0) << "FaultyNetwork::shrink_reads: 0 would be the end of the stream";
  kernel_->shrink_reads(most);
}

void FaultyNetwork::shrink_writes(std::size_t most) {
  CHECK(most > 0) << "FaultyNetwork::shrink_writes: 0 bytes";
  kernel_->shrink_writes(most);
}

void FaultyNetwork::refuse_next_connect(int error) {
  CHECK(error > 0) << "FaultyNetwork::refuse_next_connect: " << error << " is no errno";
  CHECK(error != EINPROGRESS && error != EINTR && error != EAGAIN)
      << "FaultyNetwork::refuse_next_connect: errno " << error
      << " refuses nothing: the attempt would go on, or begin once more";
  kernel_->fail_next_connect(error);
}

}  // namespace epore
