// The pipes of splice(), and those that a thread keeps for the next one.

#include "epore/runtime/internal/base/pipe.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "epore/poll/kernel/kernel.h"
#include "gtest/gtest.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/open_fds.h"

namespace epore::internal {
namespace {

TEST(PipeCache, APipeHas256KibAndFourIdleOnesAreKept) {
  const ExpectNoFdLeak no_leak;
  FaultKernel kernel;
  PipeCache cache;
  std::array<Ref<Pipe>, 6> pipes;
  for (Ref<Pipe>& pipe : pipes) {
    pipe = cache.take(kernel);
    ASSERT_NE(pipe.get(), nullptr);
    EXPECT_EQ(::fcntl(pipe->in.get(), F_GETPIPE_SZ), 256 * 1024);
  }
  EXPECT_EQ(kernel.calls(KernelCall::kPipe), 6u);
  for (Ref<Pipe>& pipe : pipes) cache.give(std::move(pipe));
  EXPECT_EQ(kernel.calls(KernelCall::kClose), 2u * 2);  // both ends of those that are too many
  for (std::size_t i = 0; i < 4; ++i) pipes[i] = cache.take(kernel);
  EXPECT_EQ(kernel.calls(KernelCall::kPipe), 6u);
  pipes[4] = cache.take(kernel);
  EXPECT_EQ(kernel.calls(KernelCall::kPipe), 7u);
}

TEST(PipeCache, OnesThatAreUsedElsewhereOrWereNotSplicedAreNotKept) {
  FaultKernel kernel;
  PipeCache cache;
  const Ref<Pipe> shared = cache.take(kernel);
  cache.give(shared);
  Ref<Pipe> copied = cache.take(kernel);
  copied->is_copied = true;
  cache.give(std::move(copied));
  const Ref<Pipe> other = cache.take(kernel);
  EXPECT_EQ(kernel.calls(KernelCall::kPipe), 3u);
}

// The system's limit for all pipes of a user: it works with a smaller one.
TEST(PipeCache, ASizeThatIsRefusedIsNoError) {
  FaultKernel kernel;
  kernel.fail(KernelCall::kFcntl, EPERM);
  const Ref<Pipe> pipe = PipeCache().take(kernel);
  ASSERT_NE(pipe.get(), nullptr);
  EXPECT_GT(::fcntl(pipe->in.get(), F_GETPIPE_SZ), 0);
}

}  // namespace
}  // namespace epore::internal
