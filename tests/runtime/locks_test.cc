// No lock of epore's is held during its system calls, during callbacks, and while what they
// captured is destroyed.
//
// The witness is a lock of the test. The program has it while it calls epore: so it comes before
// every lock that such a call takes. Each system call and each callback takes it: so it comes
// behind every lock that is held there. One that is both makes a cycle. Abseil looks for cycles
// where NDEBUG is not defined, as in all builds of .ci/run, and ends the test. That goes for a
// cycle of two of epore's own locks in any other test, too.

#include <sys/eventfd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/base/const_init.h"
#include "absl/base/thread_annotations.h"
#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

absl::Mutex witness(absl::kConstInit);
thread_local bool has_witness = false;

// Takes the witness, unless this thread has it.
class Witness {
 public:
  Witness() ABSL_NO_THREAD_SAFETY_ANALYSIS : takes_(!std::exchange(has_witness, true)) {
    if (takes_) witness.Lock();
  }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (!takes_) return;
    has_witness = false;
    witness.Unlock();
  }

 private:
  const bool takes_;
};

// What a callback has captured: its destructor takes a lock of the program.
struct Captured {
  ~Captured() { const Witness taken; }
};
std::shared_ptr<Captured> captured() { return std::make_shared<Captured>(); }

class LocksTest : public RuntimeTest {
 protected:
  LocksTest() {
    kernel_.before_each([](const FaultKernel::Call&) { const Witness taken; });
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, LocksTest, testing::ValuesIn(all_modes()), mode_name);

// Calls what does not wait for another thread, with or without the witness.
void use(Runtime& runtime, bool with_witness) {
  absl::Notification echoed;
  absl::Notification posted;
  absl::Notification fired;
  absl::Notification in_order;
  absl::Notification received;
  absl::Notification readable;
  const OwnedFd event(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  std::optional<Witness> held;
  if (with_witness) held.emplace();

  Listener listener = listen_on_loopback(runtime, [own = captured()](Connection& peer) {
    const Witness taken;
    peer.on_data([own = captured()](Connection& c, std::span<const std::byte> bytes) {
      const Witness taken;
      c.send(bytes);
    });
    peer.on_closed([own = captured()](Connection&, const absl::Status&) { const Witness taken; });
  });
  runtime.connect(listener.address().to_string(),
                  [&, own = captured()](absl::StatusOr<Connection> connection) {
                    const Witness taken;
                    CHECK_OK(connection.status());
                    connection->on_data([&](Connection& c, std::span<const std::byte>) {
                      const Witness taken;
                      c.close();
                      echoed.Notify();
                    });
                    connection->send("x");
                  });
  CHECK_OK(runtime.post([&, own = captured()] {
    const Witness taken;
    CHECK_OK(runtime.post([&] { posted.Notify(); }));
  }));
  Timer timer = runtime.timer([own = captured()] { const Witness taken; });
  timer.arm(absl::Hours(1));
  timer.cancel();
  (void)runtime.post_after(absl::ZeroDuration(), [&, own = captured()] {
    const Witness taken;
    fired.Notify();
  });
  const Order order = runtime.order();
  CHECK_OK(order.post([&, own = captured()] {
    const Witness taken;
    in_order.Notify();
  }));
  const absl::StatusOr<UdpSocket> udp = runtime.udp(
      "127.0.0.1:0",
      [&, own = captured()](UdpSocket& self, absl::StatusOr<std::span<const Datagram>> got) {
        const Witness taken;
        if (!got.ok()) return;
        self.close();
        received.Notify();
      });
  CHECK_OK(udp.status());
  CHECK_OK(udp->send("x", udp->address()));
  const auto watch = runtime.watch(event.get(), Interest::readable(),
                                   [&, own = captured()](Watch& self, absl::StatusOr<Readiness>) {
                                     const Witness taken;
                                     self.cancel();
                                     readable.Notify();
                                   });
  CHECK_OK(watch.status());
  const Job job = runtime.spawn([own = captured()]() -> Task<> {
    const Witness taken;
    co_await sleep_for(absl::ZeroDuration());
  });
  (void)runtime.counters();

  held.reset();
  for (const absl::Notification* one :
       {&echoed, &posted, &fired, &in_order, &received, &readable}) {
    one->WaitForNotification();
  }
  EXPECT_TRUE(job.wait().ok());
  EXPECT_TRUE(listener.close_and_wait().ok());
}

TEST_P(LocksTest, NoneIsHeldInSystemCallsAndCallbacks) {
  Runtime runtime(options());
  for (const bool with_witness : {true, false, true}) use(runtime, with_witness);
}

// The test above can fail.
TEST(LocksDeathTest, ACycleEndsTheProgram) {
#ifdef NDEBUG
  GTEST_SKIP() << "Abseil looks for no cycles in this build";
#endif
  absl::Mutex of_a_call;
  const auto call = [&of_a_call] {
    const absl::MutexLock lock(&of_a_call);
    const Witness taken;
  };
  const auto use_with_witness = [&] {
    const Witness taken;
    call();
  };
  EXPECT_DEATH(
      {
        use_with_witness();
        call();
      },
      "otential.*deadlock");
}

}  // namespace
}  // namespace epore
