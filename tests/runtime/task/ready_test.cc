// readable() and writable(): tasks that wait for descriptors of somebody else.

#include "epore/runtime/ready.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/open_fds.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

class ReadyTest : public RuntimeTest {};

INSTANTIATE_TEST_SUITE_P(Everywhere, ReadyTest, testing::ValuesIn(all_modes()), mode_name);

OwnedFd counter() { return OwnedFd(::eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)); }

void add(const OwnedFd& fd, std::uint64_t count) {
  ASSERT_EQ(::write(fd.get(), &count, sizeof count), 8);
}

bool take(const OwnedFd& fd) {
  std::uint64_t one = 0;
  return ::read(fd.get(), &one, sizeof one) == 8;
}

TEST_P(ReadyTest, ATaskWaitsUntilItIsReadable) {
  const OwnedFd fd = counter();
  absl::Notification waits;
  int taken = 0;
  Runtime runtime(options());
  Job job = runtime.spawn([&]() -> Task<> {
    waits.Notify();
    for (; taken < 3; ++taken) {
      Readiness ready = co_await readable(fd.get());
      EXPECT_EQ(ready, Readiness::readable());
      EXPECT_TRUE(take(fd));
    }
  });
  waits.WaitForNotification();
  add(fd, 1);
  add(fd, 2);
  EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(taken, 3);
  EXPECT_GE(::fcntl(fd.get(), F_GETFD), 0);
}

TEST_P(ReadyTest, WritableAndBoth) {
  SocketPair pair = unix_pair();
  Runtime runtime(options());
  absl::Status status = runtime.run([&]() -> Task<> {
    EXPECT_TRUE((co_await writable(pair.a.get())).is_writable());
    write_all(pair.b.get(), "x");
    Readiness both = co_await ready(pair.a.get(), Interest::readable() | Interest::writable());
    EXPECT_TRUE(both.is_readable());
    EXPECT_TRUE(both.is_writable());
    pair.b.reset();
    Readiness end = co_await readable(pair.a.get());
    EXPECT_TRUE(end.is_read_closed());
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(ReadyTest, ADeadlineLeavesTheDescriptorAlone) {
  const OwnedFd fd = counter();
  Runtime runtime(options());
  absl::Status status = runtime.run([&]() -> Task<> {
    for (int i = 0; i < 3; ++i) {
      auto late = co_await within(absl::Nanoseconds(1), readable(fd.get())).result();
      EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
    }
    add(fd, 1);
    co_await readable(fd.get());
    EXPECT_TRUE(take(fd));
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(ReadyTest, AStopEndsIt) {
  const OwnedFd fd = counter();
  Runtime runtime(options());
  absl::Notification waits;
  Job job = runtime.spawn([&]() -> Task<> {
    waits.Notify();
    co_await readable(fd.get());
    ADD_FAILURE();
  });
  waits.WaitForNotification();
  job.stop();
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

TEST_P(ReadyTest, ALoserOfAnyConsumesNothing) {
  const OwnedFd quiet = counter();
  const OwnedFd busy = counter();
  add(busy, 1);
  Runtime runtime(options());
  absl::Status status = runtime.run([&]() -> Task<> {
    auto first = co_await any(readable(quiet.get()), readable(busy.get()));
    EXPECT_EQ(first.index(), 1u);
    add(quiet, 1);
    co_await readable(quiet.get());
    EXPECT_TRUE(take(quiet));
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(ReadyTest, WhatCannotBeWatchedIsRefused) {
  const OwnedFd fd = counter();
  const OwnedFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  Runtime runtime(options());
  absl::Status status = runtime.run([&]() -> Task<> {
    auto of_file = co_await readable(file.get()).result();
    EXPECT_EQ(errno_of(of_file.status()), EPERM) << of_file.status();
    auto closed = co_await readable(-1).result();
    EXPECT_EQ(errno_of(closed.status()), EBADF) << closed.status();
    auto nothing = co_await ready(fd.get(), Interest::readable() - Interest::readable()).result();
    EXPECT_TRUE(absl::IsInvalidArgument(nothing.status())) << nothing.status();
    auto twice = co_await all(readable(fd.get()), readable(fd.get())).result();
    EXPECT_TRUE(absl::IsAlreadyExists(twice.status())) << twice.status();
    add(fd, 1);
    co_await readable(fd.get());
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(ReadyTest, AShutdownEndsIt) {
  const OwnedFd fd = counter();
  absl::Notification waits;
  Runtime runtime(options());
  Job job = runtime.spawn([&]() -> Task<> {
    waits.Notify();
    co_await readable(fd.get());
    ADD_FAILURE();
  });
  waits.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(absl::IsCancelled(job.wait()));
}

TEST_P(ReadyTest, TenThousandWaitsLeakNothing) {
  const OwnedFd fd = counter();
  add(fd, 1);
  const ExpectNoFdLeak no_leak;
  Runtime runtime(options());
  absl::Status status = runtime.run([&]() -> Task<> {
    for (int i = 0; i < 10'000; ++i) co_await readable(fd.get());
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(ReadyTest, EachCallOfTheQueueThatFailsIsTold) {
  for (const KernelCall kind : {KernelCall::kEpollCtl, KernelCall::kFstat}) {
    for (const int k : {1, 3}) {  // not the deregistration, which no system refuses
      SCOPED_TRACE(k);
      const OwnedFd fd = counter();
      add(fd, 1);
      Runtime runtime(options());
      kernel_.fail(kind, ENOMEM, k);
      absl::Status status = runtime.run([&]() -> Task<> {
        co_await readable(fd.get());
        co_await readable(fd.get());
      });
      kernel_.fail(kind, 0);
      EXPECT_TRUE(status.ok() || errno_of(status) == ENOMEM) << status;
    }
  }
}

}  // namespace
}  // namespace epore
