// Runtime::run_until_signal() and on_signal(). The signals are raised on the test's thread, as a
// signal to the process could go to any thread that does not block it.

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/signals.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using Handler = void (*)(int);

Handler handler_of(int signal) {
  struct sigaction action;
  EXPECT_EQ(::sigaction(signal, nullptr, &action), 0);
  return action.sa_handler;
}

class SignalTest : public RuntimeTest {
 protected:
  // run_until_signal() on a thread of its own; returns when its handlers are in place.
  class Running {
   public:
    Running(FaultKernel& kernel, Runtime& runtime, int signals = 2) : kernel_(kernel) {
      const auto caught = std::make_shared<Caught>();
      caught->left = signals;
      kernel_.after(KernelCall::kSigaction, [caught](const FaultKernel::Call&) {
        if (--caught->left == 0) caught->all.Notify();
      });
      thread_ = std::thread([this, &runtime] { status_ = runtime.run_until_signal(); });
      caught->all.WaitForNotification();
    }
    ~Running() {
      if (thread_.joinable()) thread_.join();
    }
    // As the system would, which prefers a thread that waits.
    void raise(int signal) { ASSERT_EQ(::pthread_kill(thread_.native_handle(), signal), 0); }
    absl::Status join() {
      thread_.join();
      kernel_.after(KernelCall::kSigaction, nullptr);
      return status_;
    }

   private:
    struct Caught {
      std::atomic<int> left;
      absl::Notification all;
    };

    FaultKernel& kernel_;
    absl::Status status_;
    std::thread thread_;
  };

  ~SignalTest() override {
    for (int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
      EXPECT_EQ(handler_of(signal), before_[static_cast<std::size_t>(signal)]) << signal;
    }
  }

 private:
  const std::vector<Handler> before_ = [] {
    std::vector<Handler> handlers(32);
    for (int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
      handlers[static_cast<std::size_t>(signal)] = handler_of(signal);
    }
    return handlers;
  }();
};

INSTANTIATE_TEST_SUITE_P(Everywhere, SignalTest, testing::ValuesIn(every_mode()), mode_name);

TEST_P(SignalTest, EitherSignalShutsDown) {
  for (int signal : {SIGTERM, SIGINT}) {
    Observer observer;
    DrivenRuntime runtime(options());
    Link link = open_link(runtime, observer);
    Running running(kernel_, runtime);
    ASSERT_EQ(::raise(signal), 0);
    EXPECT_EQ(link.peer.end(), 0);  // gracefully
    link.peer.close();
    EXPECT_TRUE(running.join().ok());
    EXPECT_TRUE(observer.await_closed().ok());
    EXPECT_EQ(runtime.post([] {}).code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST_P(SignalTest, ASignalEndsTheWaitOfTheThreadThatItInterrupts) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer of gcc 12 now and then keeps back for good a signal that one "
                  "thread sends to another, also from a bare poll(2)";
#endif
  Observer observer;
  RuntimeOptions patient = options();
  patient.drain_timeout = absl::InfiniteDuration();
  absl::Notification draining;
  absl::Notification counted;
  DrivenRuntime runtime(patient);
  Link link = open_link(runtime, observer);
  link.connection.on_drain([&](Connection&) { draining.Notify(); });  // and never ends
  fence(link.connection);
  ASSERT_TRUE(runtime.on_signal(SIGUSR1, [&] { counted.Notify(); }).ok());
  Running running(kernel_, runtime, 3);
  running.raise(SIGUSR1);
  counted.WaitForNotification();
  running.raise(SIGTERM);
  draining.WaitForNotification();
  running.raise(SIGTERM);
  EXPECT_TRUE(running.join().ok());
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
}

TEST_P(SignalTest, ASignalCutsShortAShutdownThatAnotherThreadHasBegun) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "as above";
#endif
  Observer observer;
  absl::Notification draining;
  DrivenRuntime runtime(options());
  Link link = open_link(runtime, observer);
  link.connection.on_drain([&](Connection&) { draining.Notify(); });  // and never ends
  fence(link.connection);
  std::thread other([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
  draining.WaitForNotification();
  Running running(kernel_, runtime);
  running.raise(SIGTERM);
  EXPECT_TRUE(running.join().ok());
  other.join();
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
}

TEST_P(SignalTest, WhatComesAfterCatchingIsKeptForTheWait) {
  int called = 0;
  DrivenRuntime runtime(options());
  ASSERT_TRUE(runtime.on_signal(SIGUSR1, [&] { ++called; }).ok());
  ASSERT_TRUE(runtime.catch_signals().ok());
  ASSERT_EQ(::raise(SIGUSR1), 0);
  ASSERT_EQ(::raise(SIGTERM), 0);
  EXPECT_EQ(called, 0);
  EXPECT_TRUE(runtime.post([] {}).ok());
  EXPECT_TRUE(runtime.run_until_signal().ok());
  EXPECT_EQ(called, 1);
  EXPECT_EQ(handler_of(SIGTERM), SIG_DFL) << "it lets go in the end";
}

TEST_P(SignalTest, CatchingLastsUntilTheRuntimeEndsAndIsForOneAtATime) {
  {
    DrivenRuntime runtime(options());
    EXPECT_EQ(handler_of(SIGTERM), SIG_DFL) << "nobody asked yet";
    ASSERT_TRUE(runtime.catch_signals().ok());
    EXPECT_TRUE(runtime.catch_signals().ok());
    EXPECT_NE(handler_of(SIGTERM), SIG_DFL);
    EXPECT_EQ(runtime.on_signal(SIGUSR1, [] {}).code(), absl::StatusCode::kFailedPrecondition);
    Runtime another(options());
    EXPECT_EQ(another.catch_signals().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(another.run_until_signal().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_NE(handler_of(SIGTERM), SIG_DFL);
  }
  EXPECT_EQ(handler_of(SIGTERM), SIG_DFL);
  Runtime next(options());
  EXPECT_TRUE(next.catch_signals().ok());
}

TEST_P(SignalTest, TheDestructorLetsGoOfSignalsBeforeItDrains) {
  Observer observer;
  Handler while_draining = nullptr;
  {
    DrivenRuntime runtime(options());
    Link link = open_link(runtime, observer);
    link.connection.on_drain([&](Connection& c) {
      while_draining = handler_of(SIGTERM);
      c.abort();
    });
    fence(link.connection);
    ASSERT_TRUE(runtime.catch_signals().ok());
  }
  EXPECT_EQ(while_draining, SIG_DFL);
}

TEST_P(SignalTest, WithoutADescriptorNothingIsCaughtAndItMayBeTriedAgain) {
  DrivenRuntime runtime(options());
  kernel_.fail(KernelCall::kEventfd, EMFILE, 1, 2);
  for (const absl::Status& status : {runtime.catch_signals(), runtime.run_until_signal()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_EQ(handler_of(SIGTERM), SIG_DFL);
  }
  ASSERT_TRUE(runtime.catch_signals().ok());
  ASSERT_EQ(::raise(SIGINT), 0);
  EXPECT_TRUE(runtime.run_until_signal().ok());
}

TEST_P(SignalTest, TheHandlersOfBeforeComeBack) {
  static std::atomic<int> caught;
  caught = 0;
  struct sigaction mine = {};
  struct sigaction before;
  mine.sa_handler = [](int) { caught.fetch_add(1); };
  ASSERT_EQ(::sigaction(SIGTERM, &mine, &before), 0);
  {
    DrivenRuntime runtime(options());
    Running running(kernel_, runtime);
    ASSERT_EQ(::raise(SIGTERM), 0);
    EXPECT_TRUE(running.join().ok());
  }
  EXPECT_EQ(caught.load(), 0);
  ASSERT_EQ(::raise(SIGTERM), 0);
  EXPECT_EQ(caught.load(), 1);
  ASSERT_EQ(::sigaction(SIGTERM, &before, nullptr), 0);
}

TEST_P(SignalTest, RequestShutdownEndsItAlsoFromACallbackAndBeforeItIsCalled) {
  {
    DrivenRuntime runtime(options());
    Running running(kernel_, runtime);
    ASSERT_TRUE(runtime.post([&] { runtime.request_shutdown(); }).ok());
    EXPECT_TRUE(running.join().ok());
  }
  DrivenRuntime runtime(options());
  runtime.request_shutdown();
  EXPECT_TRUE(runtime.run_until_signal().ok());
  EXPECT_TRUE(runtime.run_until_signal().ok());  // it is over
}

TEST_P(SignalTest, AShutdownByAnotherThreadEndsIt) {
  DrivenRuntime runtime(options());
  Running running(kernel_, runtime);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_TRUE(running.join().ok());
}

TEST_P(SignalTest, ASecondSignalCutsTheDrainingShort) {
  Observer observer;
  absl::Notification draining;
  RuntimeOptions patient = options();
  patient.drain_timeout = absl::InfiniteDuration();
  DrivenRuntime runtime(patient);
  Link link = open_link(runtime, observer);
  link.connection.on_drain([&](Connection&) { draining.Notify(); });  // and never ends
  fence(link.connection);
  Running running(kernel_, runtime);
  ASSERT_EQ(::raise(SIGTERM), 0);
  draining.WaitForNotification();
  EXPECT_TRUE(link.connection.is_open());
  ASSERT_EQ(::raise(SIGINT), 0);
  EXPECT_TRUE(running.join().ok());
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
}

TEST_P(SignalTest, CallbacksOfOtherSignalsAreCalledOnItsThreadAndItGoesOn) {
  std::atomic<int> called{0};
  std::thread::id where;
  absl::Notification first;
  absl::Notification second;
  DrivenRuntime runtime(options());
  ASSERT_TRUE(runtime.on_signal(SIGUSR1, [] { ADD_FAILURE() << "replaced"; }).ok());
  ASSERT_TRUE(runtime
                  .on_signal(SIGUSR1,
                             [&] {
                               where = std::this_thread::get_id();
                               (called.fetch_add(1) == 0 ? first : second).Notify();
                               throw 7;  // is counted
                             })
                  .ok());
  ASSERT_TRUE(runtime.on_signal(SIGHUP, [] { ADD_FAILURE() << "did not come"; }).ok());
  Running running(kernel_, runtime, 4);
  EXPECT_EQ(runtime.on_signal(SIGHUP, [] {}).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(::raise(SIGUSR1), 0);
  first.WaitForNotification();
  ASSERT_EQ(::raise(SIGUSR1), 0);
  second.WaitForNotification();
  ASSERT_EQ(::raise(SIGTERM), 0);
  EXPECT_TRUE(running.join().ok());
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_EQ(runtime.counters().callback_exceptions, 2u);
  EXPECT_TRUE(runtime.on_signal(SIGHUP, [] {}).ok());
}

TEST_P(SignalTest, ASecondSignalKeepsWhatHasNotBegunFromBeginning) {
  constexpr int kClosures = 100;
  std::atomic<int> ran{0};
  absl::Notification runs;
  absl::Notification go_on;
  absl::Notification first_is_seen;
  Observer observer;
  RuntimeOptions patient = options();
  patient.drain_timeout = absl::InfiniteDuration();
  patient.spare_workers = 0;
  DrivenRuntime runtime(patient);
  Link link = open_link(runtime, observer);
  link.connection.on_drain([](Connection&) {});  // and never ends
  fence(link.connection);
  ASSERT_TRUE(runtime.on_signal(SIGUSR1, [&] { first_is_seen.Notify(); }).ok());
  for (int i = 0; i < kClosures; ++i) {
    ASSERT_TRUE(runtime
                    .post([&] {
                      if (++ran == 1) runs.Notify();
                      go_on.WaitForNotification();
                    })
                    .ok());
  }
  runs.WaitForNotification();
  Running running(kernel_, runtime, 3);
  ASSERT_EQ(::raise(SIGTERM), 0);
  ASSERT_EQ(::raise(SIGUSR1), 0);
  first_is_seen.WaitForNotification();
  ASSERT_EQ(::raise(SIGTERM), 0);
  while (runtime.post([] {}).ok()) std::this_thread::yield();  // until it refuses
  go_on.Notify();
  EXPECT_TRUE(running.join().ok());
  EXPECT_LE(ran.load(), patient.dispatch == Dispatch::poll_thread ? 1 : patient.workers + 1);
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
}

TEST_P(SignalTest, ItsCallbackIsRefusedWhatWouldWaitForItBeforeAndWhileConnectionsDrain) {
  Observer observer;
  std::atomic<int> refused{0};
  absl::Notification called[2];
  absl::Notification draining;
  RuntimeOptions patient = options();
  patient.drain_timeout = absl::InfiniteDuration();
  DrivenRuntime runtime(patient);
  Link link = open_link(runtime, observer);
  link.connection.on_drain([&](Connection&) { draining.Notify(); });  // and never ends
  fence(link.connection);
  ASSERT_TRUE(runtime
                  .on_signal(SIGUSR1,
                             [&] {
                               for (const absl::Status& status :
                                    {runtime.shutdown(), runtime.run_until_signal()}) {
                                 EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
                               }
                               EXPECT_TRUE(runtime.listen("localhost:0", [](Connection&) {}).ok() ||
                                           draining.HasBeenNotified())
                                   << "this thread may block";
                               called[refused.fetch_add(1)].Notify();
                             })
                  .ok());
  Running running(kernel_, runtime, 3);
  ASSERT_EQ(::raise(SIGUSR1), 0);
  called[0].WaitForNotification();
  ASSERT_EQ(::raise(SIGTERM), 0);
  draining.WaitForNotification();
  ASSERT_EQ(::raise(SIGUSR1), 0);
  called[1].WaitForNotification();
  ASSERT_EQ(::raise(SIGTERM), 0);
  EXPECT_TRUE(running.join().ok());
}

TEST_P(SignalTest, AShutdownOfAnotherThreadWaitsForItsCallbackAndNoneComesAfterIt) {
  std::atomic<bool> is_done{false};
  std::atomic<bool> has_returned{false};
  absl::Notification called;
  absl::Notification go_on;
  absl::Notification waits;
  std::atomic<std::thread::id> other;
  DrivenRuntime runtime(options());
  ASSERT_TRUE(runtime
                  .on_signal(SIGUSR1,
                             [&] {
                               EXPECT_FALSE(has_returned.load());
                               if (!called.HasBeenNotified()) called.Notify();
                               go_on.WaitForNotification();
                               is_done = true;
                             })
                  .ok());
  Running running(kernel_, runtime, 3);
  ASSERT_EQ(::raise(SIGUSR1), 0);
  called.WaitForNotification();
  kernel_.before(KernelCall::kPark, [&](const FaultKernel::Call&) {
    if (std::this_thread::get_id() == other.load() && !waits.HasBeenNotified()) waits.Notify();
  });
  std::thread shuts_down([&] {
    other = std::this_thread::get_id();
    EXPECT_TRUE(runtime.shutdown().ok());
    has_returned = true;
    EXPECT_TRUE(is_done.load());
    if (!waits.HasBeenNotified()) waits.Notify();
  });
  waits.WaitForNotification();
  ASSERT_EQ(::raise(SIGUSR1), 0);
  go_on.Notify();
  shuts_down.join();
  EXPECT_TRUE(running.join().ok());
  kernel_.before(KernelCall::kPark, nullptr);
}

TEST_P(SignalTest, ARuntimeThatIsDestroyedInItsCallbackEndsTheProgramWithOneLine) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto destroy = [&] {
    auto runtime = std::make_unique<DrivenRuntime>(options());
    (void)runtime->on_signal(SIGUSR1, [&] { runtime.reset(); });
    (void)runtime->catch_signals();
    (void)::raise(SIGUSR1);
    (void)runtime->run_until_signal();
  };
  EXPECT_EXIT(destroy(), testing::ExitedWithCode(1), "destroyed in one of its own callbacks");
}

TEST_P(SignalTest, ACallbackForASignalThatCannotHaveOneIsRefused) {
  DrivenRuntime runtime(options());
  for (int signal : {0, -1, 65, SIGINT, SIGTERM, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                     SIGTRAP, SIGSYS, SIGABRT}) {
    EXPECT_EQ(runtime.on_signal(signal, [] {}).code(), absl::StatusCode::kInvalidArgument)
        << signal;
  }
}

// As a supervisor may start a program.
TEST_P(SignalTest, SignalsThatAreBlockedAreUnblockedWhileItWaits) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  for (int signal : {SIGTERM, SIGUSR1, SIGHUP}) sigaddset(&blocked, signal);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
  int called = 0;
  bool was_blocked = true;
  DrivenRuntime runtime(options());
  ASSERT_TRUE(runtime
                  .on_signal(SIGUSR1,
                             [&] {
                               ++called;
                               sigset_t now;
                               EXPECT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &now), 0);
                               was_blocked = sigismember(&now, SIGTERM) == 1;
                               EXPECT_EQ(sigismember(&now, SIGHUP), 1) << "nobody asked for it";
                             })
                  .ok());
  ASSERT_TRUE(runtime.catch_signals().ok());
  ASSERT_EQ(::raise(SIGUSR1), 0);
  ASSERT_EQ(::raise(SIGTERM), 0);
  EXPECT_TRUE(runtime.run_until_signal().ok());
  EXPECT_EQ(called, 1);
  EXPECT_FALSE(was_blocked);
  sigset_t after;
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, &after), 0);
  for (int signal : {SIGTERM, SIGUSR1, SIGHUP}) EXPECT_EQ(sigismember(&after, signal), 1) << signal;
}

TEST_P(SignalTest, SignalsThatAreIgnoredStayIgnoredUnlessTheyHaveACallback) {
  struct sigaction ignore = {};
  struct sigaction before[3];
  const int signals[] = {SIGINT, SIGHUP, SIGUSR1};
  ignore.sa_handler = SIG_IGN;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(::sigaction(signals[i], &ignore, &before[i]), 0);
  int called = 0;
  {
    DrivenRuntime runtime(options());
    ASSERT_TRUE(runtime.on_signal(SIGUSR1, [&] { ++called; }).ok());
    ASSERT_TRUE(runtime.catch_signals().ok());
    EXPECT_EQ(handler_of(SIGINT), SIG_IGN);
    EXPECT_EQ(handler_of(SIGHUP), SIG_IGN);
    ASSERT_EQ(::raise(SIGINT), 0);
    ASSERT_EQ(::raise(SIGUSR1), 0);
    ASSERT_EQ(::raise(SIGTERM), 0);
    EXPECT_TRUE(runtime.run_until_signal().ok());
  }
  EXPECT_EQ(called, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(handler_of(signals[i]), SIG_IGN);
    ASSERT_EQ(::sigaction(signals[i], &before[i], nullptr), 0);
  }
}

TEST_P(SignalTest, AChildOfACallbackMayUnblockSignals) {
  if (GetParam().dispatch == Dispatch::caller) GTEST_SKIP() << "the thread is the program's";
  absl::Notification done;
  int status = -1;
  DrivenRuntime runtime(options());
  ASSERT_TRUE(runtime
                  .post([&] {
                    const pid_t child = ::fork();
                    if (child == 0) {
                      sigset_t mask;
                      ::sigprocmask(SIG_BLOCK, nullptr, &mask);
                      const bool was_blocked = sigismember(&mask, SIGTERM) == 1;
                      unblock_signals();
                      ::sigprocmask(SIG_BLOCK, nullptr, &mask);
                      ::_exit(was_blocked && sigisemptyset(&mask) == 1 ? 0 : 1);
                    }
                    ::waitpid(child, &status, 0);
                    done.Notify();
                  })
                  .ok());
  done.WaitForNotification();
  EXPECT_EQ(status, 0);
}

TEST_P(SignalTest, TheCallbackThatIsReplacedIsDestroyedWithNoLockHeld) {
  DrivenRuntime runtime(options());
  struct CallsAtItsEnd {
    Runtime& runtime;
    ~CallsAtItsEnd() {
      EXPECT_TRUE(runtime.on_signal(SIGHUP, [] {}).ok());
    }
  };
  std::unique_ptr<CallsAtItsEnd> last_words(new CallsAtItsEnd{runtime});
  ASSERT_TRUE(runtime.on_signal(SIGUSR1, [last_words = std::move(last_words)] {}).ok());
  ASSERT_TRUE(runtime.on_signal(SIGUSR1, [] {}).ok());
}

TEST_P(SignalTest, OneRuntimeAtATimeAndOneThreadOfIt) {
  DrivenRuntime runtime(options());
  Running running(kernel_, runtime);
  EXPECT_EQ(runtime.run_until_signal().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(runtime.on_signal(SIGUSR1, [] {}).code(), absl::StatusCode::kFailedPrecondition);
  {
    Runtime another(options());
    EXPECT_EQ(another.run_until_signal().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(another.post([] {}).ok());  // it was not shut down
  }
  runtime.request_shutdown();
  EXPECT_TRUE(running.join().ok());
  Runtime next(options());
  next.request_shutdown();
  EXPECT_TRUE(next.run_until_signal().ok());
}

TEST_P(SignalTest, AHandlerThatCannotBeSetIsAnErrorAndTheOthersComeBack) {
  for (int k = 1; k <= 3; ++k) {
    DrivenRuntime runtime(options());
    ASSERT_TRUE(runtime.on_signal(SIGUSR1, [] {}).ok());
    kernel_.fail(KernelCall::kSigaction, EINVAL, k);
    EXPECT_EQ(runtime.run_until_signal().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(runtime.post([] {}).ok());
    for (int signal : {SIGINT, SIGTERM, SIGUSR1}) EXPECT_EQ(handler_of(signal), SIG_DFL) << signal;
  }
}

TEST_P(SignalTest, CallbacksMayBeSetFromManyThreadsUntilItRuns) {
  DrivenRuntime runtime(options());
  runtime.request_shutdown();
  std::vector<std::thread> threads;
  for (int signal : {SIGUSR1, SIGHUP}) {
    threads.emplace_back([&, signal] {
      for (int i = 0; i < 100; ++i) (void)runtime.on_signal(signal, [] {});
    });
  }
  EXPECT_TRUE(runtime.run_until_signal().ok());
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace epore
