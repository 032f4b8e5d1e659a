// The options of a connection that are options of its socket, as the system has them.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using SocketOptionsTest = RuntimeTest;

INSTANTIATE_TEST_SUITE_P(Everywhere, SocketOptionsTest, testing::ValuesIn(all_modes()), mode_name);

bool is_on(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  PCHECK(::getsockopt(fd, level, name, &value, &size) == 0);
  return value != 0;
}

void expect_options(int fd, const ConnectionOptions& options) {
  EXPECT_EQ(is_on(fd, IPPROTO_TCP, TCP_NODELAY), options.no_delay);
  EXPECT_EQ(is_on(fd, SOL_SOCKET, SO_KEEPALIVE), options.keep_alive);
}

// The two ends have each the opposite of the other.
TEST_P(SocketOptionsTest, AcceptedAndConnectedSocketsHaveThem) {
  for (const bool no_delay : {false, true}) {
    for (const bool keep_alive : {false, true}) {
      SCOPED_TRACE(testing::Message() << no_delay << keep_alive);
      ListenOptions listen;
      listen.connection.no_delay = no_delay;
      listen.connection.keep_alive = keep_alive;
      ConnectOptions connect;
      connect.connection.no_delay = !no_delay;
      connect.connection.keep_alive = !keep_alive;
      std::atomic<int> accepted = -1;
      std::atomic<int> connected = -1;
      absl::Notification is_accepted;
      absl::Notification is_connected;
      Runtime runtime(options());
      const Listener listener = listen_on_loopback(
          runtime,
          [&](Connection&) {
            expect_options(accepted, listen.connection);
            is_accepted.Notify();
          },
          listen);
      kernel_.after(KernelCall::kAccept, [&](const FaultKernel::Call& call) {
        if (call.result.ok()) accepted = call.result.fd();
      });
      kernel_.after(KernelCall::kSocket,
                    [&](const FaultKernel::Call& call) { connected = call.result.fd(); });
      runtime.connect(
          listener.address().to_string(),
          [&](absl::StatusOr<Connection> connection) {
            CHECK_OK(connection.status());
            expect_options(connected, connect.connection);
            is_connected.Notify();
          },
          connect);
      is_accepted.WaitForNotification();
      is_connected.WaitForNotification();
      EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
      kernel_.after(KernelCall::kAccept, nullptr);
      kernel_.after(KernelCall::kSocket, nullptr);
    }
  }
}

}  // namespace
}  // namespace epore
