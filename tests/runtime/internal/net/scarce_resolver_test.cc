#include <atomic>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/internal/net/resolver.h"
#include "gtest/gtest.h"
#include "tests/runtime/names_kernel.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/scarce_memory.h"

namespace epore::internal {
namespace {

// On the thread of the resolver, each allocation behind getaddrinfo(3) fails in turn.
TEST(ScarceResolverTest, ALookupWithoutMemorySaysSo) {
  for (const std::string host : {"a.example", "nobody.example"}) {
    int exhausted = 0;
    std::atomic<bool> was_reached{true};
    for (int k = 1; was_reached; ++k) {
      SCOPED_TRACE(host + " " + std::to_string(k));
      NamesKernel names;
      names.add("a.example", {"127.0.0.1:0", "[::1]:0"});
      FaultKernel kernel(names);
      kernel.after(KernelCall::kResolve, [k](const FaultKernel::Call&) { ScarceMemory::fail(k); });
      Resolver resolver(kernel);
      absl::Notification done;
      absl::Status status;
      const absl::Status started = resolver.start(
          {host, 80}, [&](const absl::StatusOr<std::vector<SocketAddress>>& addresses) {
            was_reached = ScarceMemory::stop();
            status = addresses.status();
            done.Notify();
          });
      ASSERT_TRUE(started.ok()) << started;
      done.WaitForNotification();
      if (absl::IsResourceExhausted(status)) {
        ++exhausted;
      } else {
        EXPECT_EQ(status.ok(), host == "a.example") << status;
      }
      resolver.stop();
    }
    EXPECT_GE(exhausted, 1);
  }
}

}  // namespace
}  // namespace epore::internal
