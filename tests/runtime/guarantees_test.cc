// Lines of README's "Threads and lifetime" that no other test holds: see docs/guarantees.md.

#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

using GuaranteesTest = RuntimeTest;

INSTANTIATE_TEST_SUITE_P(Everywhere, GuaranteesTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(GuaranteesTest, ASendCopies) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const auto send_and_spoil = [](Connection& connection, std::string bytes) {
    (void)connection.send(bytes);
    bytes.assign(bytes.size(), '!');
  };
  const std::string much(1'000'000, 'c');  // more than the system takes at once
  ASSERT_TRUE(link.connection
                  .post([&](Connection& c) {
                    send_and_spoil(c, "a");
                    send_and_spoil(c, much);
                  })
                  .ok());
  fence(link.connection);
  send_and_spoil(link.connection, "b");
  EXPECT_EQ(link.peer.receive(much.size() + 2), "a" + much + "b");
}

TEST_P(GuaranteesTest, DroppingHandlesClosesNothing) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const SocketAddress address =
      listen_on_loopback(runtime, [](Connection& c) { (void)c.send("hello"); }).address();
  link.connection = Connection();
  link.listener = Listener();
  fence(runtime);  // which may end what nobody holds
  link.peer.send("x");
  EXPECT_EQ(observer.await_bytes(1), "x");
  EXPECT_EQ(observer.closed(), 0);
  Peer another(address);
  EXPECT_EQ(another.receive(5), "hello");
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
}

// The lines that epore writes to the log meanwhile.
// Whatever its peers do: a reset, an attempt that fails, a client that goes away.
TEST_P(GuaranteesTest, AProgramThatDoesNothingWrongLogsNothing) {
  LogLines lines;
  {
    Observer observer;
    Observer other;
    absl::Notification refused;
    ClockKernel clock;  // nobody is said to block who just waits for a processor
    RuntimeOptions with_clock = options();
    with_clock.kernel = &clock;
    Runtime runtime(with_clock);
    EXPECT_EQ(runtime.run([]() -> Task<int> { co_return 1; }).value(), 1);
    Link link = open_link(runtime, observer);
    Link reset = open_link(runtime, other);
    link.peer.send("x");
    (void)observer.await_bytes(1);
    reset.peer.reset();
    (void)other.await_closed();
    const std::string gone = link.listener.address().to_string();
    EXPECT_TRUE(link.listener.close_and_wait().ok());
    runtime.connect(gone, [&](absl::StatusOr<Connection> connection) {
      EXPECT_FALSE(connection.ok());
      refused.Notify();
    });
    refused.WaitForNotification();
    (void)runtime.post_after(absl::ZeroDuration(), [] {});
    fence(runtime);
    link.peer.close();
    (void)observer.await_closed();
    (void)runtime.shutdown();
    EXPECT_FALSE(runtime.post([] {}).ok());
  }
  EXPECT_EQ(lines.text(), "");
}

}  // namespace
}  // namespace epore
