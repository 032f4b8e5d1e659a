// ManualKernel: what a thread of the program waits for ends, although nobody advances the clock.

#include "epore/runtime/internal/testing/manual_kernel.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "absl/log/check.h"
#include "absl/log/log_entry.h"
#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/kernel.h"
#include "epore/poll/owned_fd.h"
#include "epore/runtime/internal/testing/passing_kernel.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/log_lines.h"
#include "tests/support/temporary_directory.h"

namespace epore::internal {
namespace {

constexpr absl::Duration kPatience = absl::Milliseconds(200);
constexpr const char* kGoesOn = "goes on by itself";
constexpr const char* kIsBusy = "until the runtime is idle";

Task<> echo(Connection peer) {
  while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

class ManualKernelTest : public testing::TestWithParam<Dispatch> {
 protected:
  RuntimeOptions options() { return {.workers = 2, .dispatch = GetParam(), .kernel = &kernel_}; }

  absl::Duration passed() const { return absl::Nanoseconds(kernel_.time() - start_); }

  ManualKernel kernel_{Kernel::real(), kPatience};
  const std::int64_t start_ = kernel_.time();
};

// A client that is none of the runtime's, and does nothing.
OwnedFd connect_to(const SocketAddress& address) {
  OwnedFd fd(::socket(address.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  PCHECK(::connect(fd.get(), address.data(), address.size()) == 0);
  return fd;
}

// The connection lingers, as the client never ends its half.
TEST_P(ManualKernelTest, ADestructorEndsOnTheThreadOfTheTest) {
  const LogLines lines;
  std::atomic<bool> is_accepted{false};
  OwnedFd client;
  {
    Runtime runtime(options());
    absl::StatusOr<Listener> listener =
        runtime.listen("127.0.0.1:0", [&](Connection peer) -> Task<> {
          is_accepted = true;
          co_await echo(peer);
        });
    ASSERT_TRUE(listener.ok()) << listener.status();
    client = connect_to(listener->address());
    if (GetParam() == Dispatch::caller) {
      ASSERT_TRUE(runtime.run_until([&] { return is_accepted.load(); }).ok());
    }
    while (!is_accepted) std::this_thread::yield();
  }
  EXPECT_GT(passed(), absl::ZeroDuration());
  EXPECT_LE(passed(), RuntimeOptions().drain_timeout);
  if (GetParam() != Dispatch::caller) {
    EXPECT_FALSE(lines.has(kGoesOn)) << lines.text();
  }
}

// It may be that the test's thread advances the clock yet. So this takes all the patience.
TEST_P(ManualKernelTest, AShutdownEndsOnAnotherThread) {
  const LogLines lines;
  OwnedFd client;
  absl::Notification accepted;
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", [&](Connection& peer) {
    peer.on_drain([](Connection&) {});  // goes on
    accepted.Notify();
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  client = connect_to(listener->address());
  if (GetParam() == Dispatch::caller) {
    ASSERT_TRUE(runtime.run_until([&] { return accepted.HasBeenNotified(); }).ok());
  }
  accepted.WaitForNotification();
  std::thread stopper([&] { EXPECT_TRUE(runtime.shutdown(absl::Seconds(10)).ok()); });
  stopper.join();
  EXPECT_GE(passed(), absl::Seconds(10));
  EXPECT_TRUE(lines.has(kGoesOn)) << lines.text();
}

TEST_P(ManualKernelTest, AShutdownEndsWhileTheRuntimeIsNeverIdle) {
  if (GetParam() == Dispatch::caller) GTEST_SKIP() << "the loop is on the thread that waits";
  const LogLines lines;
  absl::Notification began;
  Runtime runtime(options());
  ASSERT_TRUE(runtime
                  .post([&] {
                    began.Notify();
                    while (passed() < absl::Seconds(10)) std::this_thread::yield();
                  })
                  .ok());
  began.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown(absl::Seconds(10)).ok());
  EXPECT_EQ(passed(), absl::Seconds(10));
  EXPECT_TRUE(lines.has(kIsBusy)) << lines.text();
}

INSTANTIATE_TEST_SUITE_P(All, ManualKernelTest,
                         testing::Values(Dispatch::adaptive, Dispatch::workers,
                                         Dispatch::poll_thread, Dispatch::caller),
                         [](const auto& param) { return std::string(dispatch_name(param.param)); });

// Asks for the time in the middle of the log, as a prefix of lines may.
class AskingSink : public absl::LogSink {
 public:
  AskingSink(ManualKernel& kernel, absl::Notification& asked) : kernel_(kernel), asked_(asked) {
    absl::AddLogSink(this);
  }
  ~AskingSink() override { absl::RemoveLogSink(this); }

 private:
  void Send(const absl::LogEntry& entry) override {
    if (entry.text_message().find(kIsBusy) == std::string_view::npos) return;
    (void)kernel_.time();
    if (!asked_.HasBeenNotified()) asked_.Notify();
  }

  ManualKernel& kernel_;
  absl::Notification& asked_;
};

TEST(ManualKernelLogTest, ASinkMayAskForTheTime) {
  absl::Notification asked;
  ManualKernel kernel(Kernel::real(), absl::Milliseconds(20));
  const AskingSink sink(kernel, asked);
  Runtime runtime({.kernel = &kernel});
  absl::Notification began;
  ASSERT_TRUE(runtime
                  .post([&] {
                    began.Notify();
                    asked.WaitForNotification();
                  })
                  .ok());
  began.WaitForNotification();
  kernel.await_idle();
  EXPECT_TRUE(asked.HasBeenNotified());
}

// Another process holds the lock of a directory until the third try.
class LockedKernel final : public PassingKernel {
 public:
  explicit LockedKernel(const std::string& directory)
      : PassingKernel(Kernel::real()), other_(::open(directory.c_str(), O_RDONLY | O_CLOEXEC)) {
    PCHECK(::flock(other_.get(), LOCK_EX) == 0);
  }

  SysResult flock(int fd, int operation) override {
    if (++tries_ == 3) PCHECK(::flock(other_.get(), LOCK_UN) == 0);
    return PassingKernel::flock(fd, operation);
  }
  int tries() const { return tries_; }

 private:
  const OwnedFd other_;
  std::atomic<int> tries_{0};
};

void expect_lock_costs_no_time(bool in_callback) {
  const TemporaryDirectory directory;
  LockedKernel locked(directory.path(""));
  ManualKernel kernel(locked, absl::Hours(1));
  const std::int64_t start = kernel.time();
  Runtime runtime({.kernel = &kernel});
  absl::StatusOr<Listener> listener;
  const auto listen = [&] { listener = runtime.listen("unix:" + directory.path("x"), echo); };
  if (in_callback) {
    absl::Notification done;
    ASSERT_TRUE(runtime
                    .post([&] {
                      listen();
                      done.Notify();
                    })
                    .ok());
    done.WaitForNotification();
  } else {
    listen();
  }
  EXPECT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(locked.tries(), 3);
  EXPECT_EQ(kernel.time(), start);
}

TEST(ManualKernelLockTest, TheLockOfADirectoryIsAwaitedInRealTime) {
  expect_lock_costs_no_time(/*in_callback=*/false);
}

TEST(ManualKernelLockTest, ACallbackAwaitsItAsWell) {
  expect_lock_costs_no_time(/*in_callback=*/true);
}

}  // namespace
}  // namespace epore::internal
