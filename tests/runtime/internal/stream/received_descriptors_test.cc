// What comes in the control data of one message, and waits then. No runtime is there, whose threads
// could be given a number that a test has made free.

#include "epore/runtime/internal/stream/received_descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/stream/waiting_descriptors.h"
#include "gtest/gtest.h"
#include "tests/support/descriptor_messages.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/open_fds.h"

namespace epore::internal {
namespace {

constexpr int kPassPidfd = 76;  // SO_PASSPIDFD of Linux 6.5

class ReceivedDescriptorsTest : public testing::Test {
 protected:
  ReceivedDescriptorsTest() {
    std::array<int, 2> ends;
    PCHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    from_ = OwnedFd(ends[0]);
    to_ = OwnedFd(ends[1]);
  }

  // Returns whether the system knows the option.
  bool turn_on(int option) {
    const int on = 1;
    return ::setsockopt(to_.get(), SOL_SOCKET, option, &on, sizeof on) == 0;
  }

  void send(const std::vector<int>& fds) { send_with_fds(from_.get(), "x", fds); }

  absl::Status receive(ReceivedDescriptors& received) {
    std::array<std::byte, 10> bytes;
    iovec piece = {.iov_base = bytes.data(), .iov_len = bytes.size()};
    msghdr message = {};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    received.prepare(message);
    PCHECK(::recvmsg(to_.get(), &message, MSG_CMSG_CLOEXEC) == 1);
    return received.take_over(kernel_, message);
  }

  const ExpectNoFdLeak no_leak_;
  FaultKernel kernel_;
  OwnedFd from_;
  OwnedFd to_;
};

// As in a program that was started with a closed standard input.
TEST_F(ReceivedDescriptorsTest, NoneHasANumberOfTheStandardStreams) {
  const OwnedFd input(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100));
  ASSERT_TRUE(input.is_valid());
  const absl::Cleanup restore = [&] { PCHECK(::dup2(input.get(), STDIN_FILENO) == STDIN_FILENO); };
  const OwnedFd file = memory_file("one");
  ::close(STDIN_FILENO);
  std::vector<OwnedFd> files;
  {
    ReceivedDescriptors received;
    send({file.get(), file.get()});
    ASSERT_TRUE(receive(received).ok());
    EXPECT_EQ(kernel_.calls(KernelCall::kFcntl), 1u) << "one of them was 0";
    received.move_to(files);
  }
  ASSERT_EQ(files.size(), 2u);
  for (const OwnedFd& one : files) {
    EXPECT_GT(one.get(), STDERR_FILENO);
    EXPECT_EQ(::fcntl(one.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(text_of(one), "one");
  }
  EXPECT_EQ(::fcntl(STDIN_FILENO, F_GETFD), -1);
  {
    ReceivedDescriptors received;
    send({file.get()});
    kernel_.fail(KernelCall::kFcntl, EMFILE);
    const absl::Status refused = receive(received);
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
    EXPECT_TRUE(absl::StrContains(refused.message(), "fcntl(fd 0")) << refused;
  }
  EXPECT_EQ(::fcntl(STDIN_FILENO, F_GETFD), -1) << "it is closed";
}

TEST_F(ReceivedDescriptorsTest, ThatOfThePeersProcessIsClosed) {
  if (!turn_on(kPassPidfd)) GTEST_SKIP() << "the system has no SO_PASSPIDFD";
  const std::size_t before = open_fds().size();
  for (int i = 0; i < 3; ++i) {
    ReceivedDescriptors received;
    PCHECK(::send(from_.get(), "x", 1, 0) == 1);
    EXPECT_TRUE(receive(received).ok());
    EXPECT_EQ(received.size(), 0u);
    EXPECT_EQ(open_fds().size(), before);
  }
}

TEST_F(ReceivedDescriptorsTest, WhatComesBesideThemTakesNoneOfTheirRoom) {
  ASSERT_TRUE(turn_on(SO_PASSCRED));
  (void)turn_on(SO_PASSSEC);
  (void)turn_on(kPassPidfd);
  const OwnedFd file = memory_file("one");
  ReceivedDescriptors received;
  send(std::vector<int>(kMostDescriptors, file.get()));
  const absl::Status taken = receive(received);
  EXPECT_TRUE(taken.ok()) << taken;
  EXPECT_EQ(received.size(), kMostDescriptors);
}

// However many wait, and however few are taken at a time.
TEST_F(ReceivedDescriptorsTest, ThoseThatWaitKeepTheirSequence) {
  constexpr std::size_t kMost = 10;
  WaitingDescriptors waiting;
  std::size_t sent = 0;
  std::size_t taken = 0;
  const auto take = [&](std::size_t most) {
    for (const OwnedFd& file : waiting.take(most)) {
      EXPECT_EQ(text_of(file), absl::StrCat(taken));
      ++taken;
    }
  };
  const auto push = [&] {
    const OwnedFd file = memory_file(absl::StrCat(sent));
    ReceivedDescriptors received;
    send({file.get()});
    PCHECK(receive(received).ok());
    const absl::Status pushed = waiting.push(received, kMost);
    if (pushed.ok()) ++sent;
    return pushed.ok();
  };
  while (sent < 5 * kMost) {
    while (push()) {
    }
    EXPECT_EQ(sent - taken, kMost);
    take(1);
    EXPECT_TRUE(push());
    take(sent % 7);
  }
  take(kMost);
  EXPECT_EQ(taken, sent);
  EXPECT_TRUE(push());
  take(0);
  waiting.close();
  EXPECT_TRUE(waiting.take(kMost).empty());
}

}  // namespace
}  // namespace epore::internal
