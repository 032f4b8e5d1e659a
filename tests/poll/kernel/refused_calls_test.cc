// What the real kernel does where the system refuses a call, has little to give, or numbers low.
// Each test is a child process, as what it does to itself cannot be taken back.

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "epore/poll/kernel/real_kernel.h"
#include "epore/poll/kernel/wait_ready.h"
#include "gtest/gtest.h"
#include "tests/support/refused_call.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

constexpr int kUnavailable = 77;  // no seccomp filters here

#define EPORE_EXPECT_IN_CHILD(statement) \
  EXPECT_EXIT({ ::_exit(statement); }, testing::ExitedWithCode(0), "")

// 0 if all is well, for _exit().
int processors_when(int error) {
  if (!refuse_call(SYS_sched_getaffinity, error)) return kUnavailable;
  RealKernel kernel;
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  return kernel.processors() == std::clamp(online, 1l, 1024l) ? 0 : 1;
}

TEST(RefusedCallsTest, ProcessorsAreThoseOnlineWhereTheAffinityIsRefused) {
  EXPECT_GE(RealKernel().processors(), 1);
  for (const int error : {EPERM, ENOSYS, EINVAL, EACCES}) {
    EPORE_EXPECT_IN_CHILD(processors_when(error));
  }
}

// A refused park is no spin: it takes its millisecond.
int parks_when(int error) {
  if (!refuse_call(SYS_futex, error)) return kUnavailable;
  RealKernel kernel;
  const std::atomic<std::uint32_t> word{0};
  const std::int64_t before = kernel.now();
  if (kernel.park(word, 0, -1).error() != error) return 1;
  return kernel.now() - before >= 1'000'000 ? 0 : 2;
}

TEST(RefusedCallsTest, ARefusedParkDoesNotSpin) {
  for (const int error : {EPERM, ENOSYS, EINVAL}) EPORE_EXPECT_IN_CHILD(parks_when(error));
}

int descriptors_without_stdio() {
  for (int fd : {0, 1, 2}) ::close(fd);
  RealKernel kernel;
  const auto is_high = [&](SysResult result) {
    if (!result.ok()) return false;
    // And close-on-exec still.
    return result.fd() > 2 && (kernel.fcntl(result.fd(), F_GETFD, 0).value() & FD_CLOEXEC) != 0;
  };
  return is_high(kernel.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) &&
                 is_high(kernel.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) &&
                 is_high(kernel.epoll_create(EPOLL_CLOEXEC)) &&
                 kernel.fcntl(0, F_GETFD, 0).error() == EBADF
             ? 0
             : 1;
}

TEST(LowDescriptorsTest, NoneIsZeroOneOrTwo) { EPORE_EXPECT_IN_CHILD(descriptors_without_stdio()); }

int accepts_without_stdio() {
  RealKernel kernel;
  const TcpPort listener = tcp_listener();
  const OwnedFd client = start_connect(listener.port);
  pollfd ready = {listener.fd.get(), POLLIN, 0};
  (void)::poll(&ready, 1, -1);
  for (int fd : {0, 1, 2}) ::close(fd);
  const SysResult accepted = kernel.accept(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
  return accepted.fd() > 2 ? 0 : 1;
}

TEST(LowDescriptorsTest, NorIsOneThatWasAccepted) {
  EPORE_EXPECT_IN_CHILD(accepts_without_stdio());
}

// ppoll(2) fails for any descriptor where the limit is 0.
int waits_at_limit_zero() {
  RealKernel kernel;
  const SocketPair pair = unix_pair();
  SocketPair silent = unix_pair();
  const rlimit none = {0, 0};
  if (::setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
  const timespec at_once = {0, 0};
  std::vector<pollfd> fds = {{pair.a.get(), POLLIN | POLLOUT, 0}, {silent.a.get(), POLLIN, 0}};
  if (kernel.ppoll(fds.data(), fds.size(), &at_once).error() != EINVAL) return 2;
  if (wait_ready(kernel, fds, &at_once).value() != 1 || fds[0].revents != POLLOUT) return 3;
  write_all(pair.b.get(), "x");
  if (wait_ready(kernel, fds, nullptr).value() != 1) return 4;
  if (fds[0].revents != (POLLIN | POLLOUT) || fds[1].revents != 0) return 5;
  silent.a.reset();
  if (wait_ready(kernel, fds, &at_once).value() != 1 || fds[1].revents != POLLNVAL) return 6;
  return 0;
}

TEST(DescriptorLimitTest, AWaitGoesOnWhereTheLimitIsZero) {
  EPORE_EXPECT_IN_CHILD(waits_at_limit_zero());
}

}  // namespace
}  // namespace epore
