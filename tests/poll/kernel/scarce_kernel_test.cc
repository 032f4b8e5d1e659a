#include <cstdint>

#include "epore/poll/kernel/real_kernel.h"
#include "gtest/gtest.h"
#include "tests/support/scarce_memory.h"

namespace epore {
namespace {

// The watchdog of a runtime asks these, on a thread that nobody could tell of an exception.
TEST(ScarceKernelTest, AskingAboutAThreadNeedsNoMemory) {
  RealKernel kernel;
  const int thread = kernel.thread_id();  // and the counters of this thread are there
  std::int64_t number = 0;
  ThreadState state;
  ThreadUsage usage;
  ScarceMemory::fail(1);
  (void)kernel.run_delay(thread, &number);
  (void)kernel.thread_state(thread, &state);
  (void)kernel.thread_cpu(thread, &number);
  (void)kernel.thread_usage(&usage);
  EXPECT_FALSE(ScarceMemory::stop());
}

}  // namespace
}  // namespace epore
