#include "epore/runtime/internal/endpoints/connector.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/internal/endpoints/destination.h"
#include "epore/runtime/internal/order/order_state.h"
#include "epore/runtime/internal/reactor/core.h"
#include "gtest/gtest.h"
#include "tests/runtime/internal/reactor/core_test_base.h"
#include "tests/support/scarce_memory.h"
#include "tests/support/sockets.h"

namespace epore::internal {
namespace {

using ConnectorTest = CoreTest;

// A shutdown does not wait for the connections of tasks before it stops the tasks. One too many in
// their count would hide a connection of somebody else.
TEST_F(ConnectorTest, AConnectionOfATaskThatFindsNoMemoryToBeginIsNotCounted) {
  const TcpPort port = tcp_listener();
  const std::string to = absl::StrCat("127.0.0.1:", port.port);
  const Ref<Core> core = Ref<Core>::share(&this->core());
  int refused = 0;
  for (int k = 1; k <= 12; ++k) {
    SCOPED_TRACE(k);
    // Getsockname is the last call before the Stream is made.
    kernel_.after(KernelCall::kGetsockname,
                  [k](const FaultKernel::Call&) { ScarceMemory::fail(k); });
    kernel_.before(KernelCall::kEpollWait, [](const FaultKernel::Call&) { ScarceMemory::stop(); });
    absl::Status status;
    absl::Notification told;
    ConnectOptions options;
    options.order = OrderState::make(core);
    (void)Connector::start_for_task(
        core, Destination(to),
        [&](absl::StatusOr<Connection> result) {
          status = result.status();
          told.Notify();
        },
        options);
    told.WaitForNotification();
    EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
    if (!status.ok()) ++refused;
  }
  EXPECT_GE(refused, 1);
  EXPECT_TRUE(core->shutdown().run(0, [] { return false; }).ok());
  EXPECT_EQ(core->tasks().connections(), 0u);
}

}  // namespace
}  // namespace epore::internal
