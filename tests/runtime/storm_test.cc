// Storms: several threads make connections, send, pause, close and abort, arm timers and stop
// tasks, all at once, while the runtime goes on or ends. What callbacks share is not guarded, so
// that an overlap is a data race for ThreadSanitizer.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/runtime/task/counted.h"

namespace epore {
namespace {

constexpr int kThreads = 3;

enum class End { when_all_is_over, in_the_midst, cut_short };

class StormTest : public testing::TestWithParam<std::tuple<Mode, int, End>> {
 public:
  // Returns when another step has been made, or there are no more: a callback that takes long.
  void await_step() const {
    const int before = steps_;
    while (steps_ == before && busy_ > 0) std::this_thread::yield();
  }

 protected:
  static RuntimeOptions options() {
    RuntimeOptions options;
    options.workers = 2;
    options.dispatch = std::get<0>(GetParam()).dispatch;
    options.selector = std::get<0>(GetParam()).selector;
    options.require_selector = true;
    options.reactors = std::get<1>(GetParam());
    options.drain_timeout =
        end() == End::cut_short ? absl::ZeroDuration() : absl::InfiniteDuration();
    return options;
  }
  static End end() { return std::get<2>(GetParam()); }

  // Calls `step(random)` so many times on each of several threads. The runtime is shut down when
  // they have ended, or in their midst.
  template <typename Step>
  void storm(Runtime& runtime, int rounds, Step step) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([this, t, rounds, &step] {
        std::minstd_rand random(static_cast<unsigned>(t) + 1);
        for (int i = 0; i < rounds; ++i) {
          step(random);
          ++steps_;
        }
        --busy_;
      });
    }
    if (end() != End::when_all_is_over) {
      while (steps_ < rounds) std::this_thread::yield();
      EXPECT_TRUE(runtime.shutdown().ok());
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(runtime.shutdown().ok());
    const Counters counters = runtime.counters();
    EXPECT_EQ(counters.connections, 0u);
    EXPECT_EQ(counters.queued_bytes, 0u);
    EXPECT_EQ(counters.timers_armed, 0u);
    EXPECT_EQ(counters.callback_exceptions, 0u);
  }

  const ExpectNoFdLeak no_leak_;

 private:
  std::atomic<int> steps_{0};
  std::atomic<int> busy_{kThreads};
};

std::string name(const testing::TestParamInfo<StormTest::ParamType>& info) {
  const char* const ends[] = {"", "_in_the_midst", "_cut_short"};
  const Mode& mode = std::get<0>(info.param);
  return std::string(dispatch_name(mode.dispatch)) + "_" + mode.selector + "_" +
         std::to_string(std::get<1>(info.param)) + ends[static_cast<int>(std::get<2>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(Everywhere, StormTest,
                         testing::Combine(testing::ValuesIn(all_modes()), testing::Values(1, 2),
                                          testing::Values(End::when_all_is_over, End::in_the_midst,
                                                          End::cut_short)),
                         name);

// Handles that all threads use.
template <typename T>
class Pool {
 public:
  void put(std::size_t at, T item) {
    T old;  // dropped without the lock
    const absl::MutexLock lock(&mutex_);
    old = std::exchange(items_[at % items_.size()], std::move(item));
  }
  T get(std::size_t at) {
    const absl::MutexLock lock(&mutex_);
    return items_[at % items_.size()];
  }

 private:
  absl::Mutex mutex_;
  std::array<T, 16> items_ ABSL_GUARDED_BY(mutex_);
};

TEST_P(StormTest, EachConnectionEndsOnceAndNothingIsLost) {
  constexpr int kRounds = 150;
  // One end of a connection. It is destroyed with the callbacks that hold it.
  struct Member {
    Counted counted;
    std::uint64_t visits = 0;
    int closed = 0;

    void visit() {
      EXPECT_EQ(closed, 0);
      ++visits;
    }
  };
  const int before = Counted::live();
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  std::atomic<int> accepted{0};
  std::atomic<int> ran{0};
  {
    Pool<Connection> connections;
    Pool<Timer> timers;
    Runtime runtime(options());
    const auto enter = [&](Connection& c) {
      const auto member = std::make_shared<Member>();
      const int number = ++begun;
      connections.put(static_cast<std::size_t>(number), c);
      c.on_data([this, member](Connection& c, std::span<const std::byte> bytes) {
        member->visit();
        if (member->visits < 40) c.send(bytes);
        if (member->visits % 17 == 0) await_step();
        if (member->visits % 23 == 0) c.close();
      });
      c.on_writable([member](Connection&) { member->visit(); });
      if (number % 2 == 0) {
        c.on_drain([member](Connection& c) {
          member->visit();
          c.close();
        });
      }
      c.on_closed([member, &ended](Connection&, const absl::Status&) {
        ++member->closed;
        ++ended;
      });
    };
    ListenOptions listen;
    listen.connection.write_high_mark = 10'000;
    listen.connection.write_low_mark = 5'000;
    const Listener listener = listen_on_loopback(runtime, enter, listen);
    const std::string address = listener.address().to_string();
    const std::string much(100'000, 'x');
    storm(runtime, kRounds, [&](std::minstd_rand& random) {
      Connection c = connections.get(random());
      switch (random() % 16) {
        case 0:
        case 1:
        case 2:
          runtime.connect(address, [&](absl::StatusOr<Connection> connection) {
            if (!connection.ok()) return;
            enter(*connection);
            connection->send("hello");
          });
          break;
        case 3:
        case 4:
        case 5:
          c.send("a few bytes");
          break;
        case 6:
          c.send(much);
          break;
        case 7:
          (void)c.post([counted = Counted()](Connection& c) { c.send("from its order"); });
          break;
        case 8: {
          const Timer timer = c.timer([counted = Counted()](Connection& c) { c.send("later"); });
          timers.put(random(), timer);
          Timer(timer).arm(absl::Microseconds(random() % 50));
          break;
        }
        case 9:
          (void)timers.get(random()).cancel();
          break;
        case 10:
          timers.get(random()).arm_every(absl::Microseconds(20));
          break;
        case 11:
          c.pause_reading();
          (void)c.set_idle_timeout(absl::Microseconds(100 + random() % 1000));
          break;
        case 12:
          c.resume_reading();
          break;
        case 13:
          if (random() % 2 == 0) c.shut_down_write();
          c.close();
          break;
        case 14:
          c.abort();
          break;
        default:
          if (runtime.post([&ran, counted = Counted()] { ++ran; }).ok()) ++accepted;
      }
    });
  }
  EXPECT_EQ(begun, ended);
  EXPECT_EQ(Counted::live(), before);
  EXPECT_LE(ran, accepted);
  if (end() != End::cut_short) {
    EXPECT_EQ(ran, accepted);
  }
}

TEST_P(StormTest, EachTaskEndsAndNoFrameIsLeft) {
  constexpr int kRounds = 80;
  struct Tasks {
    static Task<> serve(StormTest& test, Connection peer) {
      Counted local;
      for (int i = 0; i < 20; ++i) {
        absl::StatusOr<ByteView> bytes =
            co_await within(absl::Microseconds(500), peer.read()).result();
        if (!bytes.ok() || bytes->empty()) co_return;
        if (i % 7 == 6) test.await_step();
        if (!(co_await peer.write(*bytes).result()).ok()) co_return;
      }
    }
    static Task<> talk(Connection peer, int pieces) {
      Counted local;
      for (int i = 0; i < pieces; ++i) {
        co_await peer.write("some bytes");
        (void)co_await peer.read_exactly(10);
      }
      peer.shut_down_write();
    }
    static Task<> call(std::string address, int pieces) {
      Counted local;
      absl::StatusOr<Connection> peer = co_await connect(address).result();
      if (!peer.ok()) co_return;
      (void)co_await any(talk(*peer, pieces), sleep_for(absl::Microseconds(300)),
                         group([](Group& group) -> Task<> {
                           for (int i = 0; i < 3; ++i) {
                             group.spawn([]() -> Task<> { co_await sleep_for(absl::Hours(1)); });
                           }
                           co_await yield();
                         }))
          .result();
      if (pieces % 3 == 0) peer->abort();
    }
  };
  const int before = Counted::live();
  {
    Pool<Job> jobs;
    Runtime runtime(options());
    const absl::StatusOr<Listener> listener = runtime.listen(
        "127.0.0.1:0", [this](Connection peer) { return Tasks::serve(*this, std::move(peer)); });
    ASSERT_TRUE(listener.ok());
    const std::string address = listener->address().to_string();
    const Order order = runtime.order();
    storm(runtime, kRounds, [&](std::minstd_rand& random) {
      const int pieces = static_cast<int>(random() % 10);
      switch (random() % 4) {
        case 0:
          jobs.get(random()).stop();
          break;
        case 1:
          jobs.put(random(), runtime.spawn_in(order, Tasks::call, address, pieces));
          break;
        default:
          jobs.put(random(), runtime.spawn(Tasks::call, address, pieces));
      }
    });
  }
  EXPECT_EQ(Counted::live(), before);
}

}  // namespace
}  // namespace epore
