// FaultyNetwork: what comes in pieces comes whole, and what is refused is refused once.

#include "epore/runtime/testing/faulty_network.h"

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/errno_of.h"
#include "epore/runtime/runtime.h"
#include "epore/runtime/testing/manual_clock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace epore {
namespace {

class FaultyNetworkTest : public testing::TestWithParam<std::tuple<Dispatch, std::string>> {
 protected:
  RuntimeOptions options() {
    return {.workers = 2,
            .dispatch = std::get<0>(GetParam()),
            .selector = std::get<1>(GetParam()),
            .kernel = network_.kernel()};
  }

  FaultyNetwork network_;
};

Task<> echo(Connection peer) {
  while (ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

Task<std::vector<std::size_t>> sizes_of_answer(std::string address, std::string text) {
  Connection server = co_await connect(address);
  co_await server.write(text);
  std::string got;
  std::vector<std::size_t> sizes;
  while (got.size() < text.size()) {
    ByteView bytes = co_await server.read();
    if (bytes.empty()) co_await absl::DataLossError("the stream has ended");
    sizes.push_back(bytes.size());
    got.append(bytes.text());
  }
  if (got != text) co_await absl::DataLossError("other bytes");
  co_return sizes;
}

TEST_P(FaultyNetworkTest, EveryReadGivesOneByteAndNoneIsLost) {
  const TemporaryDirectory directory;
  network_.shrink_reads(1);
  for (const std::string& address : {std::string("127.0.0.1:0"), "unix:" + directory.path("x")}) {
    Runtime runtime(options());
    absl::StatusOr<Listener> listener = runtime.listen(address, echo);
    ASSERT_TRUE(listener.ok()) << listener.status();
    const absl::StatusOr<std::vector<std::size_t>> sizes = runtime.run(
        sizes_of_answer, listener->address().to_string(), std::string("hello, a parser"));
    ASSERT_TRUE(sizes.ok()) << sizes.status();
    EXPECT_EQ(*sizes, std::vector<std::size_t>(15, 1)) << address;
  }
}

TEST_P(FaultyNetworkTest, CallbacksGetPiecesAsWell) {
  std::vector<std::size_t> sizes;
  network_.shrink_reads(2);
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", [&](Connection& peer) {
    peer.on_data([&](Connection& c, std::span<const std::byte> bytes) {
      sizes.push_back(bytes.size());
      c.send(bytes);
    });
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(
      runtime.run(sizes_of_answer, listener->address().to_string(), std::string("12345")).ok());
  for (const std::size_t size : sizes) EXPECT_LE(size, 2u);
}

TEST_P(FaultyNetworkTest, ShortWritesLoseNothing) {
  network_.shrink_writes(7);
  network_.shrink_reads(5);
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::string text;
  for (int i = 0; i < 2000; ++i) text += std::to_string(i);
  const auto sizes = runtime.run(sizes_of_answer, listener->address().to_string(), text);
  EXPECT_TRUE(sizes.ok()) << sizes.status();
}

Task<> meet(std::string address) { co_await connect(address); }

TEST_P(FaultyNetworkTest, OneConnectIsRefused) {
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = listener->address().to_string();
  network_.refuse_next_connect(ENETUNREACH);
  const absl::Status refused = runtime.run(meet, address);
  EXPECT_EQ(errno_of(refused), ENETUNREACH) << refused;
  const absl::Status accepted = runtime.run(meet, address);
  EXPECT_TRUE(accepted.ok()) << accepted;
}

// What asks whether somebody listens at a path takes no refusal: it would remove the file.
TEST_P(FaultyNetworkTest, AListenerInUseIsNotRefused) {
  const TemporaryDirectory directory;
  const std::string address = "unix:" + directory.path("x");
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen(address, echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  network_.refuse_next_connect(ECONNREFUSED);
  const absl::StatusOr<Listener> second = runtime.listen(address, echo);
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_EQ(errno_of(runtime.run(meet, address)), ECONNREFUSED);
  const absl::Status accepted = runtime.run(meet, address);
  EXPECT_TRUE(accepted.ok()) << accepted;
}

TEST_P(FaultyNetworkTest, ASocketOfDatagramsIsNotRefused) {
  Runtime runtime(options());
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  network_.refuse_next_connect(ENETUNREACH);
  UdpOptions connected;
  connected.peer = listener->address();
  const absl::StatusOr<UdpSocket> socket = runtime.udp("", connected);
  EXPECT_TRUE(socket.ok()) << socket.status();
  EXPECT_EQ(errno_of(runtime.run(meet, listener->address().to_string())), ENETUNREACH);
}

// The read of a line that comes byte by byte has one deadline for all of it.
Task<> read_line(std::string address) {
  Connection server = co_await connect(address);
  co_await server.write("abc");
  co_await within(absl::Seconds(5), server.read_until("\n", 10));
}

TEST_P(FaultyNetworkTest, AManualClockGoesWithIt) {
  network_.shrink_reads(1);
  ManualClock clock(network_.kernel());
  RuntimeOptions options = this->options();
  options.kernel = clock.kernel();
  Runtime runtime(options);
  absl::StatusOr<Listener> listener = runtime.listen("127.0.0.1:0", echo);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Job job = runtime.spawn(read_line, listener->address().to_string());
  while (!job.status().has_value()) {
    clock.advance(absl::Seconds(1));
    if (options.dispatch != Dispatch::caller) continue;
    ASSERT_TRUE(runtime.run_once(absl::ZeroDuration()).ok());
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(*job.status())) << *job.status();
}

std::string name_of(const testing::TestParamInfo<std::tuple<Dispatch, std::string>>& info) {
  return std::string(dispatch_name(std::get<0>(info.param))) + "_" + std::get<1>(info.param);
}

INSTANTIATE_TEST_SUITE_P(All, FaultyNetworkTest,
                         testing::Combine(testing::Values(Dispatch::adaptive, Dispatch::workers,
                                                          Dispatch::poll_thread, Dispatch::caller),
                                          testing::Values("epoll", "poll", "io_uring")),
                         name_of);

TEST(FaultyNetworkDeathTest, ALimitOfNothingIsNoLimit) {
  FaultyNetwork network;
  EXPECT_DEATH(network.shrink_reads(0), "end of the stream");
  EXPECT_DEATH(network.shrink_writes(0), "0 bytes");
  EXPECT_DEATH(network.refuse_next_connect(0), "no errno");
}

TEST(FaultyNetworkDeathTest, WhatRefusesNothingIsNoRefusal) {
  FaultyNetwork network;
  for (const int error : {EINPROGRESS, EINTR, EAGAIN}) {
    EXPECT_DEATH(network.refuse_next_connect(error), "refuses nothing") << error;
  }
}

}  // namespace
}  // namespace epore
