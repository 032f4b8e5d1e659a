#include "epore/runtime/channel.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/heap.h"

namespace epore {
namespace {

TEST(Channel, OneThatWasMovedFromIsClosedAndEmpty) {
  Runtime runtime;
  Channel<int> from(3);
  const Channel<int> to = std::move(from);
  EXPECT_FALSE(from.try_send(1));
  EXPECT_EQ(from.try_receive(), std::nullopt);
  from.close();
  EXPECT_TRUE(from.is_closed());
  EXPECT_EQ(from.size(), 0u);
  EXPECT_EQ(from.capacity(), 0u);
  EXPECT_FALSE(to.is_closed());
  const absl::Status got = runtime.run([&]() -> Task<> {
    auto send = from.send(5);
    EXPECT_EQ(co_await send.result(),
              absl::FailedPreconditionError("Channel::send: this handle names no channel"));
    EXPECT_EQ(send.value(), 5);
    const auto received = co_await from.receive().result();
    EXPECT_EQ(received.status(),
              absl::FailedPreconditionError("Channel::receive: this handle names no channel"));
    const auto next = co_await from.next().result();
    EXPECT_EQ(next.status(), received.status());
  });
  EXPECT_TRUE(got.ok()) << got;
}

TEST(Channel, ASendIsAwaitedOnce) {
  Runtime runtime;
  Channel<std::string> channel(3);
  const absl::Status got = runtime.run([&]() -> Task<> {
    auto send = channel.send("x");
    co_await send;
    const absl::Status again = co_await send.result();
    EXPECT_TRUE(absl::IsFailedPrecondition(again)) << again;
  });
  EXPECT_TRUE(got.ok()) << got;
  EXPECT_EQ(channel.size(), 1u);
}

TEST(Channel, OneOperationIsAwaitedByOneTask) {
  Runtime runtime;
  Channel<int> channel(3);
  const absl::Status got = runtime.run([&]() -> Task<> {
    auto receive = channel.receive();
    auto wait = [&]() -> Task<> {
      const absl::StatusOr<int> number = co_await receive.result();
      EXPECT_TRUE(number.ok()) << number.status();
    };
    co_await group([&](Group& group) -> Task<> {
      group.spawn(wait);
      const absl::StatusOr<int> second = co_await receive.result();
      EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
      co_await channel.send(1);
    });
  });
  EXPECT_TRUE(got.ok()) << got;
}

TEST(Channel, KeepsTheSequence) {
  Runtime runtime;
  Channel<int> channel(3);
  std::vector<int> got;
  auto produce = [](Channel<int> to) -> Task<> {
    for (int i = 0; i < 100; ++i) co_await to.send(i);
    to.close();
  };
  auto consume = [&](Channel<int> from) -> Task<> {
    while (std::optional<int> number = co_await from.next()) got.push_back(*number);
  };
  absl::Status status =
      runtime.run([&]() -> Task<> { co_await all(produce(channel), consume(channel)); });
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_EQ(got.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
}

TEST(Channel, IsBounded) {
  Runtime runtime;
  Channel<int> channel(2);
  int sent = 0;
  absl::Status status = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> {
        for (int i = 0; i < 5; ++i) {
          co_await channel.send(i);
          ++sent;
        }
      });
      EXPECT_EQ(sent, 2);
      EXPECT_EQ(channel.size(), 2u);
      const int first = co_await channel.receive();
      EXPECT_EQ(first, 0);
      co_await yield();
      EXPECT_EQ(sent, 3);
      group.stop();
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(channel.size(), 2u);
}

TEST(Channel, CapacityZeroIsARendezvous) {
  Runtime runtime;
  Channel<std::string> channel(0);
  std::string order;
  absl::Status status = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      EXPECT_FALSE(channel.try_send("nobody waits"));
      group.spawn([&]() -> Task<> {
        co_await channel.send("a");
        order += "s";
      });
      for (int i = 0; i < 3; ++i) co_await yield();
      EXPECT_EQ(order, "");
      EXPECT_FALSE(channel.try_receive().has_value());
      const std::string got = co_await channel.receive();
      EXPECT_EQ(got, "a");
      EXPECT_EQ(order, "s");
      group.spawn([&]() -> Task<> {
        const std::string mine = co_await channel.receive();
        order += mine;
      });
      EXPECT_TRUE(channel.try_send("r")) << "somebody waits";
      EXPECT_FALSE(channel.try_send("x")) << "for one value";
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(order, "sr");
}

TEST(Channel, CloseEndsThoseThatWaitAndKeepsWhatIsThere) {
  Runtime runtime;
  Channel<int> channel(1);
  absl::Status sent;
  absl::Status received;
  std::vector<int> got;
  absl::Status status = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      co_await channel.send(1);
      group.spawn([&]() -> Task<> { sent = co_await channel.send(2).result(); });
      channel.close();
      channel.close();
      co_await yield();
    });
    EXPECT_TRUE(channel.is_closed());
    EXPECT_FALSE(channel.try_send(3));
    const absl::Status refused = co_await channel.send(4).result();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    const int one = co_await channel.receive();
    got.push_back(one);
    received = (co_await channel.receive().result()).status();
    std::optional<int> none = co_await channel.next();
    EXPECT_FALSE(none.has_value());
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(absl::IsFailedPrecondition(sent)) << sent;
  EXPECT_TRUE(absl::IsOutOfRange(received)) << received;
  EXPECT_EQ(got, std::vector<int>({1}));
}

TEST(Channel, CloseWakesAllReceivers) {
  Runtime runtime;
  Channel<int> channel(4);
  std::vector<absl::Status> ends(3);
  bool was_end = false;
  absl::Status status = runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      for (absl::Status& end : ends) {
        group.spawn(
            [&channel, &end]() -> Task<> { end = (co_await channel.receive().result()).status(); });
      }
      group.spawn([&]() -> Task<> {
        std::optional<int> none = co_await channel.next();
        was_end = !none.has_value();
      });
      EXPECT_TRUE(channel.try_send(7));
      channel.close();
      co_return;
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(ends[0].ok()) << "the value was there before";
  EXPECT_TRUE(absl::IsOutOfRange(ends[1])) << ends[1];
  EXPECT_TRUE(absl::IsOutOfRange(ends[2])) << ends[2];
  EXPECT_TRUE(was_end);
}

TEST(Channel, TakesValuesThatCanOnlyBeMoved) {
  Runtime runtime;
  Channel<std::unique_ptr<int>> channel(1);
  absl::Status status = runtime.run([&]() -> Task<> {
    co_await channel.send(std::make_unique<int>(5));
    std::unique_ptr<int> got = co_await channel.receive();
    EXPECT_EQ(*got, 5);
    auto full = std::make_unique<int>(1);
    EXPECT_TRUE(channel.try_send(std::move(full)));
    auto other = std::make_unique<int>(2);
    EXPECT_FALSE(channel.try_send(std::move(other)));
    EXPECT_NE(other, nullptr) << "it was not sent, so it stays";
    std::optional<std::unique_ptr<int>> taken = channel.try_receive();
    EXPECT_EQ(**taken, 1);
    EXPECT_FALSE(channel.try_receive().has_value());
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Channel, ASenderThatIsStoppedKeepsItsValue) {
  Runtime runtime;
  Channel<std::unique_ptr<int>> channel(0);
  absl::Status status = runtime.run([&]() -> Task<> {
    auto send = channel.send(std::make_unique<int>(5));
    const absl::Status sent = co_await within(absl::Nanoseconds(1), std::move(send)).result();
    EXPECT_TRUE(absl::IsDeadlineExceeded(sent)) << sent;
    auto other = channel.send(std::make_unique<int>(6));
    channel.close();
    const absl::Status refused = co_await other.result();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_EQ(*other.value(), 6);
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(channel.size(), 0u);
}

TEST(Channel, ValuesThatNobodyReceivedGoWithIt) {
  auto value = std::make_shared<int>(1);
  {
    Channel<std::shared_ptr<int>> channel(10);
    EXPECT_TRUE(channel.try_send(value));
    EXPECT_TRUE(channel.try_send(value));
    EXPECT_EQ(value.use_count(), 3);
  }
  EXPECT_EQ(value.use_count(), 1);
}

TEST(Channel, AReceiveThatIsStoppedTakesNothing) {
  Runtime runtime;
  Channel<int> channel(4);
  absl::Status first;
  absl::Status second;
  (void)runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> {
        first = (co_await channel.receive().result()).status();
        second = (co_await channel.receive().result()).status();
      });
      group.stop();
      EXPECT_TRUE(channel.try_send(1));
      group.stop();
      co_return;
    });
  });
  EXPECT_TRUE(absl::IsCancelled(first)) << first;
  EXPECT_TRUE(absl::IsCancelled(second)) << second;
  EXPECT_EQ(channel.try_receive(), 1);
}

TEST(Channel, AStopAfterTheValueIsTooLate) {
  Runtime runtime;
  Channel<int> channel(4);
  absl::StatusOr<int> got;
  (void)runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> { got = co_await channel.receive().result(); });
      EXPECT_TRUE(channel.try_send(1));
      group.stop();
      group.stop();
      co_return;
    });
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, 1);
}

TEST(Channel, AStopAfterThePlaceIsTooLateForASender) {
  Runtime runtime;
  Channel<int> channel(1);
  EXPECT_TRUE(channel.try_send(1));
  absl::Status sent = absl::UnknownError("never");
  (void)runtime.run([&]() -> Task<> {
    co_await group([&](Group& group) -> Task<> {
      group.spawn([&]() -> Task<> { sent = co_await channel.send(2).result(); });
      EXPECT_EQ(channel.try_receive(), 1);
      group.stop();
      channel.close();
      co_return;
    });
  });
  EXPECT_TRUE(sent.ok()) << sent;
  EXPECT_EQ(channel.try_receive(), 2) << "what was sent before the close is not lost";
  EXPECT_FALSE(channel.try_receive().has_value());
}

TEST(Channel, AnyLosesNoValue) {
  Runtime runtime;
  Channel<int> left(4);
  Channel<int> right(4);
  std::vector<int> got;
  absl::Status status = runtime.run([&]() -> Task<> {
    auto pick = [&]() -> Task<> {
      auto first = co_await any(left.receive(), right.receive());
      got.push_back(first.index() == 0 ? std::get<0>(first) : std::get<1>(first));
    };
    auto give = [&]() -> Task<> {
      EXPECT_TRUE(left.try_send(1));
      EXPECT_TRUE(right.try_send(2));  // both have completed now
      co_return;
    };
    co_await all(pick(), give());
    EXPECT_EQ(right.size(), 1u);
    co_await pick();
    EXPECT_TRUE(right.try_send(3));
    EXPECT_TRUE(left.try_send(4));
    co_await pick();  // both are there at once
    co_await pick();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(got, std::vector<int>({1, 2, 4, 3}));
}

TEST(Channel, AValueThatAnyHasNoUseForGoesToTheNext) {
  Runtime runtime;
  Channel<int> channel(4);
  AsyncEvent event;
  int got = 0;
  absl::Status status = runtime.run([&]() -> Task<> {
    auto first = [&]() -> Task<> {
      auto which = co_await any(event.wait(), channel.receive());
      EXPECT_EQ(which.index(), 0u);
    };
    auto second = [&]() -> Task<> { got = co_await channel.receive(); };
    auto give = [&]() -> Task<> {
      event.set();
      EXPECT_TRUE(channel.try_send(7));
      channel.close();  // the second one must not be told that this was all
      co_return;
    };
    co_await all(first(), second(), give());
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(got, 7);
}

TEST(Channel, ASendThatAnyHasNoUseForSendsNothing) {
  Runtime runtime;
  Channel<int> channel(1);
  AsyncEvent event;
  EXPECT_TRUE(channel.try_send(0));
  absl::Status status = runtime.run([&]() -> Task<> {
    auto first = [&]() -> Task<> {
      auto which = co_await any(event.wait(), channel.send(1));
      EXPECT_EQ(which.index(), 0u);
    };
    auto second = [&]() -> Task<> { co_await channel.send(2); };
    auto give = [&]() -> Task<> {
      event.set();
      EXPECT_EQ(channel.try_receive(), 0);
      co_return;
    };
    co_await all(first(), second(), give());
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(channel.try_receive(), 2);
  EXPECT_FALSE(channel.try_receive().has_value());
}

TEST(Channel, AllThatFailsTakesNothing) {
  Runtime runtime;
  Channel<int> channel(2);
  EXPECT_TRUE(channel.try_send(1));
  auto fails = []() -> Task<> { co_await absl::NotFoundError("no"); };
  absl::Status status =
      runtime.run([&]() -> Task<> { co_await all(channel.receive(), channel.send(2), fails()); });
  EXPECT_EQ(status, absl::NotFoundError("no"));
  EXPECT_EQ(channel.try_receive(), 1);
  EXPECT_FALSE(channel.try_receive().has_value());
}

TEST(Channel, AShutdownEndsThoseThatWait) {
  Runtime runtime;
  Channel<int> empty(1);
  Channel<int> full(0);
  Job receiver = runtime.spawn([&]() -> Task<> { co_await empty.receive(); });
  Job sender = runtime.spawn([&]() -> Task<> { co_await full.send(1); });
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(absl::IsCancelled(receiver.wait())) << receiver.wait();
  EXPECT_TRUE(absl::IsCancelled(sender.wait())) << sender.wait();
}

TEST(Channel, AllocatesNothingInSteadyState) {
  if (!Heap::is_counted()) GTEST_SKIP() << "a sanitizer has its own malloc()";
  Runtime runtime({.dispatch = Dispatch::poll_thread});
  Channel<int> channel(2);
  std::uint64_t allocations = ~std::uint64_t{0};  // the fewest of some rounds: others allocate too
  absl::Status status = runtime.run([&]() -> Task<> {
    auto produce = [&]() -> Task<> {
      for (int i = 0; i < 5000; ++i) co_await channel.send(i);
    };
    auto consume = [&]() -> Task<> {
      for (int round = 0; round < 5; ++round) {
        const ScopedHeapCount count;
        for (int i = 0; i < 1000; ++i) (void)co_await channel.receive();
        allocations = std::min(allocations, count.so_far().allocations);
      }
    };
    co_await all(produce(), consume());
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(allocations, 0u);
}

// Many tasks, in orders of their own, and a thread: each value comes out once.
void run_many_to_many(std::size_t capacity) {
  constexpr int kSenders = 3;
  constexpr int kReceivers = 3;
  constexpr int kEach = 60;
  Runtime runtime({.workers = 3, .dispatch = Dispatch::workers});
  Channel<std::unique_ptr<int>> channel(capacity);
  std::vector<std::atomic<int>> seen(kSenders * kEach);
  std::vector<Job> senders;
  std::vector<Job> receivers;
  for (int i = 0; i < kReceivers; ++i) {
    receivers.push_back(runtime.spawn([&]() -> Task<> {
      while (std::optional<std::unique_ptr<int>> number = co_await channel.next()) {
        seen[static_cast<std::size_t>(**number)].fetch_add(1);
      }
    }));
  }
  for (int i = 0; i < kSenders; ++i) {
    senders.push_back(runtime.spawn(
        [&](int first) -> Task<> {
          for (int k = 0; k < kEach; ++k) co_await channel.send(std::make_unique<int>(first + k));
        },
        i* kEach));
  }
  for (const Job& job : senders) EXPECT_TRUE(job.wait().ok());
  channel.close();
  for (const Job& job : receivers) EXPECT_TRUE(job.wait().ok());
  for (const std::atomic<int>& count : seen) EXPECT_EQ(count.load(), 1);
}

TEST(Channel, ManyToManyAcrossOrders) { run_many_to_many(4); }
TEST(Channel, ManyToManyRendezvous) { run_many_to_many(0); }

// Receivers are stopped at any moment, and choose between two channels: what they have not got is
// still there.
void run_with_stops(std::size_t capacity) {
  Runtime runtime({.workers = 3, .dispatch = Dispatch::workers});
  for (int round = 0; round < 20; ++round) {
    Channel<int> left(capacity);
    Channel<int> right(capacity);
    std::atomic<int> sent = 0;
    std::atomic<int> received = 0;
    std::vector<Job> jobs;
    for (int i = 0; i < 2; ++i) {
      jobs.push_back(runtime.spawn([&]() -> Task<> {
        for (;;) {
          auto which = co_await any(left.send(1), right.send(2));
          sent.fetch_add(which.index() == 0 ? 1 : 2);
        }
      }));
      jobs.push_back(runtime.spawn([&]() -> Task<> {
        for (;;) {
          auto which = co_await any(right.receive(), left.receive());
          received.fetch_add(which.index() == 0 ? std::get<0>(which) : std::get<1>(which));
        }
      }));
    }
    std::thread other([&] {
      for (int i = 0; i < 20; ++i) {
        if (left.try_send(1)) sent.fetch_add(1);
        if (std::optional<int> got = right.try_receive()) received.fetch_add(*got);
      }
    });
    for (const Job& job : jobs) job.stop();
    for (const Job& job : jobs) EXPECT_TRUE(absl::IsCancelled(job.wait())) << job.wait();
    other.join();
    while (std::optional<int> rest = left.try_receive()) received.fetch_add(*rest);
    while (std::optional<int> rest = right.try_receive()) received.fetch_add(*rest);
    ASSERT_EQ(sent.load(), received.load());
  }
}

TEST(Channel, StopsAtAnyMomentLoseNothing) { run_with_stops(2); }
TEST(Channel, StopsAtAnyMomentLoseNothingInARendezvous) { run_with_stops(0); }

}  // namespace
}  // namespace epore
