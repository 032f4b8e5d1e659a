// A test that moves the time of a runtime itself, with an installed epore.

#include <atomic>

#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/testing/faulty_network.h"
#include "epore/runtime/testing/manual_clock.h"

int main() {
  std::atomic<bool> has_fired{false};
  epore::FaultyNetwork network;
  epore::ManualClock clock(network.kernel());
  epore::Runtime runtime({.kernel = clock.kernel()});
  const epore::Timer timer = runtime.post_after(absl::Hours(1), [&has_fired] { has_fired = true; });
  clock.advance(absl::Hours(1));
  return has_fired ? 0 : 1;
}
