// What becomes of a listener whose runs find no memory: each of their allocations fails in turn. It
// goes on, also where no event of its socket would let it run again.

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/log_severity.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/endpoints/accept_queue.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/clock_kernel.h"
#include "tests/support/log_lines.h"
#include "tests/support/scarce_memory.h"

namespace epore {
namespace {

class ScarceListenerTest : public RuntimeTest {
 protected:
  // A thread has memory again when it waits, for events or as one that does not lead.
  void end_before_waits(std::function<void()> then = [] {}) {
    const auto enough = [then](const FaultKernel::Call&) {
      if (ScarceMemory::stop()) then();
    };
    kernel_.before(KernelCall::kEpollWait, enough);
    kernel_.before(KernelCall::kPoll, enough);
    kernel_.before(KernelCall::kIoUringEnter, enough);
    kernel_.before(KernelCall::kPark, enough);
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, ScarceListenerTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(ScarceListenerTest, OneThatPausesGoesOn) {
  for (int k = 1; k <= 10; ++k) {
    SCOPED_TRACE(k);
    Runtime runtime(options());
    const Listener listener = listen_on_loopback(runtime, [](Connection& c) { c.close(); });
    end_before_waits();
    kernel_.after(KernelCall::kAccept, [k](const FaultKernel::Call& call) {
      if (call.result.error() == EMFILE) ScarceMemory::fail(k);
    });
    kernel_.fail(KernelCall::kAccept, EMFILE);
    Peer peer(listener.address());
    EXPECT_EQ(peer.end(), 0);
    peer.close();
    EXPECT_TRUE(runtime.shutdown().ok());
  }
}

TEST_P(ScarceListenerTest, OneThatPausesAtItsLimitGoesOn) {
  for (int k = 1; k <= 10; ++k) {
    SCOPED_TRACE(k);
    Runtime runtime(options());
    ListenOptions limited;
    limited.max_connections = 1;
    const Listener listener = listen_on_loopback(
        runtime, [](Connection&) {}, limited);
    end_before_waits();
    kernel_.after(KernelCall::kAccept, [k](const FaultKernel::Call& call) {
      if (call.result.ok()) ScarceMemory::fail(k);
    });
    // The third client may come in the run that has accepted the second one.
    kernel_.before(KernelCall::kAccept, [](const FaultKernel::Call&) { ScarceMemory::stop(); });
    Peer first(listener.address());
    Peer second(listener.address());
    first.reset();
    (void)::shutdown(second.fd(), SHUT_WR);  // unless it was reset before
    (void)second.end();
    kernel_.after(KernelCall::kAccept, nullptr);
    Peer third(listener.address());
    third.half_close();
    EXPECT_EQ(third.end(), 0);
    third.close();
    EXPECT_TRUE(runtime.shutdown().ok());
  }
}

// The poll thread runs the listener and nothing else. The poll(2) engine allocates there as well.
TEST_P(ScarceListenerTest, OneThatIsIdleGoesOnForATask) {
  if (GetParam().dispatch != Dispatch::workers || GetParam().selector != "epoll") return;
  constexpr std::size_t kBlock = sizeof(internal::AcceptedConnection);
  std::vector<void*> blocks;
  std::atomic<bool> is_scarce{true};
  {
    Runtime runtime(options());
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0");
    ASSERT_TRUE(listener.ok()) << listener.status();
    Peer peer(listener->address());
    fence(runtime);  // the listener has found no task
    end_before_waits([&] { is_scarce = false; });
    kernel_.after(wait_call(GetParam()), [&](const FaultKernel::Call&) {
      if (!is_scarce) return;
      // What the cache of the thread has would do.
      for (int i = 0; i < 300; ++i) blocks.push_back(internal::FrameCache::allocate(kBlock));
      ScarceMemory::fail(1);
    });
    const absl::Status served = runtime.run([&]() -> Task<> {
      Connection c = co_await within(absl::Seconds(30), listener->accept());
      co_await c.write("you");
    });
    EXPECT_TRUE(served.ok()) << served;
    if (served.ok()) {
      EXPECT_EQ(peer.receive_all(), "you");
    }
  }
  for (void* const block : blocks) internal::FrameCache::free(block, kBlock);
}

// Its poll thread finds no memory for the first thing that it wants in each turn.
class ScarceKernel : public ClockKernel {
 public:
  explicit ScarceKernel(Kernel& inner) : ClockKernel(inner) {}

  int failures() const { return failures_; }
  void set_scarce(bool is_scarce) { is_scarce_ = is_scarce; }

  SysResult epoll_wait(int epfd, epoll_event* events, int capacity, int timeout_ms) override {
    end_turn();
    const SysResult ready = ClockKernel::epoll_wait(epfd, events, capacity, timeout_ms);
    begin_turn();
    return ready;
  }
  SysResult epoll_pwait2(int epfd, epoll_event* events, int capacity,
                         const timespec* timeout) override {
    end_turn();
    const SysResult ready = ClockKernel::epoll_pwait2(epfd, events, capacity, timeout);
    begin_turn();
    return ready;
  }

  // At the end of the test, where no thread of the runtime is left.
  void free_blocks() {
    for (void* const block : blocks_) internal::FrameCache::free(block, kBlock);
  }

 private:
  static constexpr std::size_t kBlock = sizeof(internal::AcceptedConnection);

  void end_turn() { failures_ += ScarceMemory::stop() ? 1 : 0; }
  void begin_turn() {
    if (!is_scarce_) return;
    // What the cache of the thread has would do.
    while (blocks_.size() < 300) blocks_.push_back(internal::FrameCache::allocate(kBlock));
    (void)now();  // the first one of a turn allocates, see ClockKernel
    ScarceMemory::fail(1);
  }

  std::atomic<bool> is_scarce_{false};
  std::atomic<int> failures_{0};
  std::vector<void*> blocks_;  // the poll thread
};

// As above: the poll thread runs the listener and nothing else. What waits in the backlog would be
// reported again at once.
TEST_P(ScarceListenerTest, OneThatFindsNoMemoryForATaskBacksOff) {
  if (GetParam().dispatch != Dispatch::workers || GetParam().selector != "epoll") return;
  ScarceKernel kernel(system_);
  LogLines log(absl::LogSeverity::kWarning);
  {
    RuntimeOptions scarce = options();
    scarce.kernel = &kernel;
    Runtime runtime(scarce);
    absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0");
    ASSERT_TRUE(listener.ok()) << listener.status();
    Job job = runtime.spawn([&]() -> Task<> {
      Connection c = co_await listener->accept();
      co_await c.write("you");
    });
    kernel.set_scarce(true);
    Peer peer(listener->address());
    while (kernel.failures() == 0) std::this_thread::yield();
    ASSERT_EQ(runtime.counters().accept_pauses, 1u);
    int expected = 1;
    for (const int milliseconds : {10, 20, 40, 80}) {
      kernel.await_waiters();
      EXPECT_EQ(kernel.failures(), expected) << "before " << milliseconds << " ms";
      kernel.advance(absl::Milliseconds(milliseconds) - absl::Nanoseconds(1));
      kernel.await_waiters();
      EXPECT_EQ(kernel.failures(), expected) << "within " << milliseconds << " ms";
      kernel.advance(absl::Nanoseconds(1));
      ++expected;
      while (kernel.failures() < expected) std::this_thread::yield();
    }
    kernel.set_scarce(false);
    kernel.await_waiters();
    kernel.advance(absl::Milliseconds(160));
    EXPECT_EQ(peer.receive_all(), "you");
    EXPECT_TRUE(job.wait().ok());
  }
  EXPECT_EQ(log.count("pauses (1 failures since the last message): accept: no memory"), 1)
      << log.text();
  EXPECT_EQ(log.count("pauses"), 1) << log.text();
  kernel.free_blocks();
}

}  // namespace
}  // namespace epore
