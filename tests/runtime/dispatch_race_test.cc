// The end of a connection between an event and the callback that answers it, at every place
// where a thread can be stopped in between.

#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/hold.h"

namespace epore {
namespace {

enum class Place { after_the_wait, before_the_read };
enum class End { abort, abort_and_connect_anew, close, shutdown };
enum class Member { of_no_order, of_an_order };

class DispatchRaceTest : public testing::TestWithParam<std::tuple<Mode, Place, End, Member>> {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options;
    options.workers = 2;
    options.dispatch = mode().dispatch;
    options.selector = mode().selector;
    options.require_selector = true;
    options.kernel = &kernel_;
    return options;
  }
  static Mode mode() { return std::get<0>(GetParam()); }
  static Place place() { return std::get<1>(GetParam()); }
  static End end() { return std::get<2>(GetParam()); }
  static bool is_member() { return std::get<3>(GetParam()) == Member::of_an_order; }

  const ExpectNoFdLeak no_leak_;
  FaultKernel kernel_;
};

std::string name(const testing::TestParamInfo<DispatchRaceTest::ParamType>& info) {
  const Mode& mode = std::get<0>(info.param);
  const char* const places[] = {"after_the_wait", "before_the_read"};
  const char* const ends[] = {"abort", "abort_and_connect_anew", "close", "shutdown"};
  return std::string(dispatch_name(mode.dispatch)) + "_" + mode.selector + "_" +
         places[static_cast<int>(std::get<1>(info.param))] + "_" +
         ends[static_cast<int>(std::get<2>(info.param))] +
         (std::get<3>(info.param) == Member::of_an_order ? "_in_an_order" : "");
}

INSTANTIATE_TEST_SUITE_P(
    Everywhere, DispatchRaceTest,
    testing::Combine(testing::ValuesIn(all_modes()),
                     testing::Values(Place::after_the_wait, Place::before_the_read),
                     testing::Values(End::abort, End::abort_and_connect_anew, End::close,
                                     End::shutdown),
                     testing::Values(Member::of_no_order, Member::of_an_order)),
    name);

TEST_P(DispatchRaceTest, F03ItEndsOnceAndNothingIsToldAfterwards) {
  if (place() == Place::before_the_read && !reads_by_recv(mode())) return;  // no such place
  Observer observer;
  Observer newcomer;
  Runtime runtime(options());
  ListenOptions listen;
  if (is_member()) listen.order = runtime.order();
  Link link = open_link(runtime, observer, listen);
  fence(link.connection);
  const KernelCall wait = wait_call(mode());
  Hold hold(kernel_, place() == Place::before_the_read ? KernelCall::kRecv : wait,
            place() == Place::before_the_read ? Hold::before : Hold::after);
  link.peer.send("x");
  hold.await();
  // Only the place where it is held decides whether another thread can end it meanwhile.
  const bool can_end_now = mode().dispatch == Dispatch::workers && place() == Place::after_the_wait;
  std::thread stopping;
  switch (end()) {
    case End::abort:
    case End::abort_and_connect_anew:
      link.connection.abort();
      if (can_end_now) (void)observer.await_closed();
      break;
    case End::close:
      link.connection.close();
      link.peer.close();
      break;
    case End::shutdown:
      stopping = std::thread([&] { EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok()); });
      break;
  }
  hold.release();
  (void)observer.await_closed();
  if (stopping.joinable()) stopping.join();
  if (end() == End::abort_and_connect_anew) {
    // It may get the number and the slot of the one before, but nothing that was meant for it.
    Link anew = open_link(runtime, newcomer);
    fence(anew.connection);
    EXPECT_EQ(newcomer.bytes(), "");
    anew.peer.send("y");
    EXPECT_EQ(newcomer.await_bytes(1), "y");
    anew.connection.abort();
    (void)newcomer.await_closed();
  }
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(observer.closed(), 1);
  EXPECT_TRUE(observer.bytes().empty() || observer.bytes() == "x");
}

}  // namespace
}  // namespace epore
