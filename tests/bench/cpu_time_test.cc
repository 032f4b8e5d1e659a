#include "tests/bench/cpu_time.h"

#include <unistd.h>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace epore::bench {
namespace {

TEST(CpuTimeTest, OfThisProcessGrowsWithWork) {
  const auto before = process_cpu_time(::getpid());
  ASSERT_TRUE(before.ok()) << before.status();
  const absl::Duration thread_before = thread_cpu_time().ran;
  // Enough for several ticks, with which the kernel brings the number up to date.
  while (thread_cpu_time().ran - thread_before < absl::Milliseconds(50)) {
  }
  const auto after = process_cpu_time(::getpid());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_GT(after->ran, before->ran);
  EXPECT_GE(after->waited, before->waited);
}

TEST(CpuTimeTest, OfNoProcessIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(process_cpu_time(-1).status()));
}

}  // namespace
}  // namespace epore::bench
