// Runtime::watch(): callbacks for descriptors that belong to somebody else.

#include "epore/runtime/watch.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/hold.h"
#include "tests/support/open_fds.h"
#include "tests/support/sockets.h"

namespace epore {
namespace {

using Ready = absl::StatusOr<Readiness>;

class WatchTest : public RuntimeTest {};

INSTANTIATE_TEST_SUITE_P(Everywhere, WatchTest, testing::ValuesIn(all_modes()), mode_name);

// A descriptor that is readable as often as it was added to.
class Counter {
 public:
  Counter() : fd_(::eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)) {}
  int fd() const { return fd_.get(); }
  void add(std::uint64_t count) { ASSERT_EQ(::write(fd(), &count, sizeof count), 8); }
  bool take() {
    std::uint64_t one = 0;
    return ::read(fd(), &one, sizeof one) == 8;
  }
  bool is_open() const { return ::fcntl(fd(), F_GETFD) >= 0; }
  void close() { fd_.reset(); }

 private:
  OwnedFd fd_;
};

// Counts calls, and waits for them.
class Calls {
 public:
  void add() {
    const absl::MutexLock lock(&mutex_);
    ++count_;
  }
  void await(int count) {
    const absl::MutexLock lock(&mutex_);
    const auto have = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return count_ >= count; };
    mutex_.Await(absl::Condition(&have));
  }
  int count() const {
    const absl::MutexLock lock(&mutex_);
    return count_;
  }

 private:
  mutable absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Returns when what was pushed to the order before has run.
void fence(const Order& order) {
  absl::Notification reached;
  ASSERT_TRUE(order.post([&] { reached.Notify(); }).ok());
  reached.WaitForNotification();
}

TEST_P(WatchTest, CallsAgainUntilAllIsRead) {
  Counter counter;
  Calls calls;
  Runtime runtime(options());
  auto watch = runtime.watch(counter.fd(), Interest::readable(), [&](Watch& self, Ready ready) {
    ASSERT_TRUE(ready.ok()) << ready.status();
    EXPECT_EQ(*ready, Readiness::readable());
    EXPECT_EQ(self.fd(), counter.fd());
    EXPECT_TRUE(counter.take());
    calls.add();
  });
  ASSERT_TRUE(watch.ok()) << watch.status();
  EXPECT_TRUE(watch->is_active());
  counter.add(3);
  calls.await(3);
  counter.add(2);
  calls.await(5);
  fence(runtime);
  EXPECT_EQ(calls.count(), 5);
}

TEST_P(WatchTest, WhatIsReadyBeforeItBeginsIsTold) {
  Counter counter;
  counter.add(1);
  Calls calls;
  Runtime runtime(options());
  auto watch = runtime.watch(counter.fd(), Interest::readable(), [&](Watch&, Ready) {
    if (counter.take()) calls.add();
  });
  ASSERT_TRUE(watch.ok());
  calls.await(1);
}

TEST_P(WatchTest, WhatComesDuringACallIsOneCallAfterIt) {
  Counter counter;
  Calls calls;
  absl::Notification in_call;
  absl::Notification go_on;
  std::atomic<bool> is_in_call{false};
  Runtime runtime(options());
  auto watch = runtime.watch(counter.fd(), Interest::readable(), [&](Watch&, Ready) {
    EXPECT_FALSE(is_in_call.exchange(true)) << "two calls at a time";
    while (counter.take()) continue;
    if (calls.count() == 0) {
      in_call.Notify();
      go_on.WaitForNotification();
    }
    is_in_call = false;
    calls.add();
  });
  ASSERT_TRUE(watch.ok());
  counter.add(1);
  in_call.WaitForNotification();
  counter.add(1);
  counter.add(1);
  go_on.Notify();
  calls.await(2);
  fence(runtime);
  EXPECT_EQ(calls.count(), 2);
}

TEST_P(WatchTest, Timerfd) {
  const OwnedFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  Calls calls;
  Runtime runtime(options());
  auto watch = runtime.watch(timer.get(), Interest::readable(), [&](Watch&, Ready) {
    std::uint64_t times = 0;
    if (::read(timer.get(), &times, sizeof times) == 8) calls.add();
  });
  ASSERT_TRUE(watch.ok());
  const itimerspec soon = {{}, {0, 1}};
  ASSERT_EQ(::timerfd_settime(timer.get(), 0, &soon, nullptr), 0);
  calls.await(1);
}

TEST_P(WatchTest, AnInterestMayChangeAndPause) {
  SocketPair pair = unix_pair();
  const int fd = pair.a.get();
  Calls readable;
  Calls writable;
  Runtime runtime(options());
  const Order order = runtime.order();
  const Interest reads = Interest::readable();
  auto watch = runtime.watch(
      fd, reads,
      [&](Watch& self, Ready ready) {
        ASSERT_TRUE(ready.ok());
        if (ready->is_readable()) {
          readable.add();
          (void)read_available(fd);
        }
        if (ready->is_writable()) {
          writable.add();
          self.set_interest(Interest::readable());
        }
      },
      order);
  ASSERT_TRUE(watch.ok());
  write_all(pair.b.get(), "x");
  readable.await(1);
  EXPECT_EQ(writable.count(), 0);
  watch->set_interest(Interest::writable());
  writable.await(1);
  write_all(pair.b.get(), "x");
  readable.await(2);
  watch->set_interest(reads - reads);
  fence(order);
  const int before = readable.count();
  write_all(pair.b.get(), "x");
  fence(runtime);
  fence(order);
  EXPECT_EQ(readable.count(), before) << "it pauses";
  watch->set_interest(reads | Interest::writable());
  readable.await(before + 1);
  writable.await(2);
}

TEST_P(WatchTest, AnInterestThatIsReplacedInTheOrderIsNotToldAnyMore) {
  SocketPair pair = unix_pair();
  Calls calls;
  Runtime runtime(options());
  const Order order = runtime.order();
  std::atomic<bool> is_writable{false};
  auto watch = runtime.watch(
      pair.a.get(), Interest::readable(),
      [&](Watch& self, Ready ready) {
        ASSERT_TRUE(ready.ok());
        EXPECT_FALSE(ready->is_readable());
        is_writable = ready->is_writable();
        self.cancel();
        calls.add();
      },
      order);
  ASSERT_TRUE(watch.ok());
  // The event comes while the order is in a closure, which replaces the interest.
  absl::Notification is_held;
  absl::Notification has_event;
  ASSERT_TRUE(order
                  .post([&] {
                    is_held.Notify();
                    has_event.WaitForNotification();
                    watch->set_interest(Interest::writable());
                  })
                  .ok());
  is_held.WaitForNotification();
  write_all(pair.b.get(), "x");
  if (GetParam().dispatch == Dispatch::workers) fence(runtime);  // with the others it would wait
  has_event.Notify();
  calls.await(1);
  EXPECT_TRUE(is_writable);
}

TEST_P(WatchTest, AHangUpIsToldAndLasts) {
  SocketPair pair = unix_pair();
  Calls calls;
  Runtime runtime(options());
  auto watch = runtime.watch(pair.a.get(), Interest::readable(), [&](Watch& self, Ready ready) {
    ASSERT_TRUE(ready.ok());
    EXPECT_TRUE(ready->is_readable());
    EXPECT_TRUE(ready->is_read_closed());
    EXPECT_TRUE(ready->is_write_closed());
    const bool is_last = calls.count() == 2;
    if (is_last) self.cancel();
    calls.add();
  });
  ASSERT_TRUE(watch.ok());
  pair.b.reset();
  calls.await(3);
  fence(runtime);
  EXPECT_EQ(calls.count(), 3);
}

TEST_P(WatchTest, NothingIsCalledAfterACancelInItsOrder) {
  Counter counter;
  std::atomic<bool> is_cancelled{false};
  Calls calls;
  Runtime runtime(options());
  const Order order = runtime.order();
  auto watch = runtime.watch(
      counter.fd(), Interest::readable(),
      [&](Watch&, Ready) {
        EXPECT_TRUE(order.is_current());
        EXPECT_FALSE(is_cancelled);
        calls.add();
      },
      order);
  ASSERT_TRUE(watch.ok());
  counter.add(1);  // and is never taken, so it calls on and on
  calls.await(3);
  absl::Notification done;
  ASSERT_TRUE(order
                  .post([&] {
                    EXPECT_TRUE(watch->cancel());
                    is_cancelled = true;
                    EXPECT_FALSE(watch->cancel());
                    EXPECT_FALSE(watch->is_active());
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  fence(order);
  fence(runtime);
  EXPECT_TRUE(counter.is_open());
}

TEST_P(WatchTest, OneOfManyCancelsEndsIt) {
  Counter counter;
  counter.add(1);
  Runtime runtime(options());
  for (int round = 0; round < 20; ++round) {
    auto watch = runtime.watch(counter.fd(), Interest::readable(), [](Watch&, Ready) {});
    ASSERT_TRUE(watch.ok()) << watch.status();
    std::atomic<int> ended{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { ended += watch->cancel() ? 1 : 0; });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(ended, 1);
  }
}

// Otherwise the owner could close the descriptor, and the rearming would meet a stranger's.
TEST_P(WatchTest, ACancelWaitsForTheSystemCallThatRearms) {
  if (GetParam().selector != "epoll") GTEST_SKIP() << "needs the calls of epoll";
  auto counter = std::make_unique<Counter>();
  counter->add(1);
  const int fd = counter->fd();
  Calls calls;
  Runtime runtime(options());
  const Order order = runtime.order();
  absl::Notification may_return;
  auto watch = runtime.watch(
      fd, Interest::readable(),
      [&](Watch&, Ready) {
        calls.add();
        may_return.WaitForNotification();
      },
      order);
  ASSERT_TRUE(watch.ok());
  calls.await(1);
  Hold rearming(kernel_, KernelCall::kEpollCtl, Hold::before);
  may_return.Notify();
  rearming.await();
  absl::Notification parks;
  absl::Notification cancelled;
  std::atomic<std::thread::id> canceller_id{};
  kernel_.before(KernelCall::kPark, [&](const FaultKernel::Call&) {
    if (std::this_thread::get_id() == canceller_id.load() && !parks.HasBeenNotified()) {
      parks.Notify();
    }
  });
  std::thread canceller([&] {
    canceller_id = std::this_thread::get_id();
    EXPECT_TRUE(watch->cancel());
    counter->close();
    cancelled.Notify();
  });
  parks.WaitForNotification();
  EXPECT_FALSE(cancelled.HasBeenNotified());
  rearming.release();
  canceller.join();
  fence(order);
  EXPECT_EQ(calls.count(), 1) << "an event behind the cancel";
  EXPECT_TRUE(runtime.shutdown().ok());
  kernel_.before(KernelCall::kPark, nullptr);
}

TEST_P(WatchTest, WhatCannotBeWatchedIsRefused) {
  Counter counter;
  Runtime runtime(options());
  Runtime other(options());
  const Watch::Callback never;
  const auto no_call = [](Watch&, Ready) { ADD_FAILURE(); };
  const auto status_of = [&](int fd) {
    return runtime.watch(fd, Interest::readable(), no_call).status();
  };
  const OwnedFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(errno_of(status_of(file.get())), EPERM);
  EXPECT_TRUE(absl::IsPermissionDenied(status_of(file.get())));
  EXPECT_EQ(status_of(file.get()).message(),
            "watch(fd " + std::to_string(file.get()) +
                "): files and directories are always ready, and cannot be watched: EPERM "
                "(Operation not permitted)");
  EXPECT_EQ(errno_of(status_of(-1)), EBADF);
  EXPECT_EQ(errno_of(status_of(1 << 20)), EBADF);
  auto watch = runtime.watch(counter.fd(), Interest::readable(), no_call);
  ASSERT_TRUE(watch.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(status_of(counter.fd()))) << status_of(counter.fd());
  EXPECT_TRUE(watch->cancel());
  EXPECT_TRUE(
      absl::IsInvalidArgument(runtime.watch(counter.fd(), Interest::readable(), nullptr).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      runtime.watch(counter.fd(), Interest::readable(), no_call, other.order()).status()));
  EXPECT_TRUE(status_of(counter.fd()).ok()) << "it is free again";
  Watch none;
  EXPECT_FALSE(none.cancel());
  none.set_interest(Interest::readable());
  EXPECT_EQ(none.fd(), -1);
}

TEST_P(WatchTest, TwoReactorsRefuseASecondWatchAsWell) {
  RuntimeOptions two = options();
  two.reactors = 2;
  Counter counters[4];
  Runtime runtime(two);
  for (Counter& counter : counters) {
    ASSERT_TRUE(runtime.watch(counter.fd(), Interest::readable(), [](Watch&, Ready) {}).ok());
  }
  for (Counter& counter : counters) {
    EXPECT_TRUE(absl::IsAlreadyExists(
        runtime.watch(counter.fd(), Interest::readable(), [](Watch&, Ready) {}).status()));
  }
}

TEST_P(WatchTest, ADescriptorThatIsClosedWhileItIsWatchedIsTheLastCall) {
  auto counter = std::make_unique<Counter>();
  absl::Notification told;
  Runtime runtime(options());
  auto watch = runtime.watch(counter->fd(), Interest::readable(), [&](Watch& self, Ready ready) {
    if (ready.ok()) {
      EXPECT_TRUE(counter->take());
      counter->close();
      return;
    }
    EXPECT_EQ(errno_of(ready.status()), EBADF) << ready.status();
    EXPECT_FALSE(self.is_active());
    EXPECT_FALSE(self.cancel());
    told.Notify();
  });
  ASSERT_TRUE(watch.ok());
  counter->add(1);
  told.WaitForNotification();
}

TEST_P(WatchTest, AQueueThatRefusesToGoOnIsTheLastCall) {
  if (GetParam().selector != "epoll") GTEST_SKIP() << "needs the calls of epoll";
  Counter counter;
  absl::Notification told;
  Runtime runtime(options());
  auto watch = runtime.watch(counter.fd(), Interest::readable(), [&](Watch&, Ready ready) {
    if (ready.ok()) {
      kernel_.fail(KernelCall::kEpollCtl, ENOMEM);
      return;
    }
    EXPECT_TRUE(absl::IsResourceExhausted(ready.status())) << ready.status();
    told.Notify();
  });
  ASSERT_TRUE(watch.ok());
  counter.add(1);
  told.WaitForNotification();
  EXPECT_FALSE(watch->is_active());
}

TEST_P(WatchTest, ACallbackThatThrowsEndsItsWatch) {
  Counter counter;
  counter.add(1);
  auto alive = std::make_shared<absl::Notification>();
  const std::weak_ptr<absl::Notification> watched = alive;
  Runtime runtime(options());
  const Order order = runtime.order();
  auto watch = runtime.watch(
      counter.fd(), Interest::readable(),
      [alive = std::move(alive)](Watch&, Ready) { throw std::runtime_error("no"); }, order);
  ASSERT_TRUE(watch.ok());
  while (watch->is_active()) fence(order);
  fence(order);
  EXPECT_TRUE(watched.expired()) << "what it captured is destroyed";
  EXPECT_EQ(runtime.counters().callback_exceptions, 1u);
}

TEST_P(WatchTest, ACallbackMayHoldItsOwnHandle) {
  Counter counter;
  counter.add(1);
  absl::Notification destroyed;
  struct Told {
    explicit Told(absl::Notification& n) : n_(&n) {}
    Told(Told&& other) noexcept : n_(std::exchange(other.n_, nullptr)) {}
    ~Told() {
      if (n_ != nullptr) n_->Notify();
    }
    absl::Notification* n_;
  };
  Runtime runtime(options());
  Watch kept;
  absl::Notification has_handle;
  auto watch =
      runtime.watch(counter.fd(), Interest::readable(),
                    [&, own = Watch(), told = Told(destroyed)](Watch& self, Ready) mutable {
                      has_handle.WaitForNotification();
                      own = self;
                      own.cancel();
                    });
  ASSERT_TRUE(watch.ok());
  kept = *watch;
  EXPECT_EQ(kept, *watch);
  has_handle.Notify();
  destroyed.WaitForNotification();
}

TEST_P(WatchTest, AShutdownEndsWatchesAndClosesNothing) {
  Counter quiet;
  Counter busy;
  busy.add(1);
  auto alive = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = alive;
  Calls calls;
  Watch handle;
  {
    Runtime runtime(options());
    const auto call = [&calls, alive = std::move(alive)](Watch&, Ready) { calls.add(); };
    ASSERT_TRUE(runtime.watch(quiet.fd(), Interest::readable(), call).ok());
    auto watch = runtime.watch(busy.fd(), Interest::readable(), call, runtime.order());
    ASSERT_TRUE(watch.ok());
    handle = *watch;
    calls.await(1);
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_FALSE(handle.is_active());
    EXPECT_FALSE(handle.cancel());
    EXPECT_TRUE(absl::IsFailedPrecondition(
        runtime.watch(quiet.fd(), Interest::readable(), [](Watch&, Ready) {}).status()));
  }
  EXPECT_TRUE(watched.expired());
  EXPECT_TRUE(quiet.is_open());
  EXPECT_TRUE(busy.is_open());
  handle.set_interest(Interest::writable());
  EXPECT_FALSE(handle.cancel());
}

TEST_P(WatchTest, WatchesGoOnWhileConnectionsDrain) {
  Counter counter;
  Calls calls;
  Observer observer;
  Runtime runtime(options());
  absl::Notification draining;
  Link link = open_link(runtime, observer, ListenOptions(), [&](Connection& c) {
    c.on_drain([&](Connection&) { draining.Notify(); });
  });
  auto watch = runtime.watch(counter.fd(), Interest::readable(), [&](Watch&, Ready) {
    if (counter.take()) calls.add();
  });
  ASSERT_TRUE(watch.ok());
  std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  draining.WaitForNotification();
  counter.add(1);
  calls.await(1);
  EXPECT_TRUE(watch->is_active());
  link.connection.close();
  link.peer.close();
  shutdown.join();
  EXPECT_FALSE(watch->is_active());
}

TEST_P(WatchTest, WhateverRacesAShutdownLeavesNothing) {
  Counter counters[8];
  for (int round = 0; round < 20; ++round) {
    Runtime runtime(options());
    std::thread user([&] {
      for (Counter& counter : counters) {
        auto watch = runtime.watch(counter.fd(), Interest::readable(), [](Watch&, Ready) {});
        if (watch.ok() && counter.fd() % 2 == 0) (void)watch->cancel();
      }
    });
    EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
    user.join();
  }
}

TEST_P(WatchTest, TenThousandWatchesLeakNothing) {
  Counter counter;
  counter.add(1);
  Runtime runtime(options());
  const ExpectNoFdLeak no_leak;
  for (int i = 0; i < 10'000; ++i) {
    auto watch = runtime.watch(counter.fd(), Interest::readable(), [](Watch&, Ready) {});
    ASSERT_TRUE(watch.ok()) << i << watch.status();
    ASSERT_TRUE(watch->cancel());
  }
}

TEST_P(WatchTest, EachCallOfTheQueueThatFailsIsTold) {
  for (const KernelCall kind : {KernelCall::kEpollCtl, KernelCall::kFstat}) {
    for (int k = 1; k < 4; ++k) {
      SCOPED_TRACE(k);
      Counter counter;
      counter.add(2);
      Calls calls;
      Runtime runtime(options());
      kernel_.fail(kind, ENOMEM, k);
      auto watch = runtime.watch(counter.fd(), Interest::readable(), [&](Watch& self, Ready ready) {
        EXPECT_TRUE(ready.ok() || errno_of(ready.status()) == ENOMEM) << ready.status();
        if (!counter.take()) self.cancel();
        calls.add();
      });
      if (watch.ok()) {
        calls.await(2);
      } else {
        EXPECT_EQ(errno_of(watch.status()), ENOMEM) << watch.status();
      }
      EXPECT_TRUE(runtime.shutdown().ok());
      kernel_.fail(kind, 0);
    }
  }
}

}  // namespace
}  // namespace epore
