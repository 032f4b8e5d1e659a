#include "epore/runtime/options.h"

#include <cstddef>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/send_result.h"
#include "epore/runtime/udp.h"
#include "gtest/gtest.h"
#include "tests/support/log_lines.h"

namespace epore {
namespace {

// That a value is refused, by a message that names the option.
void expect_bad(const absl::Status& status, std::string_view name) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
  EXPECT_TRUE(absl::StrContains(status.message(), name)) << status;
}

TEST(DispatchTest, NamesGoThereAndBack) {
  for (Dispatch dispatch :
       {Dispatch::adaptive, Dispatch::workers, Dispatch::poll_thread, Dispatch::caller}) {
    EXPECT_EQ(parse_dispatch(dispatch_name(dispatch)), dispatch);
  }
  EXPECT_EQ(parse_dispatch(""), std::nullopt);
  EXPECT_EQ(parse_dispatch("Workers"), std::nullopt);
}

TEST(OptionsTest, DefaultsServe) {
  EXPECT_TRUE(RuntimeOptions().check().ok());
  EXPECT_TRUE(ListenOptions().check().ok());
  EXPECT_TRUE(ConnectOptions().check().ok());
  EXPECT_TRUE(ConnectionOptions().check().ok());
}

template <typename Options, typename Change>
Options with(Change change) {
  Options options;
  change(options);
  return options;
}

TEST(OptionsTest, ARuntimeThatIsRefusedSaysSoInTheLog) {
  const LogLines lines;
  const Runtime good;
  EXPECT_FALSE(lines.has("Runtime:"));
  const Runtime bad(with<RuntimeOptions>([](RuntimeOptions& o) { o.reactors = 0; }));
  EXPECT_EQ(lines.count("epore: Runtime: RuntimeOptions::reactors is 0"), 1);
}

TEST(OptionsTest, RuntimeValuesOutOfRangeAreRefusedByName) {
  using R = RuntimeOptions;
  expect_bad(with<R>([](R& o) { o.reactors = 0; }).check(), "reactors");
  expect_bad(with<R>([](R& o) { o.reactors = 100'000; }).check(), "reactors");
  constexpr int kLeast = std::numeric_limits<int>::min();
  expect_bad(Runtime(with<R>([](R& o) { o.reactors = kLeast; })).status(), "reactors");
  expect_bad(with<R>([](R& o) { o.workers = -1; }).check(), "workers");
  expect_bad(with<R>([](R& o) { o.dispatch = static_cast<Dispatch>(77); }).check(),
             "dispatch is 77");
  expect_bad(with<R>([](R& o) { o.thread_name = ""; }).check(), "thread_name is empty");
  expect_bad(with<R>([](R& o) { o.events_per_poll = 0; }).check(), "events_per_poll");
  expect_bad(with<R>([](R& o) { o.drain_timeout = -absl::Nanoseconds(1); }).check(),
             "drain_timeout");
  expect_bad(with<R>([](R& o) { o.selector = "kqueue"; }).check(), "RuntimeOptions::selector");
  for (const char* known : {"", "epoll", "poll"}) {
    EXPECT_TRUE(with<R>([&](R& o) { o.selector = known; }).check().ok());
  }
  expect_bad(with<R>([](R& o) { o.blocked_callback_warning = -absl::Nanoseconds(1); }).check(),
             "blocked_callback_warning");
  for (const absl::Duration warning : {absl::ZeroDuration(), absl::InfiniteDuration()}) {
    EXPECT_TRUE(with<R>([&](R& o) { o.blocked_callback_warning = warning; }).check().ok());
  }
  EXPECT_TRUE(with<R>([](R& o) { o.drain_timeout = absl::InfiniteDuration(); }).check().ok());
  EXPECT_TRUE(with<R>([](R& o) { o.drain_timeout = absl::ZeroDuration(); }).check().ok());
}

TEST(OptionsTest, ConnectionValuesOutOfRangeAreRefusedByName) {
  using C = ConnectionOptions;
  expect_bad(with<C>([](C& o) { o.idle_timeout = absl::ZeroDuration(); }).check(), "idle_timeout");
  expect_bad(with<C>([](C& o) { o.write_stall_timeout = -absl::Seconds(1); }).check(),
             "write_stall_timeout");
  expect_bad(with<C>([](C& o) { o.linger_timeout = -absl::Seconds(1); }).check(), "linger_timeout");
  expect_bad(with<C>([](C& o) { o.write_low_mark = o.write_high_mark + 1; }).check(),
             "write_low_mark");
  expect_bad(with<C>([](C& o) { o.write_cap = o.write_high_mark - 1; }).check(), "write_cap");
  for (const absl::Duration bad : {-absl::Seconds(1), absl::Seconds(32768)}) {
    expect_bad(with<C>([&](C& o) { o.keep_alive_idle = bad; }).check(), "keep_alive_idle");
    expect_bad(with<C>([&](C& o) { o.keep_alive_interval = bad; }).check(), "keep_alive_interval");
  }
  expect_bad(with<C>([](C& o) {
               o.keep_alive = false;
               o.keep_alive_probes = 3;
             }).check(),
             "keep_alive is false");
  for (const int bad : {-1, 128}) {
    expect_bad(with<C>([&](C& o) { o.keep_alive_probes = bad; }).check(), "keep_alive_probes");
  }
  for (const absl::Duration bad : {absl::ZeroDuration(), -absl::Seconds(1), absl::Hours(24 * 25)}) {
    expect_bad(with<C>([&](C& o) { o.user_timeout = bad; }).check(), "user_timeout");
  }
  expect_bad(with<C>([](C& o) { o.send_buffer = -1; }).check(), "send_buffer");
  expect_bad(with<C>([](C& o) { o.receive_buffer = -1; }).check(), "receive_buffer");
  for (const int bad : {-1, 256}) {
    expect_bad(with<C>([&](C& o) { o.traffic_class = bad; }).check(), "traffic_class");
  }
  EXPECT_TRUE(
      with<C>([](C& o) { o.write_low_mark = o.write_high_mark = o.write_cap = 0; }).check().ok());
}

TEST(OptionsTest, ListenAndConnectCheckTheConnectionToo) {
  using L = ListenOptions;
  using C = ConnectOptions;
  expect_bad(with<L>([](L& o) { o.backlog = 0; }).check(), "backlog");
  expect_bad(with<L>([](L& o) { o.accept_budget = 0; }).check(), "accept_budget");
  expect_bad(with<L>([](L& o) { o.connection.write_cap = 0; }).check(), "write_cap");
  expect_bad(with<C>([](C& o) { o.timeout = absl::ZeroDuration(); }).check(), "timeout");
  expect_bad(with<C>([](C& o) { o.connection.write_cap = 0; }).check(), "write_cap");
  const absl::Duration shortest = absl::Milliseconds(10);  // RFC 8305, 8
  expect_bad(
      with<C>([&](C& o) { o.connection_attempt_delay = shortest - absl::Nanoseconds(1); }).check(),
      "connection_attempt_delay");
  for (const absl::Duration delay : {shortest, absl::InfiniteDuration()}) {
    EXPECT_TRUE(with<C>([&](C& o) { o.connection_attempt_delay = delay; }).check().ok());
  }
  expect_bad(with<C>([](C& o) { o.max_addresses = 0; }).check(), "max_addresses");
  expect_bad(with<C>([](C& o) { o.max_addresses = 1001; }).check(), "max_addresses");
  expect_bad(with<C>([](C& o) { o.local = SocketAddress::parse("unix:@a").value(); }).check(),
             "ConnectOptions::local is unix:@a");
}

TEST(OptionsTest, AHugeSizeIsNamedAsItIs) {
  constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();
  const std::string is_huge = absl::StrCat(" is ", kHuge, ", must be");
  expect_bad(with<RuntimeOptions>([](RuntimeOptions& o) { o.events_per_poll = kHuge; }).check(),
             "events_per_poll" + is_huge);
  expect_bad(
      with<ConnectionOptions>([](ConnectionOptions& o) { o.max_descriptors = kHuge; }).check(),
      "max_descriptors" + is_huge);
  expect_bad(with<ListenOptions>([](ListenOptions& o) { o.accept_budget = kHuge; }).check(),
             "accept_budget" + is_huge);
  expect_bad(with<ConnectOptions>([](ConnectOptions& o) { o.max_addresses = kHuge; }).check(),
             "max_addresses" + is_huge);
  expect_bad(with<UdpOptions>([](UdpOptions& o) { o.batch = kHuge; }).check(), "batch" + is_huge);
}

TEST(SendResultTest, StatusSaysWhatBecameOfTheBytes) {
  EXPECT_TRUE(SendResult(SendResult::queued).ok());
  EXPECT_TRUE(SendResult(SendResult::high).ok());
  EXPECT_FALSE(SendResult(SendResult::closed).ok());
  EXPECT_FALSE(SendResult(SendResult::over_cap).ok());
  EXPECT_TRUE(SendResult(SendResult::high).status().ok());
  EXPECT_EQ(SendResult(SendResult::closed).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(SendResult(SendResult::over_cap).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace epore
