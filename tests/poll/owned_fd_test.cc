// OwnedFd closes once, whatever close(2) says.

#include "epore/poll/owned_fd.h"

#include <cerrno>
#include <utility>

#include "gtest/gtest.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/open_fds.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

class OwnedFdTest : public testing::Test {
 protected:
  FaultKernel kernel_;
};

// The number is free after the first close(2), whatever that said. See libuv/libuv#462.
TEST_F(OwnedFdTest, ClosesExactlyOnceWhateverCloseSays) {
  for (const int error : {EINTR, EIO, ENOSPC}) {
    const ExpectNoFdLeak leak;
    const std::uint64_t before = kernel_.calls(KernelCall::kClose);
    kernel_.fail(KernelCall::kClose, error);
    {
      OwnedFd fd(make_pipe().reader.release(), kernel_);
      fd.reset();
      EXPECT_FALSE(fd.is_valid());
      fd.reset();
    }
    EXPECT_EQ(kernel_.calls(KernelCall::kClose), before + 1);
  }
}

TEST_F(OwnedFdTest, MovesAndReleasesWithoutClosing) {
  const ExpectNoFdLeak leak;
  OwnedFd first(make_pipe().reader.release(), kernel_);
  const int number = first.get();
  OwnedFd second = std::move(first);
  EXPECT_FALSE(first.is_valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), number);
  OwnedFd& same = second;
  second = std::move(same);
  EXPECT_EQ(second.get(), number);
  OwnedFd third(second.release(), kernel_);
  EXPECT_EQ(kernel_.calls(KernelCall::kClose), 0u);
  third = OwnedFd(make_pipe().reader.release(), kernel_);
  EXPECT_EQ(kernel_.calls(KernelCall::kClose), 1u);
  third = OwnedFd();
  EXPECT_EQ(kernel_.calls(KernelCall::kClose), 2u);
}

}  // namespace
}  // namespace epore
