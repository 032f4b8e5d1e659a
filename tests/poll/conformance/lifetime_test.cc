// Who lives how long: descriptors, their numbers, registrations, the Poll and its registries.

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "epore/poll/errno_of.h"
#include "tests/poll/conformance/engine_test.h"
#include "tests/support/open_fds.h"

namespace epore {
namespace {

constexpr Token kToken{7};

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

class LifetimeTest : public EngineTest {};
EPORE_FOR_EVERY_ENGINE(LifetimeTest);

TEST_P(LifetimeTest, DescriptorsAreBorrowed) {
  const SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  ASSERT_THAT(registry_->register_fd(pair.b.get(), kToken, Interest::readable()), IsOk());
  ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  registry_.reset();
  { const Poll gone = std::move(poll_); }
  EXPECT_TRUE(is_open(pair.a.get()));
  EXPECT_TRUE(is_open(pair.b.get()));
}

// The system may hold a file until the next poll(), which may never come.
TEST_P(LifetimeTest, WhatAnotherThreadHasClosedIsGoneBehindRelease) {
  SocketPair pair = unix_pair();
  const SocketPair other = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  ASSERT_THAT(registry_->register_fd(other.a.get(), Token{8}, Interest::readable()), IsOk());
  expect_no_events(poll_);
  std::thread([&] {
    ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
    pair.a.reset();
  }).join();
  poll_.release();
  pollfd end = {pair.b.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&end, 1, static_cast<int>(absl::ToInt64Milliseconds(kHangGuard))), 1);
  char byte;
  EXPECT_EQ(::read(pair.b.get(), &byte, 1), 0);
  write_all(other.b.get(), "x");
  expect_event(poll_, Token{8}, Readiness::readable());
}

TEST_P(LifetimeTest, ReleaseBeforeAnyPollChangesNothing) {
  const SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  poll_.release();
  poll_.release();
  write_all(pair.b.get(), "x");
  expect_event(poll_, kToken, Readiness::readable());
  Poll moved = std::move(poll_);
  poll_.release();
  poll_ = std::move(moved);
}

TEST_P(LifetimeTest, DeregisteredReadinessIsNotReported) {
  const SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::writable().level()), IsOk());
  expect_event(poll_, kToken, Readiness::writable());
  ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  expect_no_events(poll_);
}

// A stale event must not be taken for one of the number's next owner. See joyent/libuv#968.
TEST_P(LifetimeTest, AReusedNumberInOneBatchKeepsTheOldToken) {
  const SocketPair first = unix_pair();
  SocketPair second = unix_pair();
  for (const SocketPair* pair : {&first, static_cast<const SocketPair*>(&second)}) {
    write_all(pair->b.get(), "x");
  }
  ASSERT_THAT(registry_->register_fd(first.a.get(), Token{1}, Interest::readable()), IsOk());
  ASSERT_THAT(registry_->register_fd(second.a.get(), Token{2}, Interest::readable()), IsOk());
  Events events(8);
  ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
  ASSERT_EQ(events.size(), 2u);

  // The first event's handler closes the second connection, and a new one gets its number.
  const int number = second.a.get();
  ASSERT_THAT(registry_->deregister_fd(number), IsOk());
  second.a.reset();
  const SocketPair third = unix_pair();
  ASSERT_EQ(third.a.get(), number);
  ASSERT_THAT(registry_->register_fd(number, Token{3}, Interest::readable()), IsOk());

  for (const Event& event : events) EXPECT_NE(event.token, Token{3});
  ASSERT_THAT(registry_->reregister_fd(first.a.get(), Token{1}, Interest::writable().one_shot()),
              IsOk());
  expect_event(poll_, Token{1}, Readiness::writable());
  expect_no_events(poll_);
  write_all(third.b.get(), "y");
  expect_event(poll_, Token{3}, Readiness::readable());
}

// The same while the poll(2) engine has what poll(2) said in hand: it is not taken for the new
// one's, which would use up its one-shot.
TEST_P(LifetimeTest, ANumberThatIsReusedDuringPollIsNotToldTheOldReadiness) {
  SocketPair old = unix_pair();
  const int number = old.a.get();
  ASSERT_THAT(registry_->register_fd(number, Token{1}, Interest::writable()), IsOk());
  SocketPair fresh;
  kernel_.after(wait_call(), [&](const FaultKernel::Call&) {
    if (fresh.a.is_valid()) return;
    EXPECT_THAT(registry_->deregister_fd(number), IsOk());
    old.a.reset();
    fresh = unix_pair();
    EXPECT_EQ(fresh.a.get(), number);
    EXPECT_THAT(registry_->register_fd(number, Token{2}, Interest::readable().one_shot()), IsOk());
  });
  Events events(8);
  ASSERT_THAT(poll_.poll(events, absl::ZeroDuration()), IsOk());
  kernel_.after(wait_call(), nullptr);
  for (const Event& event : events) EXPECT_NE(event.token, Token{2});
  expect_no_events(poll_);
  write_all(fresh.b.get(), "x");
  expect_event(poll_, Token{2}, Readiness::readable());
}

// A descriptor that was duplicated keeps firing unless deregistered. See joyent/libuv#1099.
TEST_P(LifetimeTest, ADuplicatedDescriptorIsSilentAfterDeregisterAndClose) {
  SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  const OwnedFd duplicate(::fcntl(pair.a.get(), F_DUPFD_CLOEXEC, 0));
  ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  pair.a.reset();
  write_all(pair.b.get(), "x");
  expect_no_events(poll_);
}

// What the comment of Registry warns of.
TEST_P(LifetimeTest, AClosedDescriptorCannotBeTakenOutAnyMore) {
  SocketPair pair = unix_pair();
  const int number = pair.a.get();
  ASSERT_THAT(registry_->register_fd(number, kToken, Interest::readable()), IsOk());
  const OwnedFd duplicate(::fcntl(number, F_DUPFD_CLOEXEC, 0));
  pair.a.reset();
  EXPECT_THAT(registry_->deregister_fd(number),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("EBADF")));
}

// Closed without deregistering, and the number is somebody else's now. See libuv/libuv#1495.
TEST_P(LifetimeTest, ANumberCanBeRegisteredAnewAfterACloseWithoutDeregister) {
  SocketPair old = unix_pair();
  const int number = old.a.get();
  ASSERT_THAT(registry_->register_fd(number, Token{1}, Interest::writable().one_shot()), IsOk());
  expect_event(poll_, Token{1}, Readiness::writable());  // fired, so silent from here on
  const OwnedFd duplicate(::fcntl(number, F_DUPFD_CLOEXEC, 0));
  old.a.reset();
  const SocketPair fresh = unix_pair();
  ASSERT_EQ(fresh.a.get(), number);
  EXPECT_THAT(registry_->reregister_fd(number, Token{2}, Interest::writable()),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(registry_->deregister_fd(number), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(registry_->register_fd(number, Token{2}, Interest::writable()), IsOk());
  expect_event(poll_, Token{2}, Readiness::writable());
}

// An engine may hold the file while it watches it. The peer must not wait for that. See
// axboe/liburing#932.
TEST_P(LifetimeTest, ADescriptorThatIsClosedAfterDeregisterIsClosedForThePeer) {
  for (const Interest interest : {Interest::readable(), Interest::readable().level(),
                                  Interest::writable().one_shot(), Interest::hang_up()}) {
    SCOPED_TRACE(testing::PrintToString(interest));
    SocketPair pair = tcp_pair();
    ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, interest), IsOk());
    take_events(poll_);
    ASSERT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
    pair.a.reset();
    expect_no_events(poll_);  // it may take until the next poll()
    EXPECT_EQ(read_some(pair.b.get()), "");
  }
}

TEST_P(LifetimeTest, ADescriptorThatIsClosedDuringPollIsClosedForThePeer) {
  const Waker waker = make_waker(Token{8});
  SocketPair pair = tcp_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
  expect_no_events(poll_);
  absl::Notification in_wait;
  kernel_.before(wait_call(), [&](const FaultKernel::Call&) {
    if (!in_wait.HasBeenNotified()) in_wait.Notify();
  });
  std::thread closing([&] {
    in_wait.WaitForNotification();
    EXPECT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
    pair.a.reset();
    EXPECT_EQ(read_some(pair.b.get()), "");
    EXPECT_THAT(waker.wake(), IsOk());
  });
  expect_event(poll_, Token{8}, Readiness::readable());
  closing.join();
  kernel_.before(wait_call(), nullptr);
}

// Without a deregister_fd(): what becomes ready of the number's next owner is told as its own.
TEST_P(LifetimeTest, AReusedNumberIsNeverToldOfTheFileBefore) {
  SocketPair old = unix_pair();
  const int number = old.a.get();
  ASSERT_THAT(registry_->register_fd(number, Token{1}, Interest::readable()), IsOk());
  expect_no_events(poll_);
  old.a.reset();
  const SocketPair fresh = unix_pair();
  ASSERT_EQ(fresh.a.get(), number);
  ASSERT_THAT(registry_->register_fd(number, Token{2}, Interest::readable()), IsOk());
  (void)!::send(old.b.get(), "x", 1, MSG_NOSIGNAL);  // EPIPE, unless the engine holds the file
  expect_no_events(poll_);
  write_all(fresh.b.get(), "y");
  expect_event(poll_, Token{2}, Readiness::readable());
}

TEST_P(LifetimeTest, ClosingWithoutDeregisterEndsTheReports) {
  SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::writable().level()), IsOk());
  pair.a.reset();
  expect_no_events(poll_);
}

// All eventfds have the same device and inode.
TEST_P(LifetimeTest, AClosedNumberThatIsDeregisteredMayBeRegisteredAgain) {
  OwnedFd old(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const int number = old.get();
  ASSERT_THAT(registry_->register_fd(number, Token{1}, Interest::readable()), IsOk());
  old.reset();
  EXPECT_EQ(errno_of(registry_->deregister_fd(number)), EBADF);
  EXPECT_EQ(errno_of(registry_->deregister_fd(number)), EBADF);
  const OwnedFd fresh(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  ASSERT_EQ(fresh.get(), number);
  ASSERT_THAT(registry_->register_fd(number, Token{2}, Interest::readable()), IsOk());
  expect_event(poll_, Token{2}, Readiness::readable());
}

// A clone keeps the queue's own descriptor, so a late call can never hit a stranger's.
TEST_P(LifetimeTest, ARegistryOutlivesItsPollAndNeverTouchesTheNextOne) {
  int queue = -1;
  kernel_.after(calls().create, [&](const FaultKernel::Call& call) { queue = call.result.fd(); });
  absl::StatusOr<Poll> first = make_poll();
  const int first_queue = queue;
  std::vector<std::shared_ptr<Registry>> clones(3, first->registry());
  first = absl::CancelledError("destroyed");

  absl::StatusOr<Poll> second = make_poll();
  EXPECT_TRUE(is_open(first_queue));
  EXPECT_NE(queue, first_queue);
  const SocketPair pair = unix_pair();
  for (const std::shared_ptr<Registry>& clone : clones) {
    EXPECT_THAT(clone->register_fd(pair.a.get(), kToken, Interest::writable()),
                StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  expect_no_events(*second);
  clones.clear();
  EXPECT_FALSE(is_open(first_queue));
}

TEST_P(LifetimeTest, AWakerOutlivesItsPoll) {
  const ExpectNoFdLeak leak;
  absl::StatusOr<Poll> poll = make_poll();
  absl::StatusOr<Waker> waker = Waker::create(poll->registry(), kToken);
  ASSERT_THAT(waker, IsOk());
  poll = absl::CancelledError("destroyed");
  EXPECT_THAT(waker->wake(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("gone")));
}

TEST_P(LifetimeTest, AMovedPollKeepsItsRegistrations) {
  const SocketPair pair = unix_pair();
  ASSERT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::writable()), IsOk());
  Poll moved = std::move(poll_);
  expect_event(moved, kToken, Readiness::writable());
  EXPECT_THAT(registry_->deregister_fd(pair.a.get()), IsOk());
  Events events(1);
  EXPECT_THAT(poll_.poll(events, absl::ZeroDuration()),  // NOLINT(bugprone-use-after-move)
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("moved from")));
  EXPECT_EQ(poll_.registry(), nullptr);
}

TEST_P(LifetimeTest, AssigningOverAPollRetiresIt) {
  Poll other = make_poll();
  const std::shared_ptr<Registry> other_registry = other.registry();
  const SocketPair pair = unix_pair();
  poll_ = std::move(other);
  EXPECT_THAT(registry_->register_fd(pair.a.get(), kToken, Interest::writable()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(other_registry->register_fd(pair.a.get(), kToken, Interest::writable()), IsOk());
  expect_event(poll_, kToken, Readiness::writable());
}

using LifetimeDeathTest = LifetimeTest;
EPORE_FOR_EVERY_ENGINE(LifetimeDeathTest);

// The thread that is blocked would go on in an object that is gone.
TEST_P(LifetimeDeathTest, APollIsNotDestroyedOrMovedWhileAThreadIsInIt) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto while_polling = [this](const auto& operation) {
    absl::Notification in_wait;
    kernel_.before(wait_call(), [&](const FaultKernel::Call&) {
      if (!in_wait.HasBeenNotified()) in_wait.Notify();
    });
    std::thread([this] {
      Events events(8);
      (void)poll_.poll(events, absl::InfiniteDuration());
    }).detach();
    in_wait.WaitForNotification();
    operation();
  };
  EXPECT_DEATH(while_polling([&] { poll_ = make_poll(); }), "destroyed during its poll");
  EXPECT_DEATH(while_polling([&] { const Poll moved = std::move(poll_); }), "moved during its");
}

TEST_P(LifetimeTest, EveryDescriptorOfItsOwnIsCloseOnExec) {
  std::vector<int> made;
  const auto note = [&](const FaultKernel::Call& call) { made.push_back(call.result.fd()); };
  kernel_.after(KernelCall::kEpollCreate, note);
  kernel_.after(KernelCall::kEventfd, note);
  kernel_.after(KernelCall::kFcntl, note);
  const Poll poll = make_poll();
  const absl::StatusOr<Waker> waker = Waker::create(poll.registry(), kToken);
  ASSERT_THAT(waker, IsOk());
  EXPECT_GE(made.size(), 2u);
  for (const int fd : made) EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC) << fd;
}

// tokio-rs/mio#1031: whichever call fails while a Poll and a Waker are made, no descriptor is
// left.
TEST_P(LifetimeTest, ConstructorsThatFailAtAnyCallLeakNothing) {
  for (int k = 1;; ++k) {
    SCOPED_TRACE(k);
    const ExpectNoFdLeak leak;
    kernel_.fail_any(k, EMFILE);
    absl::Status status;
    {
      const absl::StatusOr<Poll> poll = Poll::create(options());
      status = poll.status();
      if (poll.ok()) status = Waker::create(poll->registry(), kToken).status();
    }
    if (kernel_.fault_is_pending()) {
      EXPECT_GT(k, 2);
      EXPECT_THAT(status, IsOk());
      break;
    }
    if (!status.ok()) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("EMFILE")));
    }
  }
  kernel_.fail_any(0, 0);
}

TEST_P(LifetimeTest, APollLeavesNoDescriptor) {
  const ExpectNoFdLeak leak;
  const Poll poll = make_poll();
  const absl::StatusOr<Waker> waker = Waker::create(poll.registry(), kToken);
  EXPECT_THAT(waker->wake(), IsOk());
}

}  // namespace
}  // namespace epore
