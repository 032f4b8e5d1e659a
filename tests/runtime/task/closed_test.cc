// What Connection::closed() waits for.

#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"

namespace epore {
namespace {

class ClosedTest : public HandlerTest {
 protected:
  // A task of `order` that waits for the end, and tells the reason.
  static Job watch(Runtime& runtime, const Order& order, Connection c, absl::Status& reason) {
    return runtime.spawn_in(order, [c, &reason]() mutable -> Task<> {
      const ConnectionEnd end = co_await c.closed();
      reason = end.reason;
    });
  }

  // Returns when the tasks of `order` wait for the end of the connection.
  static void await_start(Runtime& runtime, const Order& order, const Connection& c) {
    EXPECT_TRUE(runtime.spawn_in(order, []() -> Task<> { co_return; }).wait().ok());
    fence(c);
  }
};

// By tasks of its own order and of another one, before the end and after it.
TEST_P(ClosedTest, GivesTheReasonOfTheEnd) {
  Observer observer;
  absl::Status reasons[4];
  Runtime runtime(options());
  ListenOptions listen;
  listen.order = runtime.order();
  const Order orders[] = {listen.order, runtime.order()};
  Link link = open_link(runtime, observer, listen);
  std::vector<Job> jobs;
  for (const std::size_t i : {0, 1})
    jobs.push_back(watch(runtime, orders[i], link.connection, reasons[i]));
  for (const Order& order : orders) await_start(runtime, order, link.connection);
  for (const Job& job : jobs) EXPECT_FALSE(job.status().has_value());
  link.connection.abort(absl::DataLossError("enough"));
  EXPECT_TRUE(absl::IsDataLoss(observer.await_closed()));
  for (const std::size_t i : {0, 1}) {
    jobs.push_back(watch(runtime, orders[i], link.connection, reasons[2 + i]));
  }
  for (const Job& job : jobs) EXPECT_TRUE(job.wait().ok()) << job.wait();
  for (const absl::Status& reason : reasons) EXPECT_EQ(reason, absl::DataLossError("enough"));
}

// With callbacks the connection closes and drains by itself, whoever waits for its end.
TEST_P(ClosedTest, DoesNotKeepAConnectionOfCallbacks) {
  for (const bool is_drain : {false, true}) {
    for (const bool has_on_data : {false, true}) {
      SCOPED_TRACE(testing::Message() << is_drain << has_on_data);
      Observer observer;
      absl::Status reason = absl::UnknownError("");
      Runtime runtime(options());
      Link link = open_link(runtime, observer, ListenOptions(), [has_on_data](Connection& c) {
        c.on_read_closed(nullptr);
        if (!has_on_data) c.on_data(nullptr);
      });
      const Order order = runtime.order();
      const Job job = watch(runtime, order, link.connection, reason);
      await_start(runtime, order, link.connection);
      std::thread shutdown;
      if (is_drain) {
        shutdown =
            std::thread([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
        EXPECT_EQ(link.peer.end(), 0);
      }
      link.peer.close();
      EXPECT_TRUE(observer.await_closed().ok());
      EXPECT_TRUE(job.wait().ok()) << job.wait();
      EXPECT_TRUE(reason.ok()) << reason;
      if (is_drain) shutdown.join();
    }
  }
}

TEST_P(ClosedTest, AStopAndADeadlineEndTheWait) {
  for (const bool is_far : {false, true}) {
    SCOPED_TRACE(is_far);
    Observer observer;
    absl::Status reasons[3];
    Runtime runtime(options());
    ListenOptions listen;
    listen.order = runtime.order();
    const Order order = is_far ? runtime.order() : listen.order;
    Link link = open_link(runtime, observer, listen);
    std::vector<Job> jobs;
    for (absl::Status& reason : reasons) {
      jobs.push_back(watch(runtime, order, link.connection, reason));
    }
    const Job timed = runtime.spawn_in(order, [c = link.connection]() mutable -> Task<> {
      const absl::StatusOr<ConnectionEnd> end =
          co_await within(absl::Nanoseconds(1), c.closed()).result();
      EXPECT_TRUE(absl::IsDeadlineExceeded(end.status())) << end.status();
    });
    EXPECT_TRUE(timed.wait().ok()) << timed.wait();
    jobs[1].stop();
    EXPECT_TRUE(absl::IsCancelled(jobs[1].wait())) << jobs[1].wait();
    EXPECT_TRUE(link.connection.is_open());
    link.connection.abort();
    for (const std::size_t i : {0, 2}) {
      EXPECT_TRUE(jobs[i].wait().ok()) << jobs[i].wait();
      EXPECT_TRUE(absl::IsCancelled(reasons[i])) << reasons[i];
    }
  }
}

// So the work for a peer that is gone ends early.
TEST_P(ClosedTest, AResetIsSeenWhileNobodyReads) {
  Runtime runtime(options());
  absl::Notification waits;
  absl::Notification ended;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    AsyncEvent never;
    co_await c.write("x");
    waits.Notify();
    auto first = co_await any(c.closed(), never.wait());
    EXPECT_EQ(first.index(), 0u);
    EXPECT_FALSE(std::get<0>(first).reason.ok());
    ended.Notify();
  });
  EXPECT_EQ(peer.receive(1), "x");
  waits.WaitForNotification();
  peer.reset();
  ended.WaitForNotification();
}

// A handler that waits for the end would keep the shutdown for ever.
TEST_P(ClosedTest, ADrainEndsTheWaitOfAHandler) {
  Runtime runtime(options());
  absl::Notification waits;
  absl::Status told;
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    waits.Notify();
    told = (co_await c.closed().result()).status();
    const absl::Status again = (co_await c.closed().result()).status();
    EXPECT_EQ(again, told);
    co_await c.write("bye");
  });
  waits.WaitForNotification();
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  EXPECT_EQ(peer.receive_all(), "bye");
  peer.close();
  shutdown.join();
  EXPECT_TRUE(absl::IsCancelled(told)) << told;
}

TEST_P(ClosedTest, AHandleThatNamesNoConnectionIsRefused) {
  Runtime runtime(options());
  const absl::Status status = runtime.run([]() -> Task<> {
    Connection none;
    (void)co_await none.closed();
  });
  EXPECT_EQ(status.message(), "Connection::closed: this handle names no connection");
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ClosedTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
