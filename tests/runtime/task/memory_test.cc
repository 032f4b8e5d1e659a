// Each allocation of a task fails in turn: it ends with an error, or works all the same, and leaks
// nothing.

#include <cerrno>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/counted.h"
#include "tests/runtime/task/manual_home.h"
#include "tests/runtime/task/scenarios.h"
#include "tests/support/fault_kernel.h"
#include "tests/support/scarce_memory.h"

namespace epore {
namespace {

using scenarios::Scenario;

class TaskMemoryTest : public testing::TestWithParam<Scenario> {};

INSTANTIATE_TEST_SUITE_P(All, TaskMemoryTest, testing::ValuesIn(scenarios::kAll),
                         scenarios::name_of);

TEST_P(TaskMemoryTest, EachAllocationFails) {
  for (const bool is_stopped : {false, true}) {
    bool was_reached = true;
    for (int k = 1; was_reached; ++k) {
      {
        ManualHome home;
        ScarceMemory::fail(k);
        home.start(GetParam().task());
        while (!home.has_ended()) {
          if (is_stopped && home.turns() == 3) home.ask_stop();
          home.turn();
        }
        was_reached = ScarceMemory::stop();
        const absl::Status& status = home.status();
        EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status) ||
                    absl::IsInternal(status) ||  // a std::bad_alloc of the scenario itself
                    absl::IsCancelled(status) || absl::IsNotFound(status))
            << k << ": " << status;
      }
      ASSERT_EQ(Counted::live(), 0) << k;
      k += k / 20;  // all of the first ones, and some of the rest
    }
  }
}

TEST(TaskMemory, Spawn) {
  Runtime runtime;
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    ScarceMemory::fail(k);
    const Job job = runtime.spawn([counted = Counted()]() -> Task<> { co_await yield(); });
    was_reached = ScarceMemory::stop();
    const absl::Status status = job.wait();
    EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
    EXPECT_EQ(Counted::live(), 0);
  }
}

// A call from another order travels to the connection. (With the cache of frames it hardly needs
// memory, so this is for AddressSanitizer, which has no cache.)
TEST(TaskMemory, AConnectionOfAnotherOrder) {
  Runtime servers;
  RuntimeOptions options;
  options.dispatch = Dispatch::poll_thread;  // both orders are on the thread that has no memory
  Runtime runtime(options);
  absl::StatusOr<Listener> listener = servers.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
    while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = listener->address().to_string();
  const Order near = runtime.order();
  const Order far = runtime.order();
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    Connection c;
    ASSERT_TRUE(
        runtime.spawn_in(near, [&]() -> Task<> { c = co_await connect(address); }).wait().ok());
    const Job job = runtime.spawn_in(far, [&]() -> Task<> {
      ScarceMemory::fail(k);
      const absl::Status written = co_await c.write("x").result();
      was_reached = ScarceMemory::stop();
      co_await written;
      ScarceMemory::fail(k);
      const absl::Status read = (co_await c.read_exactly(1).result()).status();
      was_reached |= ScarceMemory::stop();
      co_await read;
    });
    const absl::Status status = job.wait();
    EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << k << ": " << status;
  }
}

// A write to one connection makes room by writing out what another one of the order has gathered,
// or the end of the run does. The other one's peer takes nothing, and there is no memory to queue
// it: that ends the other one alone.
TEST(TaskMemory, GatheredBytesOfAnotherConnectionOfTheOrder) {
  Runtime servers;
  absl::StatusOr<Listener> listener = servers.listen("127.0.0.1:0", [](Connection peer) -> Task<> {
    while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = listener->address().to_string();
  for (const bool writes_to_both : {true, false}) {
    FaultKernel kernel;
    RuntimeOptions options;
    options.dispatch = Dispatch::poll_thread;
    options.kernel = &kernel;
    Runtime runtime(options);
    const Order order = runtime.order();
    Connection blamed;
    Connection other;
    int fd = -1;
    ASSERT_TRUE(runtime
                    .spawn_in(order,
                              [&]() -> Task<> {
                                blamed = co_await connect(address);
                                fd = blamed.fd();
                                other = co_await connect(address);
                              })
                    .wait()
                    .ok());
    kernel.fail_if(KernelCall::kSend,
                   [fd](const FaultKernel::Call& call) { return call.fd == fd ? EAGAIN : 0; });
    bool was_reached = false;
    std::string echoed;
    const Job job = runtime.spawn_in(order, [&]() -> Task<> {
      co_await blamed.write("lost");
      ScarceMemory::fail(1);
      if (writes_to_both) co_await other.write("sent");
      co_await yield();  // the order's run ends
      was_reached = ScarceMemory::stop();
      if (!writes_to_both) co_await other.write("sent");
      echoed = (co_await other.read_exactly(4)).text();
    });
    EXPECT_TRUE(job.wait().ok()) << job.wait();
    EXPECT_TRUE(was_reached);
    EXPECT_EQ(echoed, "sent");
    absl::Status end;
    const Job ends =
        runtime.spawn_in(order, [&]() -> Task<> { end = (co_await blamed.closed()).reason; });
    EXPECT_TRUE(ends.wait().ok()) << ends.wait();
    EXPECT_TRUE(absl::IsResourceExhausted(end)) << end;
  }
}

TEST(TaskMemory, DumpTasks) {
  Runtime runtime;
  const Job job = runtime.spawn([]() -> Task<> {
    co_await all(sleep_for(absl::Hours(1)), scenarios::give_later(1), sleep_for(absl::Hours(1)));
  });
  bool was_reached = true;
  for (int k = 1; was_reached; ++k) {
    ScarceMemory::fail(k);
    const absl::StatusOr<std::string> text = runtime.dump_tasks(absl::Seconds(100));
    was_reached = ScarceMemory::stop();
    EXPECT_TRUE(text.ok() || absl::IsResourceExhausted(text.status())) << text.status();
  }
  EXPECT_TRUE(runtime.dump_tasks(absl::Seconds(100)).ok());
}

}  // namespace
}  // namespace epore
