// Orders under a storm: members of every kind on several reactors, made, closed and cancelled by
// several threads at a time, while the runtime goes on or ends. What the callbacks share is not
// guarded, so that an overlap is a data race for ThreadSanitizer.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

enum class End { when_all_is_over, in_the_midst, cut_short };

class OrderStressTest : public testing::TestWithParam<std::tuple<Mode, int, End>> {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options;
    options.workers = 3;
    options.reactors = std::get<1>(GetParam());
    options.dispatch = std::get<0>(GetParam()).dispatch;
    options.selector = std::get<0>(GetParam()).selector;
    options.require_selector = true;
    options.drain_timeout =
        end() == End::cut_short ? absl::ZeroDuration() : absl::InfiniteDuration();
    return options;
  }
  static End end() { return std::get<2>(GetParam()); }
};

std::string name(const testing::TestParamInfo<OrderStressTest::ParamType>& info) {
  const char* const ends[] = {"", "_in_the_midst", "_cut_short"};
  const Mode& mode = std::get<0>(info.param);
  return std::string(dispatch_name(mode.dispatch)) + "_" + mode.selector + "_" +
         std::to_string(std::get<1>(info.param)) + ends[static_cast<int>(std::get<2>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(Everywhere, OrderStressTest,
                         testing::Combine(testing::ValuesIn(all_modes()), testing::Values(1, 2),
                                          testing::Values(End::when_all_is_over, End::in_the_midst,
                                                          End::cut_short)),
                         name);

// One order and what its callbacks share.
struct Room {
  Order order;
  std::uint64_t visits = 0;
  int open = 0;
  std::uint64_t ticks = 0;
  std::vector<std::uint64_t> last;  // by thread: the number of its last closure that ran
  std::atomic<std::uint64_t> accepted{0};
  std::uint64_t ran = 0;

  void visit() {
    EXPECT_TRUE(order.is_current());
    ++visits;
  }

  void enter(Connection& peer) {
    visit();
    ++open;
    peer.on_data([this](Connection& c, std::span<const std::byte> bytes) {
      visit();
      c.send(bytes);
      if (visits % 7 == 0) c.timer([this](Connection&) { visit(); }).arm(absl::ZeroDuration());
      if (visits % 11 == 0) (void)c.post([this](Connection&) { visit(); });
      if (visits % 13 == 0) c.abort();
    });
    peer.on_closed([this](Connection&, const absl::Status&) {
      visit();
      --open;
    });
  }
};

TEST_P(OrderStressTest, NothingOverlapsAndNothingIsLost) {
  constexpr std::size_t kThreads = 3;
  constexpr std::uint64_t kRounds = 60;
  const ExpectNoFdLeak no_leak;
  std::array<Room, 2> rooms;
  {
    Runtime runtime(options());
    std::vector<Listener> listeners;
    std::vector<Timer> ticks;
    for (Room& room : rooms) {
      room.order = runtime.order();
      room.last.resize(kThreads);
      ListenOptions listen;
      listen.order = room.order;
      listeners.push_back(listen_on_loopback(
          runtime, [&room](Connection& peer) { room.enter(peer); }, listen));
      ticks.push_back(room.order.timer([&room] {
        room.visit();
        ++room.ticks;
      }));
      ticks.back().arm_every(absl::Microseconds(50));
    }
    std::atomic<bool> is_over{false};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::vector<Timer> timers;
        for (std::uint64_t round = 1; round <= kRounds && !is_over; ++round) {
          for (std::size_t i = 0; i < rooms.size(); ++i) {
            Room& room = rooms[i];
            const auto closure = [&room, t, round] {
              room.visit();
              ++room.ran;
              EXPECT_LT(room.last[t], round) << "not in the order of the posts";
              room.last[t] = round;
            };
            if (room.order.post(closure).ok()) room.accepted.fetch_add(1);
            timers.push_back(
                room.order.post_after(absl::Microseconds(round % 3), [&room] { room.visit(); }));
            if (round % 2 == 0) (void)timers[timers.size() / 2].cancel();
            if (round % 4 == t % 4) {
              ConnectOptions connect;
              connect.order = room.order;
              runtime.connect(
                  listeners[i].address().to_string(),
                  [&room](absl::StatusOr<Connection> connection) {
                    room.visit();
                    if (!connection.ok()) return;
                    connection->on_data([&room](Connection& c, std::span<const std::byte>) {
                      room.visit();
                      if (room.visits % 3 == 0) c.close();
                      if (room.visits % 5 == 0) c.send("again");
                      if (room.visits % 5 == 1) c.abort();
                    });
                    connection->send("hello");
                  },
                  connect);
            }
          }
        }
      });
    }
    if (end() != End::when_all_is_over) {
      for (Room& room : rooms) {
        while (room.accepted.load() < kRounds / 2) std::this_thread::yield();
      }
      EXPECT_TRUE(runtime.shutdown().ok());
      is_over = true;
    }
    for (std::thread& thread : threads) thread.join();
  }
  for (const Room& room : rooms) {
    EXPECT_EQ(room.open, 0);
    EXPECT_LE(room.ran, room.accepted.load());
    if (end() != End::cut_short) {
      EXPECT_EQ(room.ran, room.accepted.load());
    }
    if (end() == End::when_all_is_over) {
      EXPECT_EQ(room.accepted.load(), kThreads * kRounds);
    }
  }
}

}  // namespace
}  // namespace epore
