// The seam itself: counts that are exact, results as the system gave them, threads.

#include "epore/poll/kernel/kernel.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "epore/poll/errno_of.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/kernel/real_kernel.h"
#include "epore/poll/kernel/thread_counters.h"
#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

std::uint64_t count_of(const Kernel& kernel, KernelCall call) {
  return kernel.counts()[static_cast<std::size_t>(call)];
}

std::uint64_t total(const Kernel& kernel) {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : kernel.counts()) sum += count;
  return sum;
}

TEST(KernelCallTest, EveryKindHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kKernelCallKinds; ++i) {
    const std::string_view name = kernel_call_name(static_cast<KernelCall>(i));
    EXPECT_FALSE(name.empty()) << i;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
}

TEST(ErrnoStatusTest, NamesTheCallAndTheErrno) {
  EXPECT_EQ(errno_status(EMFILE, "socket()").ToString(),
            "RESOURCE_EXHAUSTED: socket(): EMFILE (Too many open files) [epore.errno='24']");
  EXPECT_EQ(errno_text(4711), "errno 4711");
}

TEST(ErrnoStatusTest, CarriesTheErrno) {
  for (const int error : {EMFILE, EADDRINUSE, EPERM, 4711}) {
    const absl::Status status = errno_status(error, "call");
    EXPECT_EQ(errno_of(status), error);
    EXPECT_EQ(errno_of(absl::Status(status.code(), status.message())), 0);
  }
  EXPECT_EQ(errno_of(absl::OkStatus()), 0);
  EXPECT_EQ(errno_of(absl::CancelledError("no call")), 0);
}

// Three that call for different answers are told apart by their codes already.
TEST(ErrnoStatusTest, AnAddressInUseIsNoWrongState) {
  EXPECT_EQ(errno_status(EADDRINUSE, "bind").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(errno_status(EADDRNOTAVAIL, "bind").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(errno_status(EBADF, "bind").code(), absl::StatusCode::kFailedPrecondition);
}

class RealKernelTest : public testing::Test {
 protected:
  RealKernel kernel_;
};

TEST_F(RealKernelTest, EveryCallIsCountedOnceFailedOnesToo) {
  EXPECT_EQ(total(kernel_), 0u);
  EXPECT_EQ(kernel_.close(-1).error(), EBADF);
  EXPECT_EQ(count_of(kernel_, KernelCall::kClose), 1u);
  char byte;
  EXPECT_EQ(kernel_.recv(-1, &byte, 1, 0).error(), EBADF);
  EXPECT_EQ(count_of(kernel_, KernelCall::kRecv), 1u);
  EXPECT_GT(kernel_.now(), 0);
  EXPECT_EQ(count_of(kernel_, KernelCall::kClock), 1u);
  EXPECT_EQ(total(kernel_), 3u);
}

TEST_F(RealKernelTest, CountsOfAllThreadsAddUpExactly) {
  // More threads than have a shard of their own, so some share.
  constexpr int kThreads = 160;
  constexpr int kCalls = 50;
  absl::Barrier* const start = new absl::Barrier(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, start] {
      if (start->Block()) delete start;
      for (int i = 0; i < kCalls; ++i) kernel_.now();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count_of(kernel_, KernelCall::kClock), std::uint64_t{kThreads} * kCalls);
}

TEST_F(RealKernelTest, ShardsPassFromThreadToThread) {
  for (int t = 0; t < 300; ++t) std::thread([&] { kernel_.now(); }).join();
  EXPECT_EQ(count_of(kernel_, KernelCall::kClock), 300u);
}

TEST_F(RealKernelTest, ReadingTheCountsNeverGoesBack) {
  std::atomic<bool> is_over{false};
  std::thread counting([&] {
    for (int i = 0; i < 10'000; ++i) kernel_.now();
    is_over.store(true);
  });
  std::uint64_t last = 0;
  while (!is_over.load()) {
    const std::uint64_t next = count_of(kernel_, KernelCall::kClock);
    ASSERT_GE(next, last);
    last = next;
  }
  counting.join();
  EXPECT_EQ(count_of(kernel_, KernelCall::kClock), 10'000u);
}

TEST_F(RealKernelTest, CallsFromDestructorsOfAnEndingThreadAreCounted) {
  struct CountsLate {
    Kernel* kernel = nullptr;
    ~CountsLate() {
      if (kernel != nullptr) kernel->now();
    }
  };
  for (int t = 0; t < 10; ++t) {
    std::thread([&] {
      static thread_local CountsLate early;  // made before the thread's slot, so destroyed after it
      early.kernel = &kernel_;
      kernel_.now();
    }).join();
  }
  EXPECT_EQ(count_of(kernel_, KernelCall::kClock), 20u);
}

// SIGPIPE has its default action here, so a signal would end the test.
TEST_F(RealKernelTest, SendingToAClosedPeerIsEpipeWithoutASignal) {
  SocketPair pair = unix_pair();
  pair.b.reset();
  EXPECT_EQ(kernel_.send(pair.a.get(), "x", 1, 0).error(), EPIPE);
  char byte = 'x';
  iovec piece = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  EXPECT_EQ(kernel_.sendmsg(pair.a.get(), &message, 0).error(), EPIPE);
}

TEST_F(RealKernelTest, ParkReturnsWhenTheWordDiffersTheTimeIsOverOrUnparkCame) {
  std::atomic<std::uint32_t> word{1};
  EXPECT_EQ(kernel_.park(word, 0, -1).error(), EAGAIN);
  EXPECT_EQ(kernel_.park(word, 1, 0).error(), ETIMEDOUT);
  EXPECT_EQ(kernel_.park(word, 1, 1).error(), ETIMEDOUT);
  std::thread unparking([&] {
    word.store(2);
    EXPECT_TRUE(kernel_.unpark(word, 1).ok());
  });
  while (word.load() == 1) kernel_.park(word, 1, -1);
  unparking.join();
}

TEST_F(RealKernelTest, AThreadHasItsNameCutAndTheSignalsBlocked) {
  char name[16] = {};
  sigset_t blocked;
  std::uint64_t id = 0;
  ASSERT_TRUE(kernel_
                  .start_thread(
                      "a name of more than fifteen characters",
                      [&] {
                        ::pthread_getname_np(::pthread_self(), name, sizeof name);
                        ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
                      },
                      &id)
                  .ok());
  ASSERT_TRUE(kernel_.join_thread(id).ok());
  EXPECT_STREQ(name, "a name of more ");
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1}) {
    EXPECT_EQ(::sigismember(&blocked, signal), 1) << signal;
  }
  for (const int signal : {SIGPROF, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    EXPECT_EQ(::sigismember(&blocked, signal), 0) << signal;
  }
  sigset_t own;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &own);
  EXPECT_EQ(::sigismember(&own, SIGTERM), 0);
}

TEST_F(RealKernelTest, BatchSchedulingIsForTheThreadThatAsks) {
  if (::sched_getscheduler(0) != SCHED_OTHER) GTEST_SKIP() << "another policy is left as it is";
  int policy[2] = {-1, -1};
  std::uint64_t id = 0;
  ASSERT_TRUE(kernel_
                  .start_thread(
                      "batch",
                      [&] {
                        EXPECT_TRUE(kernel_.set_batch_scheduling().ok());
                        policy[0] = ::sched_getscheduler(0);
                        EXPECT_TRUE(kernel_.set_batch_scheduling().ok());  // again
                        policy[1] = ::sched_getscheduler(0);
                      },
                      &id)
                  .ok());
  ASSERT_TRUE(kernel_.join_thread(id).ok());
  EXPECT_EQ(policy[0], SCHED_BATCH);
  EXPECT_EQ(policy[1], SCHED_BATCH);
  EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER);
}

TEST_F(RealKernelTest, TheBodyOfAThreadIsDestroyedBeforeJoinReturns) {
  auto owned = std::make_shared<int>(1);
  std::uint64_t id = 0;
  ASSERT_TRUE(kernel_
                  .start_thread(
                      "t", [owned] {}, &id)
                  .ok());
  ASSERT_TRUE(kernel_.join_thread(id).ok());
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(RealKernelTest, ResolveGivesAListOrAnEaiCode) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* list = nullptr;
  ASSERT_EQ(kernel_.resolve("127.0.0.1", "80", &hints, &list), 0);
  EXPECT_NE(list, nullptr);
  kernel_.free_addresses(list);
  EXPECT_EQ(kernel_.resolve("no number", nullptr, &hints, &list), EAI_NONAME);
}

TEST_F(RealKernelTest, ItTellsWhatAThreadDoes) {
  ThreadState state;
  EXPECT_EQ(kernel_.thread_state(-1, &state).error(), ENOENT);

  std::atomic<int> id{0};
  std::atomic<bool> runs{true};
  std::atomic<std::uint32_t> word{1};
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const OwnedFd reads(ends[0], kernel_);
  OwnedFd writes(ends[1], kernel_);
  std::thread thread([&] {
    id.store(kernel_.thread_id());
    while (runs.load()) {
    }
    while (word.load() == 1) (void)kernel_.park(word, 1, -1);
    char end;
    EXPECT_EQ(kernel_.read(reads.get(), &end, 1).value(), 0);
  });
  while (id.load() == 0) std::this_thread::yield();
  const auto await = [&](ThreadState wanted) {
    do {
      ASSERT_TRUE(kernel_.thread_state(id.load(), &state).ok());
    } while (state != wanted);
  };
  await(ThreadState::runs);
  runs.store(false);
  await(ThreadState::parked);
  word.store(0);
  (void)kernel_.unpark(word, 1);
  await(ThreadState::asleep);
  writes = OwnedFd();
  thread.join();
}

TEST_F(RealKernelTest, ItTellsWhatThisThreadHasUsed) {
  std::thread thread([&] {
    ThreadUsage before;
    ASSERT_TRUE(kernel_.thread_usage(&before).ok());
    ThreadUsage after = before;
    while (after.cpu == before.cpu) ASSERT_TRUE(kernel_.thread_usage(&after).ok());
    EXPECT_GT(after.cpu, before.cpu);
    const std::atomic<std::uint32_t> word{1};
    EXPECT_EQ(kernel_.park(word, 1, 1'000'000).error(), ETIMEDOUT);
    before = after;
    ASSERT_TRUE(kernel_.thread_usage(&after).ok());
    EXPECT_GT(after.sleeps, before.sleeps);
  });
  thread.join();
}

TEST_F(RealKernelTest, TheOtherCallsReachTheSystem) {
  struct stat status;
  EXPECT_TRUE(kernel_.fstat(0, &status).ok());
  EXPECT_GE(kernel_.fcntl(0, F_GETFD, 0).value(), 0);
  const OwnedFd fd(kernel_.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0).fd(), kernel_);
  ASSERT_TRUE(fd.is_valid());
  int value = 0;
  unsigned size = sizeof value;
  EXPECT_TRUE(kernel_.getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &value, &size).ok());
  EXPECT_EQ(value, SOCK_STREAM);
  EXPECT_TRUE(kernel_.setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &value, sizeof value).ok());
  EXPECT_EQ(kernel_.listen(fd.get(), 1).error(), EINVAL);
  EXPECT_EQ(kernel_.accept(fd.get(), nullptr, nullptr, 0).error(), EINVAL);
  EXPECT_EQ(kernel_.shutdown(fd.get(), 99).error(), EINVAL);
  EXPECT_TRUE(kernel_.fchmod(fd.get(), 0600).ok());
  msghdr message = {};
  EXPECT_EQ(kernel_.recvmsg(fd.get(), &message, MSG_DONTWAIT).error(), EINVAL) << "not connected";
  mmsghdr messages = {};
  EXPECT_EQ(kernel_.recvmmsg(fd.get(), &messages, 1, MSG_DONTWAIT).error(), EINVAL);
  EXPECT_EQ(kernel_.sendmmsg(fd.get(), &messages, 1, MSG_DONTWAIT).error(), ENOTCONN);
  EXPECT_TRUE(kernel_.lstat(".", &status).ok());
  EXPECT_TRUE(S_ISDIR(status.st_mode));
  EXPECT_EQ(kernel_.unlink("/").error(), EISDIR);
  const OwnedFd directory(kernel_.open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0).fd(), kernel_);
  ASSERT_TRUE(directory.is_valid());
  EXPECT_TRUE(kernel_.flock(directory.get(), LOCK_SH | LOCK_NB).ok());
  char byte = 0;
  EXPECT_EQ(kernel_.pread(directory.get(), &byte, 1, 0).error(), EISDIR);
  int ends[2];
  ASSERT_TRUE(kernel_.pipe(ends, O_CLOEXEC | O_NONBLOCK).ok());
  const OwnedFd out(ends[0], kernel_);
  const OwnedFd in(ends[1], kernel_);
  EXPECT_EQ(kernel_.splice(out.get(), fd.get(), 1, SPLICE_F_NONBLOCK).error(), EAGAIN);
  EXPECT_EQ(kernel_.sendfile(in.get(), directory.get(), 0, 1).error(), EINVAL);
  struct sigaction old;
  EXPECT_TRUE(kernel_.sigaction(SIGUSR1, nullptr, &old).ok());
  EXPECT_EQ(old.sa_handler, SIG_DFL);
}

// sendfile(2) and splice(2) have no MSG_NOSIGNAL. The default action of SIGPIPE would end this
// test.
TEST_F(RealKernelTest, SendfileAndSpliceRaiseNoSigpipe) {
  sigset_t signals;
  for (const bool is_blocked : {false, true}) {
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGPIPE);
    ::pthread_sigmask(is_blocked ? SIG_BLOCK : SIG_UNBLOCK, &signals, nullptr);
    int sockets[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    const OwnedFd fd(sockets[0]);
    ::close(sockets[1]);
    const OwnedFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(kernel_.sendfile(fd.get(), file.get(), 0, 100).error(), EPIPE);
    int ends[2];
    ASSERT_TRUE(kernel_.pipe(ends, O_CLOEXEC | O_NONBLOCK).ok());
    const OwnedFd out(ends[0], kernel_);
    const OwnedFd in(ends[1], kernel_);
    ASSERT_TRUE(kernel_.write(in.get(), "bytes", 5).ok());
    EXPECT_EQ(kernel_.splice(out.get(), fd.get(), 5, SPLICE_F_NONBLOCK).error(), EPIPE);
    ::sigpending(&signals);
    EXPECT_FALSE(::sigismember(&signals, SIGPIPE));
    sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
    EXPECT_EQ(::sigismember(&now, SIGPIPE), is_blocked ? 1 : 0);
  }
}

// What each operation of `poll/` costs, exactly.
class CallCountTest : public EngineTest {
 protected:
  // The calls that `operation` makes, by name; the clock is no system call.
  std::map<std::string, std::uint64_t> calls_of(const std::function<void()>& operation) {
    std::map<std::string, std::uint64_t> calls;
    kernel_.before_each(
        [&](const FaultKernel::Call& call) { ++calls[std::string(kernel_call_name(call.kind))]; });
    operation();
    kernel_.before_each(nullptr);
    return calls;
  }
};
EPORE_FOR_EVERY_ENGINE(CallCountTest);

using Calls = std::map<std::string, std::uint64_t>;

TEST_P(CallCountTest, OnEpollEachOperationIsOneCall) {
  if (GetParam() != "epoll") GTEST_SKIP() << "counts the calls of epoll";
  const SocketPair pair = unix_pair();
  const int fd = pair.a.get();
  const Interest interest = Interest::writable();
  EXPECT_EQ(calls_of([&] { (void)registry_->register_fd(fd, Token{1}, interest); }),
            (Calls{{"epoll_ctl", 1}}));
  EXPECT_EQ(calls_of([&] { (void)registry_->reregister_fd(fd, Token{1}, interest); }),
            (Calls{{"epoll_ctl", 1}}));
  Events events(8);
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), absl::Nanoseconds(1), absl::Milliseconds(1)}) {
    EXPECT_EQ(calls_of([&] { (void)poll_.poll(events, timeout); }), (Calls{{"epoll_wait", 1}}));
  }
  EXPECT_EQ(calls_of([&] { (void)registry_->deregister_fd(fd); }), (Calls{{"epoll_ctl", 1}}));
  std::optional<Waker> waker;
  EXPECT_EQ(calls_of([&] { waker = make_waker(Token{2}); }),
            (Calls{{"epoll_ctl", 1}, {"eventfd2", 1}}));
  EXPECT_EQ(calls_of([&] { (void)waker->wake(); }), (Calls{{"write", 1}}));
  EXPECT_EQ(calls_of([&] { (void)poll_.poll(events, absl::InfiniteDuration()); }),
            (Calls{{"epoll_wait", 1}}));
  EXPECT_EQ(calls_of([&] { waker.reset(); }), (Calls{{"close", 1}, {"epoll_ctl", 1}}));
}

TEST_P(CallCountTest, AWaitCostsOneCallOnEveryEngine) {
  const SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), Token{1}, Interest::writable().level()), IsOk());
  expect_event(poll_, Token{1}, Readiness::writable());
  Events events(8);
  (void)poll_.poll(events, absl::ZeroDuration());  // the registering above may have to be read
  const std::string name(kernel_call_name(wait_call()));
  EXPECT_EQ(calls_of([&] { (void)poll_.poll(events, absl::ZeroDuration()); }), (Calls{{name, 1}}));
}

TEST_P(CallCountTest, TheWrappedKernelCountsTheSame) {
  RealKernel real;
  {
    FaultKernel fault(real);
    absl::StatusOr<Poll> poll = Poll::create({.selector = GetParam(), .kernel = &fault});
    ASSERT_THAT(poll, IsOk());
    Events events(8);
    ASSERT_THAT(poll->poll(events, absl::ZeroDuration()), IsOk());
    EXPECT_EQ(fault.counts(), real.counts());
  }
  EXPECT_GE(count_of(real, wait_call()), 1u);
  EXPECT_GE(count_of(real, KernelCall::kClose), 1u);
}

}  // namespace
}  // namespace epore
