#ifndef EPORE_TESTS_RUNTIME_SETTLE_H_
#define EPORE_TESTS_RUNTIME_SETTLE_H_

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/support/idle_kernel.h"

namespace epore {

// For a runtime with one reactor that runs closures on its poll thread, Dispatch::adaptive or
// poll_thread. It costs this many posts, each one wake and one turn.
inline constexpr std::uint64_t kSettlePosts = 2;

// Returns when the poll thread sleeps, and has nothing left to do. Nobody else may give it work.
//
// Twice, as the wake of the first post may come after its closure was run, when the poll thread had
// something else to do at the time, and then it is an empty turn. That of the second cannot.
inline void settle(const IdleKernel& kernel, Runtime& runtime) {
  for (std::uint64_t i = 0; i < kSettlePosts; ++i) {
    std::uint64_t sleeps = 0;
    absl::Notification ran;
    ASSERT_TRUE(runtime
                    .post([&] {
                      sleeps = kernel.sleeps("epore-poll0");
                      ran.Notify();
                    })
                    .ok());
    ran.WaitForNotification();
    kernel.await_sleeps("epore-poll0", sleeps + 1);
  }
}

// Moves the clock in ticks of the watchdog until it sleeps, and returns how many that took. For a
// runtime with one reactor, whose other threads have nothing to do.
inline int idle_watchdog(IdleKernel& kernel, int workers = 2) {
  constexpr int kMost = 100;
  int ticks = 0;
  kernel.await_sleeps("epore-watchdog", 1);
  kernel.await_sleeps("epore-poll0", 1);
  for (int i = 0; i < workers; ++i) kernel.await_sleeps(absl::StrCat("epore-worker", i), 1);
  while (!kernel.is_parked_for_good("epore-watchdog") && ticks < kMost) {
    const std::uint64_t sleeps = kernel.sleeps("epore-watchdog");
    kernel.advance(absl::Milliseconds(8));
    ++ticks;
    kernel.await_sleeps("epore-watchdog", sleeps + 1);
  }
  EXPECT_LT(ticks, kMost) << "the watchdog does not sleep";
  return ticks;
}

}  // namespace epore

#endif  // EPORE_TESTS_RUNTIME_SETTLE_H_
