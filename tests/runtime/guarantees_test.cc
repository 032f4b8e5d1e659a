// Lines of README's "Threads and lifetime" that no other test holds: see docs/guarantees.md.

#include <string>
#include <utility>

#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

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

}  // namespace
}  // namespace epore
