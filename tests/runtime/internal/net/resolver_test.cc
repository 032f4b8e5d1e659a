#include "epore/runtime/internal/net/resolver.h"

#include <netdb.h>

#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/names_kernel.h"
#include "tests/support/fault_kernel.h"

namespace epore::internal {
namespace {

using Addresses = absl::StatusOr<std::vector<SocketAddress>>;

HostPort host_port(const std::string& host, std::uint16_t port = 80) { return {host, port}; }

std::vector<std::string> printed(const Addresses& addresses) {
  std::vector<std::string> texts;
  if (!addresses.ok()) return {addresses.status().ToString()};
  for (const SocketAddress& address : *addresses) texts.push_back(address.to_string());
  return texts;
}

TEST(ResolveTest, KeepsTheOrderAndDropsDuplicates) {
  NamesKernel names;
  names.add("a.example", {"[::1]:0", "127.0.0.1:0", "[::1]:0", "127.0.0.2:0", "127.0.0.1:0"});
  EXPECT_EQ(printed(resolve(names, host_port("a.example"), false)),
            (std::vector<std::string>{"[::1]:80", "127.0.0.1:80", "127.0.0.2:80"}));
}

TEST(ResolveTest, ErrorsNameTheHost) {
  NamesKernel names;
  names.add("empty.example", {});
  FaultKernel kernel(names);
  struct {
    int code;
    absl::StatusCode expected;
  } const cases[] = {
      {EAI_NONAME, absl::StatusCode::kNotFound},    {EAI_NODATA, absl::StatusCode::kNotFound},
      {EAI_AGAIN, absl::StatusCode::kUnavailable},  {EAI_FAIL, absl::StatusCode::kUnavailable},
      {EAI_MEMORY, absl::StatusCode::kUnavailable}, {EAI_SYSTEM, absl::StatusCode::kUnavailable}};
  for (const auto& c : cases) {
    kernel.fail(KernelCall::kResolve, c.code);
    const absl::Status status = resolve(kernel, host_port("a.example"), false).status();
    EXPECT_EQ(status.code(), c.expected) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "\"a.example\"")) << status;
  }
}

TEST(ResolveTest, TheSystemKnowsNumbersAndTheEmptyHost) {
  Kernel& kernel = Kernel::real();
  EXPECT_EQ(printed(resolve(kernel, host_port("127.0.0.1"), false)),
            std::vector<std::string>{"127.0.0.1:80"});
  const Addresses any = resolve(kernel, host_port("", 0), true);
  ASSERT_TRUE(any.ok()) << any.status();
  EXPECT_FALSE(any->empty());
}

// As where there is neither /etc/hosts nor a name server.
TEST(ResolveTest, LocalhostIsLoopbackOnASystemThatDoesNotKnowIt) {
  for (const bool to_listen : {false, true}) {
    FaultKernel kernel(Kernel::real());
    kernel.fail(KernelCall::kResolve, EAI_AGAIN);
    for (const std::string& text : printed(resolve(kernel, host_port("localhost"), to_listen))) {
      EXPECT_TRUE(text == "127.0.0.1:80" || text == "[::1]:80") << text;
    }
    kernel.fail(KernelCall::kResolve, EAI_AGAIN);
    EXPECT_FALSE(resolve(kernel, host_port("host.example"), to_listen).ok());
  }
}

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() { names_.add("a.example", {"127.0.0.1:0"}); }
  ~ResolverTest() override {
    resolver_.stop();
    EXPECT_EQ(kernel_.calls(KernelCall::kThreadJoin) + kernel_.calls(KernelCall::kThreadDetach),
              started());
  }

  std::uint64_t started() const { return kernel_.calls(KernelCall::kThreadStart) - failed_; }

  NamesKernel names_;
  FaultKernel kernel_{names_};
  Resolver resolver_{kernel_};
  std::uint64_t failed_ = 0;
};

// So many names are looked up at a time.
constexpr int kThreads = 4;

// Holds the first lookup of each thread.
class HeldLookups {
 public:
  explicit HeldLookups(FaultKernel& kernel) {
    kernel.before(KernelCall::kResolve, [this](const FaultKernel::Call& call) {
      if (call.nth > kThreads) return;
      held_.DecrementCount();
      may_go_on_.WaitForNotification();
    });
  }

  void await() { held_.Wait(); }  // until all threads look up; once
  void release() { may_go_on_.Notify(); }

 private:
  absl::BlockingCounter held_{kThreads};
  absl::Notification may_go_on_;
};

TEST_F(ResolverTest, StartsNoThreadBeforeItIsNeeded) {
  EXPECT_EQ(kernel_.calls(KernelCall::kThreadStart), 0u);
}

TEST_F(ResolverTest, OneAfterTheOtherNeedsOneThread) {
  for (int i = 0; i < 10; ++i) {
    const auto idle = std::make_shared<absl::Notification>();  // the hook's thread may keep it
    kernel_.before(KernelCall::kPark, [idle](const FaultKernel::Call&) {
      if (!idle->HasBeenNotified()) idle->Notify();
    });
    absl::Notification done;
    EXPECT_TRUE(resolver_
                    .start(host_port("a.example"),
                           [&](Addresses addresses) {
                             EXPECT_EQ(printed(addresses),
                                       std::vector<std::string>{"127.0.0.1:80"});
                             done.Notify();
                           })
                    .ok());
    done.WaitForNotification();
    idle->WaitForNotification();
    kernel_.before(KernelCall::kPark, nullptr);
  }
  EXPECT_EQ(started(), 1u);
}

// A name that takes for ever holds up nobody but those behind four of its kind.
TEST_F(ResolverTest, FourAreResolvedAtATime) {
  constexpr int kNames = 10;
  HeldLookups held(kernel_);
  absl::BlockingCounter done(kNames);
  for (int i = 0; i < kNames; ++i) {
    EXPECT_TRUE(
        resolver_.start(host_port("a.example"), [&](Addresses) { done.DecrementCount(); }).ok());
  }
  held.await();
  EXPECT_EQ(started(), static_cast<std::uint64_t>(kThreads));
  held.release();
  done.Wait();
}

TEST_F(ResolverTest, StopDropsAllRequestsRefusesOthersAndWaitsForNoNameServer) {
  HeldLookups held(kernel_);
  std::atomic<int> alive{0};
  for (int i = 0; i < 6; ++i) {
    ++alive;
    const std::shared_ptr<int> kept(new int(0), [&](int* p) {
      delete p;
      --alive;
    });
    EXPECT_TRUE(resolver_.start(host_port("a.example"), [kept](Addresses) { ADD_FAILURE(); }).ok());
  }
  held.await();
  resolver_.stop();
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(kernel_.calls(KernelCall::kThreadDetach), 4u);
  EXPECT_EQ(resolver_.start(host_port("a.example"), [](Addresses) { FAIL(); }).code(),
            absl::StatusCode::kCancelled);
  resolver_.stop();  // again: nothing
  EXPECT_EQ(kernel_.calls(KernelCall::kThreadDetach), 4u);
  held.release();
  kernel_.await_threads();
}

// Those that wait are found all the same, and the next one is asked for again.
TEST_F(ResolverTest, SoManyNamesWaitAndOneMoreIsRefused) {
  constexpr int kMost = static_cast<int>(Resolver::kMostWaiting);
  HeldLookups held(kernel_);
  absl::BlockingCounter done(kThreads + kMost);
  const auto start = [&] {
    return resolver_.start(host_port("a.example"), [&](Addresses addresses) {
      EXPECT_TRUE(addresses.ok());
      done.DecrementCount();
    });
  };
  for (int i = 0; i < kThreads; ++i) EXPECT_TRUE(start().ok());
  held.await();
  for (int i = 0; i < kMost; ++i) EXPECT_TRUE(start().ok());
  const absl::Status refused =
      resolver_.start(host_port("b.example"), [](Addresses) { ADD_FAILURE(); });
  EXPECT_EQ(refused,
            absl::ResourceExhaustedError("resolving \"b.example\": 10000 names wait already"));
  held.release();
  done.Wait();
  absl::Notification again;
  EXPECT_TRUE(resolver_.start(host_port("a.example"), [&](Addresses) { again.Notify(); }).ok());
  again.WaitForNotification();
}

// Whoever waited for it has gone, and its place is another one's.
TEST_F(ResolverTest, ANameThatIsTakenBackWaitsNoLonger) {
  constexpr int kMost = static_cast<int>(Resolver::kMostWaiting);
  HeldLookups held(kernel_);
  absl::BlockingCounter done(kThreads + 1);
  const auto count = [&](const Addresses&) { done.DecrementCount(); };
  Resolver::Ticket begun = 0;
  for (int i = 0; i < kThreads; ++i) {
    EXPECT_TRUE(resolver_.start(host_port("a.example"), count, &begun).ok());
  }
  held.await();
  const auto alive = std::make_shared<int>(0);
  std::vector<Resolver::Ticket> tickets(kMost);
  for (Resolver::Ticket& ticket : tickets) {
    const auto call = [alive](const Addresses&) { ADD_FAILURE(); };
    EXPECT_TRUE(resolver_.start(host_port("a.example"), call, &ticket).ok());
  }
  EXPECT_FALSE(resolver_.start(host_port("a.example"), count).ok());
  for (const Resolver::Ticket ticket : tickets) resolver_.cancel(ticket);
  EXPECT_EQ(alive.use_count(), 1);
  EXPECT_TRUE(resolver_.start(host_port("a.example"), count).ok());
  resolver_.cancel(tickets.front());  // again
  resolver_.cancel(begun);            // a thread has it
  resolver_.cancel(0);
  held.release();
  done.Wait();
  EXPECT_EQ(kernel_.calls(KernelCall::kResolve), kThreads + 1u);
}

TEST_F(ResolverTest, ALookupWithoutMemoryIsAnError) {
  kernel_.before(KernelCall::kResolve, [&](const FaultKernel::Call& call) {
    if (call.nth == 1) throw std::bad_alloc();
  });
  for (const bool is_ok : {false, true}) {
    absl::Notification done;
    EXPECT_TRUE(resolver_
                    .start(host_port("a.example"),
                           [&](Addresses addresses) {
                             EXPECT_EQ(addresses.ok(), is_ok);
                             EXPECT_EQ(absl::IsResourceExhausted(addresses.status()), !is_ok);
                             done.Notify();
                           })
                    .ok());
    done.WaitForNotification();
  }
}

TEST_F(ResolverTest, StopWaitsForACallback) {
  absl::Notification called;
  absl::Notification go_on;
  std::atomic<bool> is_over{false};
  EXPECT_TRUE(resolver_
                  .start(host_port("a.example"),
                         [&](Addresses) {
                           called.Notify();
                           go_on.WaitForNotification();
                           is_over = true;
                         })
                  .ok());
  called.WaitForNotification();
  kernel_.before(KernelCall::kThreadJoin, [&](const FaultKernel::Call&) { go_on.Notify(); });
  resolver_.stop();
  EXPECT_TRUE(is_over);
}

// The resolver and its owner's share of the kernel go while a name server keeps silent.
TEST(AbandonedResolverTest, AThreadThatComesBackFreesWhatItKept) {
  class Silent final : public NamesKernel {
   public:
    explicit Silent(absl::Notification& end) : end_(end) { add("a.example", {"[::1]:0"}); }
    ~Silent() override { end_.Notify(); }
    int resolve(const char* host, const char* service, const addrinfo* hints,
                addrinfo** list) override {
      in_resolve.Notify();
      go_on->WaitForNotification();
      return NamesKernel::resolve(host, service, hints, list);
    }
    absl::Notification in_resolve;
    absl::Notification* go_on = nullptr;

   private:
    absl::Notification& end_;
  };
  absl::Notification end;
  absl::Notification go_on;
  auto silent = std::make_shared<Silent>(end);
  silent->go_on = &go_on;
  {
    Resolver resolver(*silent, silent);
    EXPECT_TRUE(resolver.start(host_port("a.example"), [](Addresses) { ADD_FAILURE(); }).ok());
    silent->in_resolve.WaitForNotification();
    resolver.stop();
  }
  silent.reset();
  EXPECT_FALSE(end.HasBeenNotified());
  go_on.Notify();
  end.WaitForNotification();
}

TEST_F(ResolverTest, WithoutAThreadTheErrorIsTold) {
  kernel_.fail(KernelCall::kThreadStart, EAGAIN);
  failed_ = 1;
  absl::Status told;
  const absl::Status started = resolver_.start(
      host_port("a.example"), [&](Addresses addresses) { told = addresses.status(); });
  const absl::Status& status = started.ok() ? told : started;
  EXPECT_TRUE(absl::StrContains(status.message(), "EAGAIN")) << status;
  // The next one tries again.
  absl::Notification done;
  EXPECT_TRUE(resolver_.start(host_port("a.example"), [&](Addresses) { done.Notify(); }).ok());
  done.WaitForNotification();
}

// A request is not lost with the thread of another one.
TEST_F(ResolverTest, AThreadThatFailsToStartLosesNobodyElsesRequest) {
  absl::Notification first_starts;
  absl::Notification second_failed;
  kernel_.before(KernelCall::kThreadStart, [&](const FaultKernel::Call& call) {
    if (call.nth != 1) return;
    first_starts.Notify();
    second_failed.WaitForNotification();
  });
  kernel_.fail(KernelCall::kThreadStart, EAGAIN, 2);
  failed_ = 1;
  absl::Notification first_done;
  std::thread first([&] {
    EXPECT_TRUE(
        resolver_.start(host_port("a.example"), [&](Addresses) { first_done.Notify(); }).ok());
  });
  first_starts.WaitForNotification();
  std::atomic<bool> second_done{false};
  (void)resolver_.start(host_port("a.example"), [&](Addresses) { second_done = true; });
  second_failed.Notify();
  first.join();
  first_done.WaitForNotification();
  resolver_.stop();  // before second_done goes
}

// Once it looks up a name a thread is not free any more, even if whoever starts it does not know of
// it yet.
TEST_F(ResolverTest, ANameDoesNotWaitForTheNameOfAThreadThatHasJustStarted) {
  absl::Notification in_lookup, may_find, second_done;
  kernel_.after(KernelCall::kThreadStart, [&](const FaultKernel::Call& call) {
    if (call.nth == 1) second_done.WaitForNotification();
  });
  kernel_.before(KernelCall::kResolve, [&](const FaultKernel::Call& call) {
    if (call.nth != 1) return;
    in_lookup.Notify();
    may_find.WaitForNotification();
  });
  absl::Notification first_done;
  std::thread first([&] {
    EXPECT_TRUE(
        resolver_.start(host_port("a.example"), [&](Addresses) { first_done.Notify(); }).ok());
  });
  in_lookup.WaitForNotification();
  EXPECT_TRUE(
      resolver_.start(host_port("a.example"), [&](Addresses) { second_done.Notify(); }).ok());
  second_done.WaitForNotification();
  may_find.Notify();
  first.join();
  first_done.WaitForNotification();
  EXPECT_EQ(started(), 2u);
}

// stop() waits for a thread whose start is under way, or nobody would join it.
TEST_F(ResolverTest, AThreadThatStartsDuringStopIsJoined) {
  absl::Notification starts;
  absl::Notification go_on;
  kernel_.before(KernelCall::kThreadStart, [&](const FaultKernel::Call&) {
    starts.Notify();
    go_on.WaitForNotification();
  });
  std::thread starter([&] { (void)resolver_.start(host_port("a.example"), [](Addresses) {}); });
  starts.WaitForNotification();
  absl::Notification waits;
  kernel_.before(KernelCall::kPark, [&](const FaultKernel::Call&) {
    if (!waits.HasBeenNotified()) waits.Notify();
  });
  absl::Notification stopped;
  std::thread stopper([&] {
    resolver_.stop();
    stopped.Notify();
    if (!waits.HasBeenNotified()) waits.Notify();
  });
  waits.WaitForNotification();
  EXPECT_FALSE(stopped.HasBeenNotified());
  kernel_.before(KernelCall::kPark, nullptr);
  go_on.Notify();
  stopper.join();
  starter.join();
}

}  // namespace
}  // namespace epore::internal
