// The examples of the comments in poll/*.h, as they stand there. tests/docs/pages_test compares
// them.

#include <sys/socket.h>

#include <memory>
#include <stdexcept>
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

TEST(PollDocsTest, RegistryAndEvents) {
  const epore::Pipe pipe = epore::make_pipe();
  epore::write_all(pipe.writer.get(), "hello");
  const int fd = pipe.reader.get();
  absl::StatusOr<epore::Poll> poll = epore::Poll::create();

  std::shared_ptr<epore::Registry> registry = poll->registry();
  std::thread([registry, fd] {
    absl::Status added = registry->register_fd(fd, epore::Token{7}, epore::Interest::readable());
  }).join();

  // The loop goes on for ever, so the second event throws.
  std::vector<epore::Token> seen;
  const auto handle = [&](const epore::Event& event) {
    seen.push_back(event.token);
    if (seen.size() == 2) throw std::runtime_error("enough");
    const absl::Status again =
        registry->reregister_fd(fd, epore::Token{8}, epore::Interest::readable());
    EXPECT_THAT(again, IsOk());
  };
  const auto serve = [&] {
    epore::Events events(1024);
    while (poll->poll(events, absl::InfiniteDuration()).ok()) {
      for (const epore::Event& event : events) handle(event);
    }
  };
  EXPECT_THROW(serve(), std::runtime_error);
  EXPECT_EQ(seen, (std::vector{epore::Token{7}, epore::Token{8}}));
}

TEST(PollDocsTest, TokenEventAndReadiness) {
  struct Client {
    int reads = 0;
    int writes = 0;
  };
  const epore::SocketPair pair = epore::unix_pair();
  epore::write_all(pair.b.get(), "hello");
  const int fd = pair.a.get();
  absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  const std::shared_ptr<epore::Registry> registry = poll->registry();

  std::vector<Client> clients;
  absl::Status added =
      registry->register_fd(fd, epore::Token{clients.size()}, epore::Interest::readable());
  EXPECT_THAT(added, IsOk());
  clients.emplace_back();
  const auto serve = [&clients](const epore::Event& event) {
    Client& client = clients[event.token.value];
    const auto read_until_eagain = [&](epore::Token) { ++client.reads; };
    const auto write_until_eagain = [&](epore::Token) { ++client.writes; };
    if (event.is_readable()) read_until_eagain(event.token);
    if (event.is_writable()) write_until_eagain(event.token);
  };
  const auto serve_by_readiness = [](const epore::Event& event) {
    const auto read_until_eagain = [] {};
    const auto take_so_error = [] { ADD_FAILURE() << "there is no error"; };
    if (event.readiness.is_readable()) read_until_eagain();
    if (event.readiness.is_error()) take_so_error();
  };

  epore::Events events(16);
  EXPECT_THAT(poll->poll(events, absl::InfiniteDuration()), IsOk());
  for (const epore::Event& event : events) {
    serve(event);
    serve_by_readiness(event);
  }
  EXPECT_EQ(clients[0].reads, 1);
  EXPECT_EQ(clients[0].writes, 0);
}

TEST(PollDocsTest, Waker) {
  absl::StatusOr<epore::Poll> poll = epore::Poll::create();
  epore::Events events(16);

  absl::StatusOr<epore::Waker> waker = epore::Waker::create(poll->registry(), epore::Token{0});
  std::thread([&] { absl::Status woken = waker->wake(); }).join();
  absl::Status polled = poll->poll(events, absl::InfiniteDuration());  // one event: Token{0}

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

  epore::OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  absl::Status added = registry->register_fd(fd.get(), token, interest);  // it borrows it
  EXPECT_THAT(added, IsOk());
  absl::Status removed = registry->deregister_fd(fd.get());  // deregister before closing
  EXPECT_THAT(removed, IsOk());
}

}  // namespace
