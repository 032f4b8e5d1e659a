// What becomes of a listener whose runs find no memory: each of their allocations fails in turn. It
// goes on, also where no event of its socket would let it run again.

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/internal/base/frame_cache.h"
#include "epore/runtime/internal/endpoints/accept_queue.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
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

}  // namespace
}  // namespace epore
