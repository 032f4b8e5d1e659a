// The examples of the class comments in poll/*.h, as they stand there.

#include <sys/socket.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status_matchers.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/poll/owned_fd.h"
#include "epore/poll/poll.h"
#include "epore/poll/waker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/sockets.h"

namespace {

using absl_testing::IsOk;

TEST(PollDocsTest, Poll) {
  const epore::Pipe pipe = epore::make_pipe();
  epore::write_all(pipe.writer.get(), "hello");
  const int fd = pipe.reader.get();
  std::vector<epore::Token> seen;
  const auto read_until_eagain = [&](epore::Token token) { seen.push_back(token); };

  absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  std::shared_ptr<epore::Registry> registry = poll->registry();
  absl::Status added = registry->register_fd(fd, epore::Token{1}, epore::Interest::readable());
  epore::Events events(1024);
  absl::Status polled = poll->poll(events, absl::Seconds(1));
  for (const epore::Event& event : events) read_until_eagain(event.token);

  EXPECT_THAT(added, IsOk());
  EXPECT_THAT(polled, IsOk());
  EXPECT_EQ(seen, std::vector{epore::Token{1}});
}

TEST(PollDocsTest, RegistryTokenAndEvent) {
  struct Client {
    int reads = 0;
  };
  const epore::Pipe pipe = epore::make_pipe();
  epore::write_all(pipe.writer.get(), "hello");
  const int fd = pipe.reader.get();
  absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  std::vector<Client> clients(8);

  std::shared_ptr<epore::Registry> registry = poll->registry();
  std::thread([registry, fd] {
    absl::Status added = registry->register_fd(fd, epore::Token{7}, epore::Interest::readable());
    EXPECT_THAT(added, IsOk());
  }).join();

  const auto handle = [&](const epore::Event& event) {
    Client& client = clients[event.token.value];
    if (event.is_readable()) ++client.reads;
    if (event.readiness.is_error()) FAIL();
  };
  epore::Events events(1024);
  while (poll->poll(events, absl::InfiniteDuration()).ok()) {
    for (const epore::Event& event : events) handle(event);
    if (clients[7].reads != 0) break;
  }
  EXPECT_EQ(clients[7].reads, 1);
}

TEST(PollDocsTest, Waker) {
  absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  epore::Events events(16);
  absl::Status polled;

  absl::StatusOr<epore::Waker> waker = epore::Waker::create(poll->registry(), epore::Token{0});
  std::thread([&] { absl::Status woken = waker->wake(); }).join();
  polled = poll->poll(events, absl::InfiniteDuration());  // yields one event with Token{0}

  EXPECT_THAT(polled, IsOk());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, epore::Token{0});
}

TEST(PollDocsTest, InterestAndOptions) {
  const epore::Interest reads = epore::Interest::readable();  // edge-triggered
  const epore::Interest both = (reads | epore::Interest::writable()).level();
  EXPECT_EQ(reads.trigger(), epore::Trigger::edge);
  EXPECT_TRUE(both.is_readable() && both.is_writable());
  EXPECT_EQ(both.trigger(), epore::Trigger::level);

  absl::StatusOr<epore::Poll> poll = epore::Poll::create({.selector = "poll"});
  EXPECT_EQ(poll->registry()->selector_name(), "poll");
}

TEST(PollDocsTest, OwnedFd) {
  absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  const std::shared_ptr<epore::Registry> registry = poll->registry();
  const epore::Token token{1};
  const epore::Interest interest = epore::Interest::readable();
  absl::Status added;
  absl::Status removed;

  epore::OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  added = registry->register_fd(fd.get(), token, interest);  // the registry borrows it
  removed = registry->deregister_fd(fd.get());               // deregister before closing

  EXPECT_THAT(added, IsOk());
  EXPECT_THAT(removed, IsOk());
}

}  // namespace
