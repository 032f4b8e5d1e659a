// Many threads at once, on the real kernel: a kernel that is shared between tests and threads would
// order what must be ordered by `poll/` itself, and hide races from ThreadSanitizer.

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/barrier.h"
#include "absl/synchronization/mutex.h"
#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

constexpr Token kToken{7};

class StressTest : public EngineTest {
 protected:
  StressTest() : EngineTest(Kernel::real()), waker_(make_waker(kToken)) {}

  const Waker waker_;
};
EPORE_FOR_EVERY_ENGINE(StressTest);

// The plain word is the point: a race here is reported by ThreadSanitizer.
TEST_P(StressTest, WhatHappenedBeforeTheWakeIsVisibleAfterThePoll) {
  for (const absl::Duration timeout : {absl::InfiniteDuration(), kHangGuard}) {
    int word = 0;
    std::thread waking([&] {
      word = 42;
      EXPECT_THAT(waker_.wake(), IsOk());
    });
    Events events(8);
    EXPECT_THAT(poll_.poll(events, timeout), IsOk());
    EXPECT_EQ(events.size(), 1u);
    EXPECT_EQ(word, 42);
    waking.join();
  }
}

TEST_P(StressTest, WhatHappenedBeforeARegistrationIsVisibleToWhoeverGetsItsEvent) {
  for (const absl::Duration timeout : {absl::InfiniteDuration(), kHangGuard}) {
    const SocketPair pair = unix_pair();
    const int fd = pair.a.get();
    const Interest interest = Interest::writable().one_shot();
    int word = 0;
    std::thread registering([&] {
      word = 42;
      EXPECT_THAT(registry_->register_fd(fd, Token{1}, interest), IsOk());
    });
    Events events(8);
    EXPECT_THAT(poll_.poll(events, timeout), IsOk());
    EXPECT_EQ(events.size(), 1u);
    EXPECT_EQ(word, 42);
    registering.join();
    std::thread rearming([&] {
      word = 43;
      EXPECT_THAT(registry_->reregister_fd(fd, Token{1}, interest), IsOk());
    });
    EXPECT_THAT(poll_.poll(events, timeout), IsOk());
    EXPECT_EQ(events.size(), 1u);
    EXPECT_EQ(word, 43);
    rearming.join();
    EXPECT_THAT(registry_->deregister_fd(fd), IsOk());
  }
}

// Each producer stores, then wakes; the poll thread must see every item although wakes merge.
TEST_P(StressTest, NoItemOfManyProducersIsMissed) {
  constexpr int kProducers = 8;
  constexpr int kItems = 250;
  std::atomic<int> produced{0};
  absl::Barrier* const start = new absl::Barrier(kProducers + 1);
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, start] {
      if (start->Block()) delete start;
      for (int i = 0; i < kItems; ++i) {
        produced.fetch_add(1, std::memory_order_relaxed);
        ASSERT_THAT(waker_.wake(), IsOk());
      }
    });
  }
  if (start->Block()) delete start;
  Events events(8);
  while (produced.load(std::memory_order_relaxed) < kProducers * kItems) {
    ASSERT_THAT(poll_.poll(events, kHangGuard), IsOk());
    ASSERT_FALSE(events.empty()) << "no wake came after the last item";
  }
  for (std::thread& producer : producers) producer.join();
}

// Each thread has a waker of its own and goes on only when its wake was told.
TEST_P(StressTest, NoWakeOfEightWakersIsMissed) {
  constexpr std::uint64_t kThreads = 8;
  constexpr int kWakes = 50;
  std::vector<std::atomic<int>> told(kThreads);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const Waker waker = make_waker(Token{100 + t});
      for (int i = 0; i < kWakes; ++i) {
        ASSERT_THAT(waker.wake(), IsOk());
        told[t].wait(i);
      }
    });
  }
  Events events(3);
  for (std::uint64_t all = 0; all < kThreads * kWakes;) {
    ASSERT_THAT(poll_.poll(events, kHangGuard), IsOk());
    ASSERT_FALSE(events.empty()) << "no wake came after " << all;
    for (const Event& event : events) {
      ++all;
      std::atomic<int>& own = told[event.token.value - 100];
      own.fetch_add(1);
      own.notify_one();
    }
  }
  for (std::thread& thread : threads) thread.join();
}

// Strict alternation: every single wake must end exactly the poll that waits for it.
TEST_P(StressTest, TwoThreadsThatWakeEachOtherNeverHang) {
  constexpr int kRounds = 300;
  Poll other_poll = make_poll();
  absl::StatusOr<Waker> other = Waker::create(other_poll.registry(), kToken);
  ASSERT_THAT(other, IsOk());
  std::thread thread([&] {
    for (int i = 0; i < kRounds; ++i) {
      expect_event(other_poll, kToken, Readiness::readable());
      EXPECT_THAT(waker_.wake(), IsOk());
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    EXPECT_THAT(other->wake(), IsOk());
    expect_event(poll_, kToken, Readiness::readable());
  }
  thread.join();
}

TEST_P(StressTest, WakersMayComeAndGoWhileAnotherThreadPolls) {
  std::atomic<bool> is_done{false};
  std::thread others([&] {
    for (int i = 0; i < 200; ++i) {
      const Waker waker = make_waker(Token{8});
      EXPECT_THAT(waker.wake(), IsOk());
    }
    is_done.store(true, std::memory_order_relaxed);
    EXPECT_THAT(waker_.wake(), IsOk());
  });
  Events events(8);
  while (!is_done.load(std::memory_order_relaxed)) {
    ASSERT_THAT(poll_.poll(events, kHangGuard), IsOk());
    for (const Event& event : events) EXPECT_TRUE(event.token == kToken || event.token == Token{8});
  }
  others.join();
}

// One connection's life: registered, served through a one-shot by a worker, deregistered.
TEST_P(StressTest, WorkersThatRearmOneShotsMissNoMessage) {
  constexpr int kConnections = 8;
  constexpr int kMessages = 40;
  constexpr int kWorkers = 2;
  struct Queue {
    absl::Mutex mutex;
    std::vector<Token> ready ABSL_GUARDED_BY(mutex);
    bool is_over ABSL_GUARDED_BY(mutex) = false;
  } queue;
  std::vector<SocketPair> pairs;
  for (int i = 0; i < kConnections; ++i) pairs.push_back(unix_pair());
  std::atomic<int> received{0};
  const Waker waker = make_waker(Token{99});

  const auto serve = [&](Token token) {
    const SocketPair& pair = pairs[token.value];
    const int messages = static_cast<int>(read_available(pair.a.get()).size());
    // The peer sends the next message when it has seen that this one arrived.
    const int total = received.fetch_add(messages) + messages;
    for (int i = 0; i < messages; ++i) write_all(pair.a.get(), "a");
    ASSERT_THAT(registry_->reregister_fd(pair.a.get(), token, Interest::readable().one_shot()),
                IsOk());
    if (total == kConnections * kMessages) {
      ASSERT_THAT(waker.wake(), IsOk());
    }
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < kWorkers; ++w) {
    threads.emplace_back([&] {
      for (;;) {
        queue.mutex.LockWhen(absl::Condition(
            +[](Queue* q) ABSL_EXCLUSIVE_LOCKS_REQUIRED(q->mutex) {
              return q->is_over || !q->ready.empty();
            },
            &queue));
        if (queue.ready.empty()) {
          queue.mutex.Unlock();
          return;
        }
        const Token token = queue.ready.back();
        queue.ready.pop_back();
        queue.mutex.Unlock();
        serve(token);
      }
    });
  }
  threads.emplace_back([&] {  // all peers
    for (std::uint64_t i = 0; i < kConnections; ++i) {
      EXPECT_THAT(
          registry_->register_fd(pairs[i].a.get(), Token{i}, Interest::readable().one_shot()),
          IsOk());
    }
    for (int m = 0; m < kMessages; ++m) {
      for (SocketPair& pair : pairs) write_all(pair.b.get(), "m");
      for (SocketPair& pair : pairs) read_some(pair.b.get());
    }
  });

  Events events(3);
  while (received.load() < kConnections * kMessages) {
    ASSERT_THAT(poll_.poll(events, kHangGuard), IsOk());
    ASSERT_FALSE(events.empty()) << "hung with " << received.load() << " messages";
    absl::MutexLock lock(&queue.mutex);
    for (const Event& event : events) {
      if (event.token != Token{99}) queue.ready.push_back(event.token);
    }
  }
  {
    absl::MutexLock lock(&queue.mutex);
    queue.is_over = true;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(received.load(), kConnections * kMessages);
}

// Several threads register, reregister, deregister and close while one polls. A token names the
// life of a registration, so an event after its end is seen at once.
TEST_P(StressTest, ChurnFromManyThreadsKeepsContractFour) {
  constexpr int kThreads = 3;
  constexpr std::uint64_t kLives = 150;
  // Per thread: the lives below this had ended (deregistered) at some moment before the load.
  std::vector<std::atomic<std::uint64_t>> ended(kThreads);
  std::atomic<int> running{kThreads};
  const Waker waker = make_waker(Token{0});
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t life = 1; life <= kLives; ++life) {
        const SocketPair pair = unix_pair();
        const Token token{static_cast<std::uint64_t>(t) << 32 | life};
        const int fd = pair.a.get();
        EXPECT_THAT(registry_->register_fd(fd, token, Interest::writable().level()), IsOk());
        EXPECT_THAT(registry_->reregister_fd(fd, token, Interest::writable()), IsOk());
        EXPECT_THAT(registry_->deregister_fd(fd), IsOk());
        ended[t].store(life);
      }
      if (running.fetch_sub(1) == 1) {
        EXPECT_THAT(waker.wake(), IsOk());
      }
    });
  }
  Events events(64);
  while (running.load() > 0) {
    std::vector<std::uint64_t> before;
    for (const auto& lives : ended) before.push_back(lives.load());
    ASSERT_THAT(poll_.poll(events, kHangGuard), IsOk());
    for (const Event& event : events) {
      if (event.token == Token{0}) continue;
      const std::uint64_t thread = event.token.value >> 32;
      ASSERT_LT(thread, std::uint64_t{kThreads});
      EXPECT_GT(event.token.value & 0xffff'ffff, before[thread]) << "told after deregister_fd";
    }
  }
  for (std::thread& thread : threads) thread.join();
  for (const Event& event : take_events(poll_)) EXPECT_EQ(event.token, Token{0});
}

}  // namespace
}  // namespace epore
