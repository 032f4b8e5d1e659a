// Descriptors that go over Unix sockets.

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "epore/poll/errno_of.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/descriptor_messages.h"
#include "tests/support/scarce_memory.h"
#include "tests/support/temporary_directory.h"

namespace epore {
namespace {

using absl::StatusCode;

void expect_error(const absl::Status& status, StatusCode code, std::string_view part,
                  std::string_view other_part = "") {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), other_part)) << status;
}

std::vector<OwnedFd> memory_files(std::size_t count) {
  std::vector<OwnedFd> files;
  for (std::size_t i = 0; i < count; ++i) files.push_back(memory_file(absl::StrCat(i)));
  return files;
}

std::vector<int> numbers_of(const std::vector<OwnedFd>& fds) {
  std::vector<int> numbers;
  for (const OwnedFd& fd : fds) numbers.push_back(fd.get());
  return numbers;
}

ListenOptions taking(std::size_t most) {
  ListenOptions options;
  options.connection.max_descriptors = most;
  return options;
}

class PassingTest : public RuntimeTest {
 protected:
  // A connection that the runtime has accepted from a peer of the test's.
  Peer open_peer(Runtime& runtime, Observer& observer, const ListenOptions& options = {},
                 std::function<void(Connection&)> first = nullptr) {
    absl::StatusOr<Listener> listener = runtime.listen(
        address_,
        [&observer, first = std::move(first)](Connection& c) {
          observer.watch(c);
          if (first) first(c);
        },
        options);
    CHECK_OK(listener);
    return Peer(listener->address());
  }

  // The same, served by a coroutine.
  Peer open_served(Runtime& runtime, std::function<Task<>(Connection)> handler,
                   const ListenOptions& options = {}) {
    absl::StatusOr<Listener> listener = runtime.listen(address_, std::move(handler), options);
    CHECK_OK(listener);
    return Peer(listener->address());
  }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_.path("x.sock");
  const std::string address_ = "unix:" + path_;
};

TEST_P(PassingTest, CallbacksPassThem) {
  Observer server;
  Observer client;
  server.when_data = [](Connection& c, std::string_view text) {
    EXPECT_EQ(text, "two files");
    std::vector<OwnedFd> files = c.take_descriptors();
    ASSERT_EQ(files.size(), 2u);
    EXPECT_EQ(text_of(files[0]), "first");
    EXPECT_EQ(text_of(files[1]), "second");
    for (const OwnedFd& file : files) {
      EXPECT_GT(file.get(), STDERR_FILENO);
      EXPECT_EQ(::fcntl(file.get(), F_GETFD), FD_CLOEXEC);
    }
    EXPECT_TRUE(c.take_descriptors().empty());
    EXPECT_TRUE(c.send("back", std::move(files[1])).ok());
  };
  client.when_data = [](Connection& c, std::string_view) {
    std::vector<OwnedFd> files = c.take_descriptors();
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(text_of(files[0]), "second");
    c.close();
  };
  Runtime runtime(options());
  const auto listener = runtime.listen(
      address_, [&](Connection& c) { server.watch(c); }, taking(2));
  ASSERT_TRUE(listener.ok()) << listener.status();
  ConnectOptions to;
  to.connection.max_descriptors = 1;
  runtime.connect(
      address_,
      [&](absl::StatusOr<Connection> connection) {
        ASSERT_TRUE(connection.ok()) << connection.status();
        client.watch(*connection);
        std::vector<OwnedFd> files;
        files.push_back(memory_file("first"));
        files.push_back(memory_file("second"));
        EXPECT_EQ(connection->send("two files", std::move(files)), SendResult::queued);
      },
      to);
  EXPECT_TRUE(client.await_closed().ok());
  EXPECT_TRUE(server.await_closed().ok());
}

TEST_P(PassingTest, CoroutinesPassThem) {
  Runtime runtime(options());
  const auto listener = runtime.listen(
      address_,
      [](Connection peer) -> Task<> {
        const ByteView count = co_await peer.read_exactly(1);
        EXPECT_EQ(count.text(), "2");
        std::vector<OwnedFd> files = peer.take_descriptors(2);
        co_await peer.write("all", std::move(files));
      },
      taking(4));
  ASSERT_TRUE(listener.ok()) << listener.status();
  const absl::StatusOr<std::string> texts = runtime.run([&]() -> Task<std::string> {
    Connection server = co_await connect(address_, {.max_descriptors = 2});
    std::vector<OwnedFd> files = memory_files(2);
    co_await server.write("2", std::move(files));
    co_await server.read_exactly(3);
    const std::vector<OwnedFd> back = server.take_descriptors();
    std::string texts;
    for (const OwnedFd& file : back) texts += text_of(file);
    co_return texts;
  });
  EXPECT_EQ(texts.value_or(texts.status().ToString()), "01");
}

// Who reads one byte after the other sees where they are.
TEST_P(PassingTest, TheyGoWithTheFirstByteOfTheirSend) {
  Observer observer;
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, {}, [](Connection& c) {
    c.send("a");
    c.send("bc", memory_file("one"));
    c.send("d", memory_file("two"));
    c.send("ef");
    c.send("g", memory_file("three"));
    c.close();
  });
  std::string seen;
  for (;;) {
    const DescriptorMessage message = receive_with_fds(peer.fd(), 1);
    if (message.bytes.empty()) break;
    for (const OwnedFd& file : message.fds) absl::StrAppend(&seen, "[", text_of(file), "]");
    seen += message.bytes;
  }
  EXPECT_EQ(seen, "a[one]bc[two]def[three]g");
}

TEST_P(PassingTest, ASendOfTheirsLeavesInACallOfItsOwn) {
  Observer observer;
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, {}, [](Connection& c) {
    c.send("a");
    c.send("b");
    c.send("c", memory_file("one"));
    c.send("d");
    c.send("e");
    c.close();
  });
  EXPECT_EQ(peer.receive_all(), "abcde");
  peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(writes(), 3u) << "ab, c, de";
}

// Whatever number of bytes the system takes at once: they are sent once, and every byte is.
TEST_P(PassingTest, F35APartialSendPassesThemOnce) {
  const std::string text = pattern(100);
  for (const std::size_t limit : {1u, 7u, 99u, 100u}) {
    for (const bool by_coroutine : {false, true}) {
      kernel_.shrink_sends(limit);
      Observer observer;
      Runtime runtime(options());
      const auto three = [&](Connection& c) {
        for (int i = 0; i < 3; ++i) {
          std::vector<OwnedFd> files = memory_files(2);
          EXPECT_TRUE(c.send(text, std::move(files)).ok());
        }
        c.close();
      };
      Peer peer = by_coroutine ? open_served(runtime,
                                             [&](Connection c) -> Task<> {
                                               for (int i = 0; i < 3; ++i) {
                                                 std::vector<OwnedFd> files = memory_files(2);
                                                 co_await c.write(text, std::move(files));
                                               }
                                             })
                               : open_peer(runtime, observer, {}, three);
      std::string got;
      std::string fds;
      for (;;) {
        const DescriptorMessage message = receive_with_fds(peer.fd(), 1);
        if (message.bytes.empty()) break;
        if (!message.fds.empty()) absl::StrAppend(&fds, got.size(), "-");
        for (const OwnedFd& file : message.fds) absl::StrAppend(&fds, text_of(file), " ");
        got += message.bytes;
      }
      EXPECT_EQ(got, text + text + text);
      EXPECT_EQ(fds, "0-0 1 100-0 1 200-0 1 ") << "limit " << limit;
      peer.close();
    }
  }
}

TEST_P(PassingTest, TheyKeepTheirPlaceBehindAQueueThatIsFull) {
  const std::string large = pattern(1'000'000);
  Observer observer;
  absl::Notification is_queued;  // before it the peer does not read, and what is left stays
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, {}, [&](Connection& c) {
    c.send(large);
    EXPECT_GT(c.queued_bytes(), 0u);
    const std::size_t queued = c.queued_bytes();
    c.send("x", memory_file("one"));
    EXPECT_EQ(c.queued_bytes(), queued + 1 + 1024);
    c.send("tail");
    c.close();
    is_queued.Notify();
  });
  is_queued.WaitForNotification();
  std::string got;
  while (got.size() < large.size()) {
    const DescriptorMessage message = receive_with_fds(peer.fd(), large.size() - got.size());
    EXPECT_TRUE(message.fds.empty());
    got += message.bytes;
  }
  EXPECT_TRUE(got == large);
  const DescriptorMessage message = receive_with_fds(peer.fd(), 100);
  ASSERT_EQ(message.fds.size(), 1u);
  EXPECT_EQ(text_of(message.fds[0]), "one");
  EXPECT_EQ(message.bytes + peer.receive_all(), "xtail");
  peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

TEST_P(PassingTest, ThoseOfEachThreadKeepTheirOrder) {
  constexpr int kThreads = 3;
  constexpr int kEach = 50;
  Observer observer;
  absl::Notification accepted;
  Connection connection;
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, {}, [&](Connection& c) {
    connection = c;
    accepted.Notify();
  });
  accepted.WaitForNotification();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        EXPECT_TRUE(connection
                        .send(std::string(1, static_cast<char>('a' + t)),
                              memory_file(absl::StrCat(t, ".", i)))
                        .ok());
      }
    });
  }
  std::vector<int> next(kThreads);
  for (int received = 0; received < kThreads * kEach; ++received) {
    const DescriptorMessage message = receive_with_fds(peer.fd(), 1);
    ASSERT_EQ(message.bytes.size(), 1u);
    ASSERT_EQ(message.fds.size(), 1u);
    const auto t = static_cast<std::size_t>(message.bytes[0] - 'a');
    EXPECT_EQ(text_of(message.fds[0]), absl::StrCat(t, ".", next[t]++));
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(PassingTest, SendsComeBehindAWriteThatWaits) {
  const std::string large = pattern(1'000'000);
  Runtime runtime(options());
  Peer peer = open_served(runtime, [&](Connection c) -> Task<> {
    co_await all(c.write(large), [](Connection c) -> Task<> {
      c.send("x", memory_file("one"));
      co_await c.write("y", memory_file("two"));
    }(c));
  });
  std::string got;
  std::string files;
  for (;;) {
    const DescriptorMessage message = receive_with_fds(peer.fd(), 4096);
    if (message.bytes.empty()) break;
    for (const OwnedFd& file : message.fds) absl::StrAppend(&files, text_of(file), " ");
    got += message.bytes;
  }
  EXPECT_TRUE(got == large + "xy");
  EXPECT_EQ(files, "one two ");
}

TEST_P(PassingTest, AWriteWaitsForRoomAndADeadlineClosesThem) {
  absl::Notification ended;
  Runtime runtime(options());
  Peer peer = open_served(runtime, [&](Connection c) -> Task<> {
    const std::string large = pattern(1'000'000);
    (void)c.send(large);  // more than the high mark is left
    const std::size_t before = open_fds().size();
    const absl::Status late =
        co_await within(absl::Nanoseconds(1), c.write("x", memory_file("one"))).result();
    EXPECT_EQ(late.code(), StatusCode::kDeadlineExceeded) << late;
    EXPECT_EQ(open_fds().size(), before);
    ended.Notify();
    c.abort();
  });
  ended.WaitForNotification();
}

TEST_P(PassingTest, ThoseThatAreNotSentAreClosedWithTheConnection) {
  Observer observer;
  Runtime runtime(options());
  std::size_t before = 0;
  Peer peer = open_peer(runtime, observer, {}, [&](Connection& c) {
    before = open_fds().size();
    const std::string large = pattern(1'000'000);
    c.send(large);
    c.send("x", memory_file("one"));
    EXPECT_EQ(open_fds().size(), before + 1);
    c.abort();
  });
  EXPECT_EQ(observer.await_closed().code(), StatusCode::kCancelled);
  EXPECT_EQ(open_fds().size(), before - 1) << "less the connection";
}

TEST_P(PassingTest, ManyThatWaitAreOverTheMarkAndTheCap) {
  ListenOptions options_of_few;
  options_of_few.connection.write_high_mark = 2000;
  options_of_few.connection.write_low_mark = 0;
  options_of_few.connection.write_cap = 4000;
  Observer observer;
  kernel_.fail(KernelCall::kSendmsg, EAGAIN, 1, FaultKernel::kAlways);
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, options_of_few, [](Connection& c) {
    EXPECT_EQ(c.send("x", memory_file("one")), SendResult::queued);
    EXPECT_EQ(c.send("x", memory_file("two")), SendResult::high);
    EXPECT_EQ(c.send("x", memory_file("three")), SendResult::high);
    EXPECT_EQ(c.send("x", memory_file("four")), SendResult::over_cap);
  });
  expect_error(observer.await_closed(), StatusCode::kResourceExhausted, "the cap is 4000");
}

TEST_P(PassingTest, AWriteOfManyWaitsForTheMarkAndIsRefusedOverTheCap) {
  ListenOptions options_of_few;
  options_of_few.connection.write_high_mark = 2000;
  options_of_few.connection.write_low_mark = 0;
  options_of_few.connection.write_cap = 4000;
  kernel_.fail(KernelCall::kSendmsg, EAGAIN, 1, FaultKernel::kAlways);
  absl::Notification ended;
  Runtime runtime(options());
  Peer peer = open_served(
      runtime,
      [&](Connection c) -> Task<> {
        std::vector<OwnedFd> four = memory_files(4);
        expect_error(co_await c.write("x", std::move(four)).result(), StatusCode::kInvalidArgument,
                     "4 descriptors and a byte count as 4097 bytes", "the cap is 4000");
        EXPECT_EQ(c.queued_bytes(), 0u);
        std::vector<OwnedFd> three = memory_files(3);
        const absl::Status alone = co_await c.write("x", std::move(three)).result();
        EXPECT_TRUE(alone.ok()) << "nothing is ahead of it: " << alone;
        EXPECT_EQ(c.queued_bytes(), 3073u);
        const absl::Status late =
            co_await within(absl::Nanoseconds(1), c.write("x", memory_file("one"))).result();
        EXPECT_EQ(late.code(), StatusCode::kDeadlineExceeded) << late;
        c.abort();
        ended.Notify();
      },
      options_of_few);
  ended.WaitForNotification();
}

// A part of the room is not enough: all of the descriptors are queued at once.
TEST_P(PassingTest, AWriteWaitsForRoomForAllOfThem) {
  ListenOptions options_of_few;
  options_of_few.connection.write_high_mark = 2000;
  options_of_few.connection.write_low_mark = 1500;
  Runtime runtime(options());
  Peer peer = open_served(
      runtime,
      [&](Connection c) -> Task<> {
        EXPECT_EQ(c.send("a", memory_file("first")), SendResult::queued);
        co_await c.write("b", memory_file("second"));
        EXPECT_LE(c.queued_bytes(), 1025u) << "the first one has left before";
      },
      options_of_few);
  for (const std::string_view text : {"first", "second"}) {
    const DescriptorMessage message = receive_with_fds(peer.fd(), 1);
    ASSERT_EQ(message.fds.size(), 1u);
    EXPECT_EQ(text_of(message.fds[0]), text);
  }
}

TEST_P(PassingTest, ThoseThatNobodyTakesAreClosedAtTheEnd) {
  Observer observer;
  absl::Notification accepted;
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, taking(10), [&](Connection&) { accepted.Notify(); });
  accepted.WaitForNotification();
  const std::size_t before = open_fds().size();
  const std::vector<OwnedFd> files = memory_files(3);
  send_with_fds(peer.fd(), "one", numbers_of(files));
  EXPECT_EQ(observer.await_bytes(3), "one");
  EXPECT_EQ(open_fds().size(), before + 6);
  peer.half_close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(open_fds().size(), before + 3 - 1) << "less the connection";
}

TEST_P(PassingTest, ACoroutineTakesThemAlsoWhenTheConnectionHasEnded) {
  absl::Notification taken;
  Runtime runtime(options());
  Peer peer = open_served(
      runtime,
      [&](Connection c) -> Task<> {
        co_await c.read();
        c.abort();
        (void)co_await c.closed();
        const std::vector<OwnedFd> files = c.take_descriptors();
        EXPECT_EQ(files.size(), 1u);
        for (const OwnedFd& file : files) EXPECT_EQ(text_of(file), "one");
        taken.Notify();
      },
      taking(1));
  send_with_fds(peer.fd(), "x", {memory_file("one").get()});
  taken.WaitForNotification();
}

TEST_P(PassingTest, ACoroutineOfAnotherOrderTakesThem) {
  absl::Notification taken;
  Connection connection;
  absl::Notification accepted;
  Observer observer;
  Runtime runtime(options());
  const auto listener = runtime.listen(
      address_,
      [&](Connection& c) {
        connection = c;
        accepted.Notify();
      },
      taking(100));
  ASSERT_TRUE(listener.ok()) << listener.status();
  Peer peer(listener->address());
  accepted.WaitForNotification();
  std::thread sender([&] {
    for (int i = 0; i < 100; ++i) {
      send_with_fds(peer.fd(), "x", {memory_file(absl::StrCat(i)).get()});
    }
    peer.half_close();
  });
  const absl::Status ran = runtime.run([&]() -> Task<> {
    int next = 0;
    while (const ByteView bytes = co_await connection.read()) {
      // Those that belong to bytes that come later may be there.
      const std::vector<OwnedFd> files = connection.take_descriptors(bytes.size());
      EXPECT_EQ(files.size(), bytes.size());
      for (const OwnedFd& file : files) EXPECT_EQ(text_of(file), absl::StrCat(next++));
    }
    EXPECT_EQ(next, 100);
    connection.close();
  });
  EXPECT_TRUE(ran.ok()) << ran;
  sender.join();
}

TEST_P(PassingTest, MoreThanMayWaitEndTheConnection) {
  for (const bool by_coroutine : {false, true}) {
    Observer observer;
    absl::Status end;
    absl::Notification ended;
    Runtime runtime(options());
    Peer peer = by_coroutine ? open_served(
                                   runtime,
                                   [&](Connection c) -> Task<> {
                                     co_await c.read_exactly(1);
                                     end = (co_await c.read().result()).status();
                                     ended.Notify();
                                   },
                                   taking(4))
                             : open_peer(runtime, observer, taking(4));
    const std::vector<OwnedFd> files = memory_files(3);
    send_with_fds(peer.fd(), "a", numbers_of(files));
    if (!by_coroutine) {
      EXPECT_EQ(observer.await_bytes(1), "a");
    }
    const std::size_t before = open_fds().size();
    send_with_fds(peer.fd(), "b", {files[0].get(), files[1].get()});
    if (by_coroutine) {
      ended.WaitForNotification();
    } else {
      end = observer.await_closed();
      EXPECT_EQ(observer.bytes(), "a");
      EXPECT_EQ(open_fds().size(), before - 3 - 1) << "all are closed, and the connection";
    }
    expect_error(end, StatusCode::kResourceExhausted, "2 descriptors have come where 3 wait",
                 "max_descriptors is 4");
    peer.close();
  }
}

// Leaves this process room for so many descriptors more, while it lives.
class RoomForDescriptors {
 public:
  explicit RoomForDescriptors(int count) {
    // Fills the holes, so that the next ones are in a row.
    rlimit all;
    PCHECK(::getrlimit(RLIMIT_NOFILE, &all) == 0);
    before_ = all;
    int highest = 0;
    for (const std::string& fd : open_fds()) highest = std::max(highest, std::atoi(fd.c_str()));
    int next = -1;
    while (next <= highest) {
      next = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
      PCHECK(next >= 0);
      if (next <= highest) fillers_.emplace_back(next);
    }
    ::close(next);
    all.rlim_cur = static_cast<rlim_t>(next + count);
    PCHECK(::setrlimit(RLIMIT_NOFILE, &all) == 0);
  }
  ~RoomForDescriptors() { PCHECK(::setrlimit(RLIMIT_NOFILE, &before_) == 0); }

 private:
  rlimit before_;
  std::vector<OwnedFd> fillers_;
};

TEST_P(PassingTest, F36ATruncatedMessageIsToldAndLeavesNothingOpen) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  GTEST_SKIP()
      << "the check of virtual calls that comes with it needs descriptors, and fails without";
#endif
  for (const bool by_coroutine : {false, true}) {
    for (const int room : {0, 2}) {
      Observer observer;
      absl::Status end;
      absl::Notification ended;
      absl::Notification accepted;
      Runtime runtime(options());
      Peer peer = by_coroutine ? open_served(
                                     runtime,
                                     [&](Connection c) -> Task<> {
                                       accepted.Notify();
                                       end = (co_await c.read().result()).status();
                                       (void)co_await c.closed();
                                       ended.Notify();
                                     },
                                     taking(10))
                               : open_peer(runtime, observer, taking(10),
                                           [&](Connection&) { accepted.Notify(); });
      accepted.WaitForNotification();
      const std::vector<OwnedFd> files = memory_files(5);
      const std::size_t before = open_fds().size();
      {
        const RoomForDescriptors scarce(room);
        send_with_fds(peer.fd(), "x", numbers_of(files));
        if (by_coroutine) {
          ended.WaitForNotification();
        } else {
          end = observer.await_closed();
        }
      }
      expect_error(end, StatusCode::kResourceExhausted,
                   absl::StrCat("has given ", room, ", and closed the others (MSG_CTRUNC)"));
      EXPECT_EQ(open_fds().size(), before - 1) << "less the connection";
      peer.close();
    }
  }
}

TEST_P(PassingTest, MisuseIsAnErrorThatClosesThem) {
  struct Case {
    std::string bytes;
    std::size_t count;
    bool has_none;
    StatusCode code;
    std::string text;
  };
  const std::vector<Case> cases = {
      {"", 1, false, StatusCode::kInvalidArgument, "go with bytes"},
      {"x", 254, false, StatusCode::kInvalidArgument, "254 descriptors, and at most 253 go"},
      {"x", 1, true, StatusCode::kInvalidArgument, "number 1 of the descriptors"},
  };
  const auto made = [](const Case& bad) {
    std::vector<OwnedFd> files = memory_files(bad.count);
    if (bad.has_none) files.emplace_back();
    return files;
  };
  for (const Case& bad : cases) {
    Observer observer;
    Runtime runtime(options());
    Peer peer = open_peer(runtime, observer, {}, [&](Connection& c) {
      EXPECT_EQ(c.send(bad.bytes, made(bad)), SendResult::closed);
    });
    expect_error(observer.await_closed(), bad.code, "Connection::send: ", bad.text);
    peer.close();
    EXPECT_TRUE(runtime.shutdown().ok());
    Runtime other(options());
    Peer served = open_served(other, [&](Connection c) -> Task<> {
      std::vector<OwnedFd> files = made(bad);
      expect_error(co_await c.write(bad.bytes, std::move(files)).result(), bad.code,
                   "Connection::write: ", bad.text);
      co_await c.write("goes on");
    });
    EXPECT_EQ(served.receive_all(), "goes on");
  }
}

TEST_P(PassingTest, TheyDoNotGoOverTcp) {
  Observer observer;
  Runtime runtime(options());
  const Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) {
    EXPECT_TRUE(c.take_descriptors().empty());
    EXPECT_EQ(c.send("x", memory_file("one")), SendResult::closed);
  });
  expect_error(observer.await_closed(), StatusCode::kFailedPrecondition, "this is TCP");
  const auto listener = runtime.listen("127.0.0.1:0", [](Connection c) -> Task<> {
    const absl::Status status = co_await c.write("x", memory_file("one")).result();
    expect_error(status, StatusCode::kFailedPrecondition, "this is TCP");
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(Peer(listener->address()).receive_all(), "");
  EXPECT_EQ(Connection().send("x", memory_file("one")), SendResult::closed);
  EXPECT_TRUE(Connection().take_descriptors().empty());
}

TEST_P(PassingTest, WithoutAnyItIsASendOfBytes) {
  Observer observer;
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, {}, [](Connection& c) {
    EXPECT_EQ(c.send("x", std::vector<OwnedFd>()), SendResult::queued);
    c.close();
  });
  EXPECT_EQ(peer.receive_all(), "x");
  EXPECT_EQ(kernel_.calls(KernelCall::kSendmsg), 0u);
}

TEST_P(PassingTest, WhatTheSystemRefusesIsTold) {
  for (const bool by_coroutine : {false, true}) {
    kernel_.fail(KernelCall::kSendmsg, ETOOMANYREFS);
    Observer observer;
    absl::Status end;
    absl::Notification ended;
    Runtime runtime(options());
    Peer peer = by_coroutine ? open_served(runtime,
                                           [&](Connection c) -> Task<> {
                                             co_await c.write("x", memory_file("one"));
                                             end = co_await c.flush().result();
                                             ended.Notify();
                                           })
                             : open_peer(runtime, observer, {},
                                         [](Connection& c) { c.send("x", memory_file("one")); });
    if (by_coroutine) {
      ended.WaitForNotification();
    } else {
      end = observer.await_closed();
    }
    EXPECT_EQ(errno_of(end), ETOOMANYREFS) << end;
    expect_error(end, end.code(), ", with 1 descriptors): ETOOMANYREFS");
    peer.close();
  }
}

TEST_P(PassingTest, ACallThatIsInterruptedIsMadeAgain) {
  kernel_.fail(KernelCall::kSendmsg, EINTR);
  Observer observer;
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, {}, [](Connection& c) {
    c.send("x", memory_file("one"));
    c.close();
  });
  const DescriptorMessage message = receive_with_fds(peer.fd(), 10);
  EXPECT_EQ(message.bytes, "x");
  EXPECT_EQ(message.fds.size(), 1u);
  EXPECT_TRUE(receive_with_fds(peer.fd(), 10).bytes.empty());
}

// What is behind the bytes that descriptors came with has no event of its own.
TEST_P(PassingTest, BytesBehindThemAreRead) {
  Observer observer;
  absl::Notification is_sent;
  kernel_.before(KernelCall::kAccept,
                 [&](const FaultKernel::Call&) { is_sent.WaitForNotification(); });
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, taking(10));
  const OwnedFd file = memory_file("one");
  for (const std::string_view text : {"one", "two"}) send_with_fds(peer.fd(), text, {file.get()});
  peer.send("end");
  is_sent.Notify();
  EXPECT_EQ(observer.await_bytes(9), "onetwoend");
}

void send_by_another_process(int socket, const char* text) {
  posix_spawn_file_actions_t actions;
  PCHECK(::posix_spawn_file_actions_init(&actions) == 0);
  PCHECK(::posix_spawn_file_actions_adddup2(&actions, socket, STDOUT_FILENO) == 0);
  const std::string command = absl::StrCat("printf ", text);
  std::array<std::string, 3> words = {"sh", "-c", command};
  std::array<char*, 4> argv = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t child = 0;
  PCHECK(::posix_spawn(&child, "/bin/sh", &actions, nullptr, argv.data(), environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  PCHECK(::waitpid(child, &status, 0) == child);
  CHECK_EQ(status, 0);
}

// With SO_PASSCRED, which an accepted socket has from its listener, a receive ends where the bytes
// of another process begin. These have no event of their own either.
TEST_P(PassingTest, BytesOfAnotherProcessBehindOthersAreRead) {
  for (const std::size_t most : {0u, 10u}) {
    Observer observer;
    absl::Notification is_sent;
    kernel_.before(KernelCall::kAccept,
                   [&](const FaultKernel::Call&) { is_sent.WaitForNotification(); });
    ListenOptions with_credentials = taking(most);
    with_credentials.connection.on_socket = [](int fd) {
      const int on = 1;
      if (::setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0) return absl::OkStatus();
      return absl::ErrnoToStatus(errno, "setsockopt(SO_PASSCRED)");
    };
    Runtime runtime(options());
    Peer peer = open_peer(runtime, observer, with_credentials);
    peer.send("one");
    send_by_another_process(peer.fd(), "two");
    peer.send("end");
    is_sent.Notify();
    EXPECT_EQ(observer.await_bytes(9), "onetwoend");
    peer.close();
    (void)observer.await_closed();
    EXPECT_TRUE(runtime.shutdown().ok());
    kernel_.before(KernelCall::kAccept, nullptr);
  }
}

TEST_P(PassingTest, ThoseThatComeAfterCloseAreClosed) {
  Observer observer;
  absl::Notification closing;
  Runtime runtime(options());
  Peer peer = open_peer(runtime, observer, taking(10), [&](Connection& c) {
    c.close();
    closing.Notify();
  });
  closing.WaitForNotification();
  EXPECT_EQ(peer.receive_all(), "");
  const std::size_t before = open_fds().size();
  send_with_fds(peer.fd(), "late", {memory_file("one").get()});
  peer.half_close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_EQ(open_fds().size(), before - 1) << "less the connection";
}

TEST_P(PassingTest, TheLimitIsChecked) {
  Runtime runtime(options());
  const absl::Status bad = runtime
                               .listen(
                                   address_, [](Connection&) {}, taking(100'000))
                               .status();
  expect_error(bad, StatusCode::kInvalidArgument, "max_descriptors is 100000");
}

// Whatever allocation fails: nothing is thrown, and no descriptor is left open.
TEST_P(PassingTest, WithoutMemoryTheyAreClosed) {
  for (const bool from_elsewhere : {false, true}) {
    bool is_through = false;
    for (int k = 1; !is_through; ++k) {
      const ExpectNoFdLeak check;
      Observer observer;
      absl::Notification done;
      Runtime runtime(options());
      const auto attempt = [&](Connection& c) {
        OwnedFd file = memory_file("one");
        SendResult result = SendResult::queued;
        ScarceMemory::fail(k);
        result = c.send("x", std::move(file));
        is_through = !ScarceMemory::stop();
        if (result == SendResult::no_memory) {
          EXPECT_FALSE(c.is_open());
        } else {
          c.close();
        }
        done.Notify();
      };
      Connection connection;
      absl::Notification accepted;
      Peer peer = open_peer(runtime, observer, {}, [&](Connection& c) {
        connection = c;
        if (!from_elsewhere) attempt(c);
        accepted.Notify();
      });
      accepted.WaitForNotification();
      if (from_elsewhere) attempt(connection);
      done.WaitForNotification();
      peer.close();
      (void)observer.await_closed();
      ASSERT_LT(k, 100);
    }
  }
}

// -- Listeners that are handed over. --

Task<> answer(Connection peer, std::string_view with) {
  co_await peer.read();
  co_await peer.write(with);
}

std::string ask(const SocketAddress& address) {
  Peer peer(address);
  peer.send("?");
  return peer.receive_all();
}

TEST_P(PassingTest, AListenerIsHandedOver) {
  const std::string service = "unix:" + directory_.path("service");
  for (const int reactors : {1, 3}) {
    for (const std::string& where : {std::string("127.0.0.1:0"), service}) {
      RuntimeOptions some = options();
      some.reactors = reactors;
      Runtime old_one(some);
      Runtime new_one(some);
      const auto old_serve = [](Connection c) { return answer(std::move(c), "old"); };
      auto listener = old_one.listen(where, old_serve);
      ASSERT_TRUE(listener.ok()) << listener.status();
      const SocketAddress at = listener->address();
      const auto control = old_one.listen(address_, [&](Connection c) -> Task<> {
        std::vector<OwnedFd> sockets = co_await listener->descriptors();
        co_await c.write("listener", std::move(sockets));
      });
      ASSERT_TRUE(control.ok()) << control.status();
      EXPECT_EQ(ask(at), "old");
      const absl::StatusOr<std::vector<OwnedFd>> got =
          new_one.run([&]() -> Task<std::vector<OwnedFd>> {
            Connection c = co_await connect(address_, {.max_descriptors = 10});
            co_await c.read_exactly(8);
            co_return c.take_descriptors();
          });
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(got->size(), at.is_unix() ? 1 : static_cast<std::size_t>(reactors));
      EXPECT_TRUE(listener->close_and_wait().ok());
      expect_error(listener->descriptors().status(), StatusCode::kFailedPrecondition, "is closed");
      Peer waits(at);  // nobody listens, and nobody refuses it
      waits.send("?");
      std::vector<Listener> listeners;
      for (const OwnedFd& fd : *got) {
        const auto new_serve = [](Connection c) { return answer(std::move(c), "new"); };
        auto again = new_one.listen(absl::StrCat("fd://", fd.get()), new_serve);
        ASSERT_TRUE(again.ok()) << again.status();
        EXPECT_EQ(again->address(), at);
        listeners.push_back(*again);
      }
      EXPECT_EQ(waits.receive_all(), "new");
      for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(at), "new");
    }
  }
}

TEST_P(PassingTest, AListenerThatNamesNoneHasNoDescriptors) {
  expect_error(Listener().descriptors().status(), StatusCode::kFailedPrecondition,
               "names no listener");
  Runtime runtime(options());
  auto listener = runtime.listen(address_, [](Connection&) {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  kernel_.fail(KernelCall::kFcntl, EMFILE);
  expect_error(listener->descriptors().status(), StatusCode::kResourceExhausted,
               "fcntl(F_DUPFD_CLOEXEC)", "EMFILE");
  listener->close();
  expect_error(listener->descriptors().status(), StatusCode::kFailedPrecondition, "is closed");
  EXPECT_TRUE(listener->close_and_wait().ok());
  EXPECT_NE(::access(path_.c_str(), F_OK), 0) << "nothing was handed over";
}

// Without memory nothing is handed over, and the file goes with the listener.
TEST_P(PassingTest, AListenerWithoutMemoryKeepsNoFile) {
  Runtime runtime(options());
  bool is_through = false;
  for (int k = 1; !is_through; ++k) {
    auto listener = runtime.listen(address_, [](Connection&) {});
    ASSERT_TRUE(listener.ok()) << listener.status();
    ScarceMemory::fail(k);
    const absl::StatusOr<std::vector<OwnedFd>> sockets = listener->descriptors();
    is_through = !ScarceMemory::stop();
    EXPECT_TRUE(listener->close_and_wait().ok());
    EXPECT_EQ(::access(path_.c_str(), F_OK) == 0, sockets.ok()) << sockets.status();
    EXPECT_TRUE(sockets.ok() || !is_through) << sockets.status();
    ::unlink(path_.c_str());
    ASSERT_LT(k, 100);
  }
}

INSTANTIATE_TEST_SUITE_P(Everywhere, PassingTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
