// Receives by completions, with sockets and a kernel that can be made to fail: what next() gives,
// in which order, and which buffers of the pool that takes.

#include "epore/poll/engine/completion_queue.h"

#include <linux/io_uring.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/poll/conformance/engine_test.h"

namespace epore {
namespace {

using internal::Arrival;
using internal::BufferPool;
using internal::CompletionQueue;

constexpr Token token_of(std::uint32_t slot, std::uint32_t generation) {
  return Token{std::uint64_t{slot} << 32 | generation};
}
constexpr Token kToken = token_of(3, 1);
constexpr Token kOther = token_of(4, 1);

constexpr std::size_t kSize = BufferPool::kSize;

std::string text_of(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// The other side of `fd` was closed: the end, or a reset if bytes were left unread there.
void expect_closed(int fd) {
  pollfd poll = {fd, POLLIN, 0};
  ASSERT_EQ(::poll(&poll, 1, static_cast<int>(absl::ToInt64Milliseconds(kHangGuard))), 1);
  char byte;
  const ssize_t count = ::read(fd, &byte, 1);
  EXPECT_TRUE(count == 0 || (count < 0 && errno == ECONNRESET)) << count << " " << errno;
}

// May know no flag newer than Linux 5.19.
class OldKernel : public FaultKernel {
 public:
  SysResult io_uring_setup(unsigned entries, io_uring_params* params) override {
    constexpr unsigned kSingleIssuer = 1u << 12;
    if (is_old && (params->flags & kSingleIssuer) != 0) return SysResult::from_errno(EINVAL);
    return FaultKernel::io_uring_setup(entries, params);
  }

  bool is_old = false;
};

class CompletionQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    make_poll();
    if (IsSkipped()) return;
    const absl::Status started = queue_->start();
    if (!started.ok()) GTEST_SKIP() << started;
  }

  void make_poll() {
    poll_ = Poll::create({.selector = "io_uring", .kernel = &kernel_});
    if (!poll_.ok()) GTEST_SKIP() << poll_.status();
    queue_ = poll_->completions();
    ASSERT_NE(queue_, nullptr);
  }

  // Another pool than that of SetUp().
  void use_buffers(unsigned first, unsigned most) {
    make_poll();
    ASSERT_THAT(queue_->start({.first = first, .most = most}), IsOk());
  }

  // Receives from a new connection, and returns the peer's end of it.
  OwnedFd add(Token token) {
    SocketPair pair = tcp_pair();
    queue_->add(token, pair.a.get());
    ends_.push_back(std::move(pair.a));
    expect_no_events(*poll_);
    return std::move(pair.b);
  }

  // Waits for news of any connection.
  void await() {
    Events events(64);
    ASSERT_THAT(poll_->poll(events, kHangGuard), IsOk());
    ASSERT_FALSE(events.empty());
  }

  std::string next(Token token) { return text_of(queue_->next(token).bytes); }

  // Takes what arrives until there are so many bytes.
  std::string take(Token token, std::size_t count) {
    std::string text;
    while (text.size() < count) {
      const Arrival arrival = queue_->next(token);
      text += text_of(arrival.bytes);
      if (!arrival.bytes.empty()) continue;
      if (arrival.error != EAGAIN) break;
      await();
    }
    queue_->release(token);
    return text;
  }

  OldKernel kernel_;
  absl::StatusOr<Poll> poll_;
  CompletionQueue* queue_ = nullptr;
  std::vector<OwnedFd> ends_;  // by add(), the last one last
};

TEST_F(CompletionQueueTest, WhatArrivesIsToldOnceAndNeedsNoRecv) {
  const OwnedFd peer = add(kToken);
  EXPECT_EQ(queue_->next(kToken).error, EAGAIN);
  for (int round = 0; round < 200; ++round) {  // more than there are buffers
    write_all(peer.get(), "ping");
    expect_event(*poll_, kToken, Readiness::readable());
    const Arrival arrival = queue_->next(kToken);
    EXPECT_EQ(text_of(arrival.bytes), "ping");
    EXPECT_TRUE(arrival.is_last);
    EXPECT_EQ(queue_->next(kToken).error, EAGAIN);
    expect_no_events(*poll_);
  }
  EXPECT_EQ(kernel_.calls(KernelCall::kRecv), 0u);
  EXPECT_EQ(queue_->take_dry(), 0u);
}

// A batch ends early, so that what has arrived is read while the caches have it, and says that it
// is not whole. (Kernels before Linux 6.13 complete everything in one call.) What was told was all
// that has left the sockets.
TEST_F(CompletionQueueTest, ABatchOfManyArrivalsEndsEarly) {
  constexpr std::uint32_t kConnections = 60;
  use_buffers(64, 64);
  std::vector<OwnedFd> peers;
  for (std::uint32_t i = 0; i < kConnections; ++i) peers.push_back(add(token_of(i, 1)));
  for (int round = 0; round < 20; ++round) {
    for (const OwnedFd& peer : peers) write_all(peer.get(), "ping");
    Events events(kConnections + 1);
    ASSERT_THAT(poll_->poll(events, kHangGuard), IsOk());
    std::size_t told = events.size();
    EXPECT_GE(told, 32u);
    EXPECT_FALSE(queue_->is_whole());
    EXPECT_TRUE(queue_->has_all());
    while (told < kConnections) {
      ASSERT_THAT(poll_->poll(events, kHangGuard), IsOk());
      told += events.size();
      EXPECT_TRUE(queue_->has_all());
    }
    EXPECT_EQ(told, kConnections);
    expect_no_events(*poll_);
    for (std::uint32_t i = 0; i < kConnections; ++i) EXPECT_EQ(take(token_of(i, 1), 4), "ping");
  }
  EXPECT_EQ(queue_->take_dry(), 0u);
}

// One that sends much is one event, and does not hide whether there are others.
TEST_F(CompletionQueueTest, MuchOfOneConnectionIsAWholeBatch) {
  use_buffers(512, 512);
  const OwnedFd peer = add(kToken);
  const std::string sent(15 * kSize, 'x');
  write_all(peer.get(), sent);
  expect_event(*poll_, kToken, Readiness::readable());
  EXPECT_TRUE(queue_->is_whole());
  EXPECT_EQ(take(kToken, sent.size()), sent);
}

TEST_F(CompletionQueueTest, AMessageLargerThanABufferComesInOrder) {
  const OwnedFd peer = add(kToken);
  std::string sent;
  for (int i = 0; sent.size() < 5 * kSize + 100; ++i) sent += std::to_string(i) + " ";
  write_all(peer.get(), sent);
  EXPECT_EQ(take(kToken, sent.size()), sent);
}

TEST_F(CompletionQueueTest, TheEndAndAResetComeBehindTheBytes) {
  OwnedFd peer = add(kToken);
  OwnedFd other = add(kOther);
  write_all(peer.get(), "last words");
  half_close(peer.get());
  write_all(other.get(), "more");
  reset(other);
  EXPECT_EQ(take(kToken, 10), "last words");
  EXPECT_EQ(take(kOther, 4), "more");
  while (!queue_->has_news(kToken) || !queue_->has_news(kOther)) await();
  EXPECT_FALSE(queue_->has_bytes(kToken));
  for (int i = 0; i < 2; ++i) {  // it stays
    EXPECT_EQ(queue_->next(kToken).error, 0);
    EXPECT_EQ(queue_->next(kOther).error, ECONNRESET);
  }
  EXPECT_EQ(queue_->error(kOther), ECONNRESET);
  expect_no_events(*poll_);
}

TEST_F(CompletionQueueTest, ADryPoolIsCountedAndGoesOnWhenABufferComesBack) {
  use_buffers(2, 2);
  const OwnedFd peer = add(kToken);
  const OwnedFd other = add(kOther);
  const std::string sent = std::string(kSize, 'a') + std::string(kSize, 'b') + "rest";
  write_all(peer.get(), sent);
  expect_event(*poll_, kToken, Readiness::readable());
  while (queue_->take_dry() == 0) expect_no_events(*poll_);  // the rest may be on its way
  write_all(other.get(), "other");
  expect_no_events(*poll_);
  EXPECT_FALSE(queue_->has_news(kOther));
  EXPECT_EQ(take(kToken, sent.size()), sent);
  EXPECT_EQ(take(kOther, 5), "other");
}

TEST_F(CompletionQueueTest, AnIdleConnectionHasNoBufferAndADryPoolGrows) {
  use_buffers(1, 8);
  std::vector<OwnedFd> peers;
  for (std::uint32_t i = 0; i < 6; ++i) peers.push_back(add(token_of(i, 1)));
  for (const OwnedFd& peer : peers) write_all(peer.get(), "x");
  for (std::uint32_t i = 0; i < 6; ++i) {  // nobody has given a buffer back
    while (!queue_->has_news(token_of(i, 1))) await();
  }
  for (std::uint32_t i = 0; i < 6; ++i) EXPECT_EQ(next(token_of(i, 1)), "x");
}

// Whoever does not read takes no buffer from others. The peer is held up by the system.
TEST_F(CompletionQueueTest, WhatIsHeldNeedsNoBufferAndKeepsItsPlace) {
  use_buffers(1, 1);
  const OwnedFd peer = add(kToken);
  const OwnedFd other = add(kOther);
  write_all(peer.get(), "held ");
  expect_event(*poll_, kToken, Readiness::readable());
  queue_->hold(kToken);
  EXPECT_TRUE(queue_->has_bytes(kToken));
  expect_no_events(*poll_);  // the receive is cancelled
  write_all(peer.get(), "and more");
  for (int round = 0; round < 3; ++round) {
    write_all(other.get(), "other");
    EXPECT_EQ(take(kOther, 5), "other");
  }
  EXPECT_EQ(take(kToken, 13), "held and more");
  write_all(peer.get(), "again");
  EXPECT_EQ(take(kToken, 5), "again");
}

// A reader that stops again has not got all of it at once.
TEST_F(CompletionQueueTest, WhatIsHeldComesInPieces) {
  const OwnedFd peer = add(kToken);
  std::string sent;
  for (int i = 0; sent.size() < 40 * kSize; ++i) sent += std::to_string(i) + " ";
  write_all(peer.get(), sent);
  await();
  queue_->hold(kToken);
  std::vector<BufferPool::Memory> kept;
  std::string got;
  for (int round = 0; got.size() < sent.size(); ++round) {
    const Arrival arrival = queue_->next(kToken);
    EXPECT_LE(arrival.bytes.size(), CompletionQueue::kPiece);
    got += text_of(arrival.bytes);
    if (round % 2 == 0 && !arrival.bytes.empty()) kept.push_back(queue_->keep(kToken));
    if (arrival.error == EAGAIN) await();
    queue_->hold(kToken);
  }
  EXPECT_EQ(got, sent);
}

// The cancel and the bytes cross.
TEST_F(CompletionQueueTest, WhatArrivesAsTheReceiveIsCancelledIsHeldAsWell) {
  use_buffers(2, 2);
  const OwnedFd peer = add(kToken);
  for (int round = 0; round < 20; ++round) {
    write_all(peer.get(), "one ");
    expect_event(*poll_, kToken, Readiness::readable());
    write_all(peer.get(), "two");
    queue_->hold(kToken);
    (void)take_events(*poll_);
    EXPECT_EQ(take(kToken, 7), "one two");
  }
}

TEST_F(CompletionQueueTest, AHoldThatEndsAtOnceLosesNothing) {
  const OwnedFd peer = add(kToken);
  write_all(peer.get(), "one ");
  expect_event(*poll_, kToken, Readiness::readable());
  queue_->hold(kToken);
  EXPECT_EQ(next(kToken), "one ");  // the cancel was not submitted yet
  write_all(peer.get(), "two");
  EXPECT_EQ(take(kToken, 3), "two");
}

TEST_F(CompletionQueueTest, AResetOfAHeldConnectionIsToldWhereItsReceiveWasArmed) {
  OwnedFd peer = add(kToken);
  write_all(peer.get(), "x");
  expect_event(*poll_, kToken, Readiness::readable());
  reset(peer);  // nobody has taken the bytes yet
  expect_event(*poll_, kToken, Readiness::readable());
  EXPECT_EQ(queue_->error(kToken), ECONNRESET);
  EXPECT_EQ(next(kToken), "x");
}

TEST_F(CompletionQueueTest, WhatIsKeptStaysAndThePoolHasAnotherBuffer) {
  use_buffers(1, 1);
  const OwnedFd peer = add(kToken);
  std::vector<BufferPool::Memory> kept;
  std::vector<std::string_view> views;
  for (int round = 0; round < 3; ++round) {
    write_all(peer.get(), "round " + std::to_string(round));
    expect_event(*poll_, kToken, Readiness::readable());
    const std::span<std::byte> bytes = queue_->next(kToken).bytes;
    views.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    kept.push_back(queue_->keep(kToken));
    EXPECT_EQ(queue_->keep(kToken).bytes, nullptr);
  }
  EXPECT_EQ(views, (std::vector<std::string_view>{"round 0", "round 1", "round 2"}));
}

TEST_F(CompletionQueueTest, RemoveWithDataInFlightClosesTheConnection) {
  use_buffers(2, 2);
  for (std::uint32_t round = 0; round < 50; ++round) {
    const OwnedFd peer = add(token_of(3, 2 * round + 1));
    write_all(peer.get(), "nobody takes this");
    queue_->remove(token_of(3, 2 * round + 1), std::move(ends_.back()));
    expect_closed(peer.get());  // without another call
  }
}

// A slot is given to another connection before the completions of the first one have come.
TEST_F(CompletionQueueTest, ALateCompletionOfAReusedSlotIsDropped) {
  use_buffers(2, 2);
  for (std::uint32_t round = 0; round < 50; ++round) {
    const Token first = token_of(3, 4 * round + 1);
    const Token second = token_of(3, 4 * round + 3);
    const OwnedFd old_peer = add(first);
    write_all(old_peer.get(), "old");
    queue_->remove(first, std::move(ends_.back()));
    SocketPair pair = tcp_pair();
    queue_->add(second, pair.a.get());
    write_all(pair.b.get(), "new");
    EXPECT_EQ(take(second, 3), "new");
    expect_no_events(*poll_);
    queue_->remove(second, std::move(pair.a));
  }
}

// The kernel puts the cancel off, so the descriptor stays open until it knows of it.
TEST_F(CompletionQueueTest, ARemoveThatIsPutOffClosesLater) {
  for (const int error : {EAGAIN, EBUSY, EINTR}) {
    const OwnedFd peer = add(kToken);
    const std::uint64_t before = kernel_.calls(KernelCall::kIoUringEnter);
    kernel_.fail(KernelCall::kIoUringEnter, error, 1, 1);
    queue_->remove(kToken, std::move(ends_.back()));
    EXPECT_EQ(kernel_.calls(KernelCall::kIoUringEnter), before + 1);
    expect_no_events(*poll_);
    EXPECT_EQ(read_some(peer.get()), "");
  }
}

// The kernel had no memory for completions: bytes may be lost, so the connection ends.
TEST_F(CompletionQueueTest, ALostRingEndsTheConnectionsThatReceived) {
  const OwnedFd peer = add(kToken);
  write_all(peer.get(), "lost");
  kernel_.fail(KernelCall::kIoUringEnter, EBADR);
  expect_event(*poll_, kToken, Readiness::readable());
  while (queue_->has_bytes(kToken)) (void)queue_->next(kToken);
  EXPECT_EQ(queue_->error(kToken), ENOMEM);
  const OwnedFd other = add(kOther);
  write_all(other.get(), "found");
  EXPECT_EQ(take(kOther, 5), "found");
  queue_->remove(kToken, std::move(ends_.front()));
}

// And where the new ring takes no buffers, nobody waits for ever. It is asked again for later ones.
TEST_F(CompletionQueueTest, ALostRingWithoutBuffersEndsAllConnectionsOfBefore) {
  const OwnedFd peer = add(kToken);
  kernel_.fail(KernelCall::kIoUringEnter, EBADR);
  kernel_.fail(KernelCall::kIoUringRegister, ENOMEM, 2);  // behind the probe
  expect_event(*poll_, kToken, Readiness::readable());
  EXPECT_EQ(queue_->next(kToken).error, ENOMEM);
  const OwnedFd other = add(kOther);
  write_all(other.get(), "found");
  EXPECT_EQ(take(kOther, 5), "found");
}

// The kernel says once that completions were lost, and may say it to a call outside of wait().
TEST_F(CompletionQueueTest, ARingThatIsLostOutsideOfAWaitIsReplacedByTheNext) {
  const OwnedFd peer = add(kToken);
  const OwnedFd other = add(kOther);
  kernel_.fail(KernelCall::kIoUringEnter, EBADR);
  queue_->remove(kOther, std::move(ends_.back()));
  expect_event(*poll_, kToken, Readiness::readable());
  EXPECT_EQ(queue_->next(kToken).error, ENOMEM);
  expect_closed(other.get());
  const OwnedFd later = add(token_of(5, 1));
  write_all(later.get(), "found");
  EXPECT_EQ(take(token_of(5, 1), 5), "found");
}

TEST_F(CompletionQueueTest, WhatTheSystemRefusesIsAnErrorOfStartAlone) {
  for (const int error : {EINVAL, EPERM, ENOMEM}) {
    make_poll();
    kernel_.fail(KernelCall::kIoUringRegister, error);
    const absl::Status started = queue_->start();
    EXPECT_FALSE(started.ok());
    EXPECT_THAT(started.message(), HasSubstr("io_uring_register of a ring of buffers"));
    const SocketPair pair = tcp_pair();
    ASSERT_THAT(poll_->registry()->register_fd(pair.a.get(), kToken, Interest::readable()), IsOk());
    write_all(pair.b.get(), "x");
    expect_event(*poll_, kToken, Readiness::readable());
  }
  kernel_.is_old = true;
  make_poll();
  EXPECT_THAT(queue_->start(),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("DEFER_TASKRUN")));
}

TEST(CompletionQueueOfOthersTest, AnEngineOfReadinessHasNone) {
  for (const char* engine : {"epoll", "poll"}) {
    EXPECT_EQ(Poll::create({.selector = engine})->completions(), nullptr);
  }
}

}  // namespace
}  // namespace epore
