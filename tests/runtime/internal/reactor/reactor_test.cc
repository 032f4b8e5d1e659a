// What the reactor promises about tokens and wakes, with registrations of the test's own.

#include "epore/runtime/internal/reactor/reactor.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/internal/reactor/core_test_base.h"
#include "tests/support/hold.h"
#include "tests/support/sockets.h"

namespace epore::internal {
namespace {

// A socket of a pair, registered with the reactor until it is closed.
struct Tenant {
  Tenant(Reactor& reactor, std::function<void()> body)
      : home(reactor),
        pair(unix_pair()),
        registration(Ref<TestRegistration>::adopt(new TestRegistration(reactor, std::move(body)))) {
    EXPECT_TRUE(home.slots().acquire(*registration));
    EXPECT_TRUE(home.registry()
                    ->register_fd(pair.a.get(), registration->token(), Interest::readable())
                    .ok());
  }
  void close() {
    registration->retire();
    EXPECT_TRUE(home.registry()->deregister_fd(pair.a.get()).ok());
    pair.a.reset();
  }

  Reactor& home;
  SocketPair pair;
  Ref<TestRegistration> registration;
};

class ReactorTest : public CoreTest {
 protected:
  std::uint64_t stale() { return core().counters().sum(Counter::stale_events); }

  // Returns when the poll thread has been through a whole turn: it is stopped where it begins to
  // wait, and where it would wait next.
  void fence() {
    for (int i = 0; i < 2; ++i) {
      Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
      ASSERT_TRUE(core().post([] {}).ok());
      hold.await();
      hold.release();
    }
  }
};

TEST_F(ReactorTest, F01AnEventOfABatchDoesNotGoToTheNewOwnerOfItsNumber) {
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  Reactor& home = reactor();
  hold.await();
  std::optional<Tenant> tenants[2];
  std::optional<Tenant> newcomer;
  int ran[2] = {0, 0};
  std::atomic<int> newcomer_ran{0};
  absl::Notification newcomer_heard;
  // Whichever of the two runs first closes the other, whose number the newcomer then has.
  const auto body = [&](int mine) {
    if (++ran[mine] > 1 || newcomer) return;
    const int number = tenants[1 - mine]->pair.a.get();
    tenants[1 - mine]->close();
    tenants[1 - mine].reset();
    newcomer.emplace(home, [&] {
      ++newcomer_ran;
      newcomer_heard.Notify();
    });
    ASSERT_EQ(newcomer->pair.a.get(), number);
  };
  for (int i = 0; i < 2; ++i) tenants[i].emplace(home, [&body, i] { body(i); });
  for (std::optional<Tenant>& tenant : tenants) write_all(tenant->pair.b.get(), "x");
  hold.release();
  fence();
  EXPECT_EQ(ran[0] + ran[1], 1);
  EXPECT_EQ(newcomer_ran.load(), 0);
  EXPECT_EQ(stale(), 1u);
  write_all(newcomer->pair.b.get(), "x");
  newcomer_heard.WaitForNotification();
  EXPECT_EQ(newcomer_ran.load(), 1);
  newcomer->close();
  tenants[ran[0] == 1 ? 0 : 1]->close();
}

TEST_F(ReactorTest, F02AnEventThatWasTakenBeforeTheEndIsStale) {
  int ran = 0;
  bool is_destroyed = false;
  Hold begin(kernel_, KernelCall::kEpollWait, Hold::before);
  Reactor& home = reactor();
  begin.await();  // so that the first wait brings the event, and no wake alone
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::after);
  {
    Tenant tenant(home, [&] { ++ran; });
    tenant.registration->when_destroyed = [&] { is_destroyed = true; };
    write_all(tenant.pair.b.get(), "x");
    begin.release();
    hold.await();  // the poll thread has the event in its hands
    tenant.close();
  }
  EXPECT_FALSE(is_destroyed);  // as the poll thread may have a pointer in its hands, too
  hold.release();
  fence();
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(stale(), 1u);
  fence();
  EXPECT_TRUE(is_destroyed);
}

TEST_F(ReactorTest, ARegistrationOfNoMoreUseIsFreedByTheEndOfTheTurn) {
  bool is_destroyed = false;
  Reactor& home = reactor();
  absl::Notification ran;
  std::atomic<Tenant*> self{nullptr};
  Tenant tenant(home, [&] {
    self.load()->close();
    ran.Notify();
  });
  self = &tenant;
  tenant.registration->when_destroyed = [&] { is_destroyed = true; };
  TestRegistration* const plain = tenant.registration.get();
  write_all(tenant.pair.b.get(), "x");
  ran.WaitForNotification();
  EXPECT_EQ(tenant.registration.get(), plain);
  tenant.registration = Ref<TestRegistration>();
  fence();
  EXPECT_TRUE(is_destroyed);
}

TEST_F(ReactorTest, AnIdlePollThreadIsWokenToReclaimOnlyWhenManyAreRetired) {
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  Reactor& home = reactor();
  hold.await();
  std::vector<std::unique_ptr<Tenant>> tenants;
  for (int i = 0; i < 64; ++i) tenants.push_back(std::make_unique<Tenant>(home, [] {}));
  for (std::size_t i = 0; i < 63; ++i) tenants[i]->close();
  EXPECT_EQ(core().counters().sum(Counter::wakes), 0u);
  tenants[63]->close();
  EXPECT_EQ(core().counters().sum(Counter::wakes), 1u);
  hold.release();
}

TEST_F(ReactorTest, F18AfterAWakeThatFailedTheNextOneIsMade) {
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  core();
  hold.await();
  kernel_.fail(KernelCall::kWrite, EBADF);
  absl::Notification first;
  absl::Notification second;
  ASSERT_TRUE(core().post([&] { first.Notify(); }).ok());
  ASSERT_TRUE(core().post([&] { second.Notify(); }).ok());
  hold.release();
  second.WaitForNotification();
  EXPECT_TRUE(first.HasBeenNotified());
  EXPECT_EQ(kernel_.calls(KernelCall::kWrite), 2u);
}

TEST_F(ReactorTest, AWakeThatIsInterruptedOrMeetsAFullCounterIsMadeAllTheSame) {
  Hold hold(kernel_, KernelCall::kEpollWait, Hold::before);
  core();
  hold.await();
  for (int error : {EINTR, EAGAIN}) {
    kernel_.fail(KernelCall::kWrite, error);
    absl::Notification ran;
    ASSERT_TRUE(core().post([&] { ran.Notify(); }).ok());
    if (error == EINTR) hold.release();
    ran.WaitForNotification();
    fence();
  }
}

TEST_F(ReactorTest, AnIdlePollThreadMakesNoCalls) {
  // One turn for each of the fences, and nothing in between.
  core();
  fence();
  std::uint64_t last = kernel_.calls(KernelCall::kEpollWait);
  for (int i = 0; i < 3; ++i) {
    fence();  // two posts: at most two waits each, as a wake may come after its work was done
    const std::uint64_t now = kernel_.calls(KernelCall::kEpollWait);
    EXPECT_LE(now - last, 4u);
    last = now;
  }
}

}  // namespace
}  // namespace epore::internal
