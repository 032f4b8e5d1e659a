// Connections that come, talk and end while several threads look at them: nothing is lost, and
// nobody looks at what is gone.

#include <atomic>
#include <cstddef>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

enum class Kind { callbacks, callbacks_of_an_order, tasks };

Task<> echo(Connection peer) {
  while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

absl::StatusOr<Listener> listen(Runtime& runtime, Kind kind) {
  if (kind == Kind::tasks) return runtime.listen("127.0.0.1:0", echo);
  ListenOptions options;
  if (kind == Kind::callbacks_of_an_order) options.order = runtime.order();
  return runtime.listen(
      "127.0.0.1:0",
      [](Connection& peer) {
        peer.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
      },
      options);
}

class ConnectionListRaceTest : public RuntimeTest {
 protected:
  void talk_while_others_look(Kind kind);
};

INSTANTIATE_TEST_SUITE_P(Everywhere, ConnectionListRaceTest, testing::ValuesIn(every_mode()),
                         mode_name);

// A wake that were lost to a look would leave a peer without its answer.
void ConnectionListRaceTest::talk_while_others_look(Kind kind) {
  DrivenRuntime runtime(options());
  const absl::StatusOr<Listener> listener = listen(runtime, kind);
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::atomic<bool> is_over{false};
  std::vector<std::thread> lookers;
  for (int i = 0; i < 2; ++i) {
    lookers.emplace_back([&runtime, &is_over, most = i == 0 ? 1000u : 2u] {
      while (!is_over.load(std::memory_order_acquire)) {
        const absl::StatusOr<std::vector<ConnectionInfo>> all = runtime.connections(most);
        ASSERT_TRUE(all.ok()) << all.status();
        for (std::size_t n = 1; n < all->size(); ++n) {
          ASSERT_LT((*all)[n - 1].id, (*all)[n].id);
        }
      }
    });
  }
  std::vector<std::thread> peers;
  for (int i = 0; i < 3; ++i) {
    peers.emplace_back([&listener] {
      for (int round = 0; round < 5; ++round) {
        Peer peer(listener->address());
        for (int message = 0; message < 10; ++message) {
          peer.send("ping");
          EXPECT_EQ(peer.receive(4), "ping");
        }
        if (round % 2 == 0) {
          peer.reset();
        } else {
          peer.close();
        }
      }
    });
  }
  for (std::thread& peer : peers) peer.join();
  EXPECT_TRUE(runtime.shutdown().ok());  // with threads that look
  is_over.store(true, std::memory_order_release);
  for (std::thread& looker : lookers) looker.join();
  EXPECT_TRUE(runtime.connections()->empty());
}

TEST_P(ConnectionListRaceTest, Callbacks) { talk_while_others_look(Kind::callbacks); }

TEST_P(ConnectionListRaceTest, CallbacksOfAnOrder) {
  talk_while_others_look(Kind::callbacks_of_an_order);
}

TEST_P(ConnectionListRaceTest, Tasks) { talk_while_others_look(Kind::tasks); }

}  // namespace
}  // namespace epore
