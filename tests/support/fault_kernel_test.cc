#include "tests/support/fault_kernel.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/open_fds.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

TEST(FaultKernelTest, FailsTheKthCallsOfAKindAndNoOthers) {
  const ExpectNoFdLeak leak;
  FaultKernel kernel;
  kernel.fail(KernelCall::kEventfd, EMFILE, /*k=*/2, /*times=*/2);
  const OwnedFd first(kernel.eventfd(0, EFD_CLOEXEC).fd());
  EXPECT_TRUE(first.is_valid());
  EXPECT_EQ(kernel.eventfd(0, EFD_CLOEXEC).error(), EMFILE);
  EXPECT_EQ(kernel.eventfd(0, EFD_CLOEXEC).error(), EMFILE);
  const OwnedFd fourth(kernel.eventfd(0, EFD_CLOEXEC).fd());
  EXPECT_TRUE(fourth.is_valid());
  EXPECT_EQ(kernel.calls(KernelCall::kEventfd), 4u);
}

TEST(FaultKernelTest, FailAnyCountsAcrossKindsAndTellsWhenThereWasNoSuchCall) {
  FaultKernel kernel;
  kernel.fail_any(2, ENOMEM);
  EXPECT_TRUE(kernel.fcntl(0, F_GETFD, 0).ok());
  EXPECT_GT(kernel.now(), 0);
  EXPECT_TRUE(kernel.fault_is_pending());
  EXPECT_EQ(kernel.eventfd(0, 0).error(), ENOMEM);
  EXPECT_FALSE(kernel.fault_is_pending());
}

TEST(FaultKernelTest, FailIfChoosesByTheCall) {
  const SocketPair pair = unix_pair();
  FaultKernel kernel;
  kernel.fail_if(KernelCall::kSend, [&](const FaultKernel::Call& call) {
    return call.fd == pair.a.get() ? ENOBUFS : 0;
  });
  EXPECT_EQ(kernel.send(pair.a.get(), "x", 1, 0).error(), ENOBUFS);
  EXPECT_EQ(kernel.send(pair.b.get(), "x", 1, 0).value(), 1);
  kernel.fail_if(KernelCall::kSend, nullptr);
  EXPECT_EQ(kernel.send(pair.a.get(), "x", 1, 0).value(), 1);
}

TEST(FaultKernelTest, AFailedCloseHasClosed) {
  const ExpectNoFdLeak leak;
  FaultKernel kernel;
  kernel.fail(KernelCall::kClose, EINTR);
  EXPECT_EQ(kernel.close(make_pipe().reader.release()).error(), EINTR);
}

TEST(FaultKernelTest, HooksRunAroundTheCallAndMayUseTheKernel) {
  FaultKernel kernel;
  std::string order;
  kernel.before_each([&](const FaultKernel::Call&) { order += 'e'; });
  kernel.before(KernelCall::kEventfd, [&](const FaultKernel::Call& call) {
    EXPECT_EQ(call.nth, 1u);
    order += 'b';
    kernel.before_each(nullptr);
    kernel.fail(KernelCall::kFcntl, EIO);
  });
  int fd = -1;
  kernel.after(KernelCall::kEventfd, [&](const FaultKernel::Call& call) {
    order += 'a';
    fd = call.result.fd();
  });
  const OwnedFd made(kernel.eventfd(0, EFD_CLOEXEC).fd());
  EXPECT_EQ(order, "eba");
  EXPECT_EQ(fd, made.get());
  EXPECT_EQ(kernel.fcntl(0, F_GETFD, 0).error(), EIO);
}

TEST(FaultKernelTest, TheManualClockMovesByAdvanceOnly) {
  FaultKernel kernel;
  kernel.use_manual_clock();
  const std::int64_t start = kernel.now();
  EXPECT_EQ(kernel.now(), start);
  kernel.advance(absl::Seconds(3));
  EXPECT_EQ(kernel.now(), start + 3'000'000'000);
}

TEST(FaultKernelTest, ShrunkSendsReallySendTheFirstBytes) {
  const SocketPair pair = unix_pair();
  FaultKernel kernel;
  kernel.shrink_sends(4);
  std::string bytes = "abcdef";
  EXPECT_EQ(kernel.send(pair.a.get(), bytes.data(), bytes.size(), 0).value(), 4);
  iovec pieces[2] = {{bytes.data(), 3}, {bytes.data() + 3, 3}};
  msghdr message = {};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  EXPECT_EQ(kernel.sendmsg(pair.a.get(), &message, 0).value(), 4);
  EXPECT_EQ(pieces[1].iov_len, 3u);
  kernel.shrink_recvs(5);
  char buffer[16];
  EXPECT_EQ(kernel.recv(pair.b.get(), buffer, sizeof buffer, 0).value(), 5);
  EXPECT_EQ(std::string(buffer, 5), "abcda");
}

}  // namespace
}  // namespace epore
