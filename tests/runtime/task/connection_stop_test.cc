// A task that uses connections is stopped at each system call of the runtime in turn, once and
// twice: before a wait, while it waits, and when what it waits for has completed and it was not
// resumed yet. It ends, leaks nothing, and no byte and no connection is lost: the next task goes on
// where it was.

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/counted.h"
#include "tests/runtime/task/handler_test_base.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

// Stops a job before system call number `k` of the runtime, counted from its spawn, and once more
// `distance` calls later.
class Stopper : public std::enable_shared_from_this<Stopper> {
 public:
  // `wait` is the kind of call in which a poll thread waits.
  Stopper(FaultKernel& kernel, KernelCall wait, int k, int distance)
      : kernel_(kernel), wait_(wait), k_(k), distance_(distance) {}
  Stopper(const Stopper&) = delete;
  Stopper& operator=(const Stopper&) = delete;

  // Spawns the job, and returns when it has ended.
  template <typename F>
  absl::Status run(Runtime& runtime, const Order& order, F task) {
    // Another thread may be in the hook when it is taken away. What a poll thread queues in its own
    // wait, as no program can, is looked at when the wait ends: in the next seconds, or never.
    kernel_.before_each([self = shared_from_this()](const FaultKernel::Call& call) {
      const int nth = self->calls_.fetch_add(1) + 1;
      if (nth != self->k_ && nth != self->k_ + self->distance_) return;
      if (call.kind == self->wait_) {
        std::thread([&self] { self->stop(); }).join();
      } else {
        self->stop();
      }
    });
    Job job = runtime.spawn_in(order, std::move(task));
    bool is_late = false;
    {
      const absl::MutexLock lock(&mutex_);
      job_ = job;
      is_late = is_due_;
    }
    if (is_late) job.stop();
    absl::Status status = job.wait();
    was_reached_ = calls_ >= k_;
    kernel_.before_each(nullptr);
    return status;
  }

  // Whether the job had not ended by then.
  bool was_reached() const { return was_reached_; }

 private:
  void stop() {
    std::optional<Job> job;
    {
      const absl::MutexLock lock(&mutex_);
      is_due_ = true;
      job = job_;
    }
    if (!job.has_value()) return;
    job->stop();
    if (distance_ == 0) job->stop();
  }

  FaultKernel& kernel_;
  const KernelCall wait_;
  const int k_;
  const int distance_;
  std::atomic<int> calls_{0};
  bool was_reached_ = false;
  absl::Mutex mutex_;
  bool is_due_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Job> job_ ABSL_GUARDED_BY(mutex_);
};

class ConnectionStopTest : public HandlerTest {
 protected:
  // Calls scenario(stopper) for each system call, until the job ends before it.
  template <typename Scenario>
  void sweep(Scenario scenario) {
    for (const int distance : {0, 1, 3}) {
      for (int k = 1;; ++k) {
        SCOPED_TRACE(testing::Message() << "call " << k << ", again " << distance << " later");
        const int before = Counted::live();
        const auto stopper = std::make_shared<Stopper>(kernel_, wait_call(GetParam()), k, distance);
        scenario(*stopper);
        EXPECT_EQ(Counted::live(), before);
        if (HasFailure()) return;
        if (!stopper->was_reached()) {
          // A ring receives with the calls that wait.
          EXPECT_GT(k, reads_by_recv(GetParam()) ? 6 : 1) << "the task does more than that";
          break;
        }
        ASSERT_LT(k, 5000) << "it does not end";
      }
    }
  }

  // Runs a task to its end in `order`.
  template <typename F>
  static void run_in(Runtime& runtime, const Order& order, F task) {
    const absl::Status status = runtime.spawn_in(order, std::move(task)).wait();
    EXPECT_TRUE(status.ok()) << status;
  }
};

// Lines of 17 bytes.
std::string lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += pattern(16, static_cast<unsigned>(i)) + "\n";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 17 != 16 && text[i] == '\n') text[i] = '.';
  }
  return text;
}

// Reads in every way, and notes what it has got.
Task<> reads(Connection c, std::string& got, std::size_t size) {
  Counted local;
  std::array<std::byte, 7> buffer;
  while (got.size() < size) {
    Counted inside;
    got += (co_await c.read_until("\n", 64)).text();
    got += (co_await c.read_exactly(5)).text();
    const std::size_t count = co_await c.read_some(buffer);
    got += ByteView(buffer.data(), count).text();
    ByteView seen = co_await c.peek(2);
    got += seen.text().substr(0, 1);
    c.consume(1);
    auto first = co_await any(c.read_exactly(3), yield());
    if (first.index() == 0) got += std::get<0>(first).text();
    got += (co_await within(absl::Hours(1), c.read())).text();
  }
}

TEST_P(ConnectionStopTest, Reads) {
  const std::string text = lines(8);
  kernel_.shrink_recvs(11);
  for (const bool is_far : {false, true}) {
    Runtime runtime(options());
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", [&](Connection c) -> Task<> {
      for (std::size_t at = 0; at < text.size(); at += 20) {
        const std::string piece = text.substr(at, 20);
        co_await c.write(piece);
        co_await c.flush();
      }
      c.shut_down_write();
      co_await c.read();
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    const std::string address = listener->address().to_string();
    const Order order = runtime.order();
    sweep([&](Stopper& stopper) {
      Connection c;
      std::string got;
      run_in(runtime, order, [&]() -> Task<> { c = co_await connect(address); });
      // The rest is read in the same order, behind a consume() that is on its way.
      const Order its = is_far ? runtime.order() : order;
      const absl::Status status =
          stopper.run(runtime, its, [&]() -> Task<> { return reads(c, got, text.size()); });
      // The end of the text comes where it will.
      EXPECT_TRUE(status.ok() || absl::IsCancelled(status) || absl::IsOutOfRange(status)) << status;
      run_in(runtime, its, [&]() -> Task<> {
        while (ByteView bytes = co_await c.read()) got += bytes.text();
        c.close();
      });
      EXPECT_EQ(got, text);
    });
  }
}

// What was written is there, and of the write that was stopped a part at its begin.
TEST_P(ConnectionStopTest, Writes) {
  constexpr std::array<std::size_t, 6> kSizes = {1, 100, 20'000, 60'000, 3, 9'000};
  const std::string text = pattern(89'104);
  for (const bool is_far : {false, true}) {
    Runtime runtime(options());
    Channel<std::string> received(1);
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", [&](Connection c) -> Task<> {
      std::string got;
      while (ByteView bytes = co_await c.read()) got += bytes.text();
      co_await received.send(std::move(got));
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    const std::string address = listener->address().to_string();
    const Order order = runtime.order();
    kernel_.shrink_sends(5'000);
    sweep([&](Stopper& stopper) {
      Connection c;
      run_in(runtime, order, [&]() -> Task<> {
        ConnectOptions options;
        options.connection.write_high_mark = 4096;
        options.connection.write_low_mark = 1024;
        c = co_await connect(address, options);
      });
      std::size_t written = 0;
      std::size_t begun = 0;
      const absl::Status status =
          stopper.run(runtime, is_far ? runtime.order() : order, [&]() -> Task<> {
            Counted local;
            for (const std::size_t size : kSizes) {
              begun = written + size;
              co_await c.write(std::string_view(text).substr(written, size));
              written = begun;
              co_await all(yield(), c.flush());
            }
          });
      EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
      run_in(runtime, order, [&]() -> Task<> {
        c.shut_down_write();
        co_await c.flush();
        const std::string got = co_await received.receive();
        EXPECT_GE(got.size(), written);
        EXPECT_LE(got.size(), begun);
        EXPECT_EQ(got, text.substr(0, got.size()));
      });
    });
  }
}

TEST_P(ConnectionStopTest, Connects) {
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = listener->address().to_string();
  const Order order = runtime.order();
  sweep([&](Stopper& stopper) {
    const absl::Status status = stopper.run(runtime, order, [&]() -> Task<> {
      Counted local;
      for (int i = 0; i < 2; ++i) {
        Connection c = co_await connect(address);
        auto other = co_await all(connect(address), c.write("x"));
        EXPECT_EQ((co_await c.read_exactly(1)).text(), "x");
        auto first = co_await any(yield(), connect(address));
        co_await std::get<0>(other).write("y");
      }
    });
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
    while (runtime.counters().connections > 0) std::this_thread::yield();
  });
}

// The first address refuses, and the second one is tried.
TEST_P(ConnectionStopTest, ConnectsToAName) {
  const TcpPort refusing = refusing_port();
  RuntimeOptions with_hosts = options();
  std::vector<std::string>& addresses = with_hosts.hosts["service.example"];
  addresses = {absl::StrCat("127.0.0.1:", refusing.port), "127.0.0.1:0"};
  Runtime runtime(with_hosts);
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = absl::StrCat("service.example:", listener->address().port());
  const Order order = runtime.order();
  sweep([&](Stopper& stopper) {
    const absl::Status status = stopper.run(runtime, order, [&]() -> Task<> {
      Counted local;
      Connection c = co_await connect(address);
      co_await c.write("x");
      EXPECT_EQ((co_await c.read_exactly(1)).text(), "x");
    });
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
    while (runtime.counters().connections > 0) std::this_thread::yield();
  });
}

// Each of the clients gets its answer, from the first task or the next one.
TEST_P(ConnectionStopTest, Accepts) {
  constexpr std::size_t kPeers = 4;
  for (const bool has_order : {false, true}) {
    Runtime runtime(options());
    const Order order = runtime.order();
    ListenOptions listen_options;
    if (has_order) listen_options.order = runtime.order();
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", listen_options);
    ASSERT_TRUE(listener.ok()) << listener.status();
    sweep([&](Stopper& stopper) {
      std::vector<Peer> peers;
      for (std::size_t i = 0; i < kPeers; ++i) {
        peers.emplace_back(listener->address());
        peers.back().send(std::string(1, static_cast<char>('a' + i)));
      }
      std::vector<Connection> accepted;
      const absl::Status status = stopper.run(runtime, order, [&]() -> Task<> {
        Counted local;
        while (accepted.size() < kPeers) {
          accepted.push_back(co_await listener->accept());
          if (accepted.size() == kPeers) co_return;
          auto first = co_await any(yield(), listener->accept());
          if (first.index() == 1) accepted.push_back(std::get<1>(std::move(first)));
        }
      });
      EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
      run_in(runtime, order, [&]() -> Task<> {
        while (accepted.size() < kPeers) accepted.push_back(co_await listener->accept());
        for (Connection& c : accepted) {
          const std::string name((co_await c.read_exactly(1)).text());
          co_await c.write(name);
        }
        accepted.clear();
      });
      for (std::size_t i = 0; i < kPeers; ++i) {
        EXPECT_EQ(peers[i].receive_all(), std::string(1, static_cast<char>('a' + i)));
      }
      peers.clear();
      while (runtime.counters().connections > 0) std::this_thread::yield();
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ConnectionStopTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
