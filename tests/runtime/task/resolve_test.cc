// The addresses of a name, without a connection.

#include "epore/runtime/resolve.h"

#include <cerrno>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/names_kernel.h"
#include "tests/support/fault_kernel.h"

namespace epore {
namespace {

class ResolveTest : public testing::TestWithParam<Dispatch> {
 protected:
  RuntimeOptions options() { return {.dispatch = GetParam(), .kernel = &kernel_}; }

  static absl::StatusOr<std::string> find(Runtime& runtime, const std::string& address) {
    absl::StatusOr<std::vector<SocketAddress>> found = runtime.run(resolve, address);
    if (!found.ok()) return found.status();
    return absl::StrJoin(*found, " ", [](std::string* out, const SocketAddress& one) {
      out->append(one.to_string());
    });
  }

  // The lookup of a name begins, and goes on until it is let go.
  void hold_lookups() {
    kernel_.before(KernelCall::kResolve, [&](const FaultKernel::Call&) {
      begun_.Notify();
      go_on_.WaitForNotification();
    });
  }

  NamesKernel names_;
  FaultKernel kernel_{names_};
  absl::Notification begun_;
  absl::Notification go_on_;
};

INSTANTIATE_TEST_SUITE_P(Dispatches, ResolveTest,
                         testing::Values(Dispatch::adaptive, Dispatch::workers,
                                         Dispatch::poll_thread, Dispatch::caller),
                         [](const auto& info) { return std::string(dispatch_name(info.param)); });

TEST_P(ResolveTest, FindsAllAddressesInTheSequenceOfTheSystem) {
  names_.add("db.example", {"127.0.0.1:0", "127.0.0.2:0", "[::1]:0", "127.0.0.1:0"});
  Runtime runtime(options());
  EXPECT_EQ(find(runtime, "db.example:5432").value_or(""),
            "127.0.0.1:5432 127.0.0.2:5432 [::1]:5432");
  EXPECT_EQ(kernel_.calls(KernelCall::kConnect), 0u);
}

TEST_P(ResolveTest, WhatIsNoNameNeedsNoLookup) {
  RuntimeOptions with_hosts = options();
  with_hosts.hosts = {{"db.example", {"[::1]:0", "192.0.2.1:7"}}, {"gone.example", {}}};
  Runtime runtime(with_hosts);
  EXPECT_EQ(find(runtime, "192.0.2.7:80").value_or(""), "192.0.2.7:80");
  EXPECT_EQ(find(runtime, ":80").value_or(""), "127.0.0.1:80 [::1]:80");
  EXPECT_EQ(find(runtime, "unix:/run/x").value_or(""), "unix:/run/x");
  EXPECT_EQ(find(runtime, "DB.example:5432").value_or(""), "[::1]:5432 192.0.2.1:7");
  EXPECT_TRUE(absl::IsNotFound(find(runtime, "gone.example:5432").status()));
  for (const char* bad : {"", "db.example", "*:80", "a:b:c", "http://a:80"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(find(runtime, bad).status())) << bad;
  }
  EXPECT_EQ(kernel_.calls(KernelCall::kResolve), 0u);
}

TEST_P(ResolveTest, ANameWithoutAddressesIsNotFound) {
  Runtime runtime(options());
  const absl::Status status = find(runtime, "gone.example:80").status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "resolving \"gone.example\"")) << status;
}

TEST_P(ResolveTest, WithoutAThreadItIsAnError) {
  names_.add("db.example", {"127.0.0.1:0"});
  Runtime runtime(options());
  kernel_.fail(KernelCall::kThreadStart, EAGAIN);
  const absl::Status status = find(runtime, "db.example:80").status();
  EXPECT_TRUE(absl::StrContains(status.message(), "starting a resolver thread")) << status;
  EXPECT_TRUE(find(runtime, "db.example:80").ok());
}

TEST_P(ResolveTest, AStopEndsTheWaitAndNotTheLookup) {
  names_.add("db.example", {"127.0.0.1:0"});
  hold_lookups();
  Runtime runtime(options());
  Job job = runtime.spawn([]() -> Task<> { co_await resolve("db.example:80"); });
  std::thread stopper([&] {
    begun_.WaitForNotification();
    job.stop();
  });
  const absl::Status status = job.wait();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  stopper.join();
  go_on_.Notify();
  EXPECT_TRUE(runtime.shutdown().ok());
  kernel_.await_threads();
}

TEST_P(ResolveTest, ADeadlineEndsTheWait) {
  hold_lookups();
  Runtime runtime(options());
  const absl::Status status = runtime.run(
      []() -> Task<> { co_await within(absl::Milliseconds(1), resolve("db.example:80")); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  go_on_.Notify();
  EXPECT_TRUE(runtime.shutdown().ok());
  kernel_.await_threads();
}

TEST_P(ResolveTest, ANameForWhichNobodyWaitsAnyMoreIsNotLookedUp) {
  constexpr int kThreads = 4;
  absl::BlockingCounter begun(kThreads);
  kernel_.before(KernelCall::kResolve, [&](const FaultKernel::Call& call) {
    if (call.nth > kThreads) return;
    begun.DecrementCount();
    go_on_.WaitForNotification();
  });
  names_.add("db.example", {"127.0.0.1:0"});
  Runtime runtime(options());
  const auto look_up = []() -> Task<> { co_await resolve("db.example:80"); };
  std::vector<Job> jobs;
  for (int i = 0; i < kThreads; ++i) jobs.push_back(runtime.spawn(look_up));
  const absl::Status late = runtime.run([&]() -> Task<> {
    co_await blocking([&] { begun.Wait(); });
    const absl::Status resolved =
        (co_await within(absl::Milliseconds(1), resolve("late.example:80")).result()).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(resolved)) << resolved;
    const absl::Status connected =
        (co_await within(absl::Milliseconds(1), connect("late.example:80")).result()).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(connected)) << connected;
  });
  EXPECT_TRUE(late.ok()) << late;
  go_on_.Notify();
  EXPECT_TRUE(runtime.run(look_up).ok());
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok());
  EXPECT_EQ(kernel_.calls(KernelCall::kResolve), kThreads + 1u);
}

// It does not wait for the name service.
TEST_P(ResolveTest, AShutdownEndsTheWait) {
  hold_lookups();
  Runtime runtime(options());
  Job job = runtime.spawn([]() -> Task<> { co_await resolve("db.example:80"); });
  std::thread ender([&] {
    begun_.WaitForNotification();
    EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  });
  EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
  ender.join();
  go_on_.Notify();
  kernel_.await_threads();
}

}  // namespace
}  // namespace epore
