// Several views that connections send and write in one call.

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"

namespace epore {
namespace {

// -- What compiles. --

template <typename C>
concept TakesOneText = requires(C c, std::string text, const char* pointer) {
  c.send("text");
  c.send(text);
  c.send(pointer);
  c.send({pointer, std::size_t{1}});
  c.send({text.begin(), text.end()});
  c.write("text");
  c.write(text);
};
static_assert(TakesOneText<Connection>);

template <typename C>
concept TakesPieces = requires(C c, std::string text, std::string_view view, Bytes bytes,
                               ByteView byte_view, std::span<const std::byte> span,
                               std::vector<ByteView> views) {
  c.send({"a", "b"});
  c.send({text, view, bytes, byte_view, span, "literal"});
  c.send({text + "a temporary", view});
  c.send(views);
  c.write({"a", "b"});
  c.write({text, view, bytes, byte_view, span, "literal"});
  c.write({view.substr(1), ByteView(text), std::span(span)});
  c.write(views);
};
static_assert(TakesPieces<Connection>);

// A string that nobody holds would be gone before the system has it.
template <typename C>
concept WritesTemporaries = requires(C c, std::string text) {
  c.write({text + "a", text});
};
static_assert(!WritesTemporaries<Connection>);
template <typename C>
concept WritesSharedTemporaries = requires(C c) {
  c.write({Bytes("a"), "b"});
};
static_assert(!WritesSharedTemporaries<Connection>);

// {begin, end} are not two texts.
template <typename C>
concept SendsPointers = requires(C c, const char* pointer) {
  c.send({pointer, pointer});
};
static_assert(!SendsPointers<Connection>);
template <typename C>
concept SendsAPointer = requires(C c, const char* pointer) {
  c.send({"text", pointer});
};
static_assert(!SendsAPointer<Connection>);
template <typename C>
concept WritesPointers = requires(C c, const char* pointer) {
  c.write({"text", pointer});
};
static_assert(!WritesPointers<Connection>);
template <typename C>
concept SendsNull = requires(C c) {
  c.send({"text", nullptr});
};
static_assert(!SendsNull<Connection>);

// -- What they do. --

using PiecesTest = HandlerTest;

INSTANTIATE_TEST_SUITE_P(Everywhere, PiecesTest, testing::ValuesIn(all_modes()), mode_name);

TEST_P(PiecesTest, WhatACallbackSendsLeavesInOneCall) {
  const std::string body = pattern(20'000);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  const auto send = [&](Connection::Callback closure, std::size_t size) {
    const std::uint64_t before = writes();
    EXPECT_TRUE(link.connection.post(std::move(closure)).ok());
    std::string received = link.peer.receive(size);
    fence(link.connection);
    EXPECT_EQ(writes() - before, 1u);
    EXPECT_EQ(link.connection.queued_bytes(), 0u);
    return received;
  };

  // Many bytes, behind others that were gathered before.
  EXPECT_TRUE(
      send(
          [&](Connection& c) {
            c.send("first ");
            EXPECT_EQ(c.send({"head ", body, std::string_view(), " end"}), SendResult::queued);
          },
          6 + 5 + 20'000 + 4) == absl::StrCat("first head ", body, " end"));

  // Few bytes, with others before and behind.
  EXPECT_EQ(send(
                [](Connection& c) {
                  c.send("first ");
                  for (int i = 0; i < 3; ++i) c.send({"a", std::to_string(i), " "});
                  c.send("last");
                },
                6 + 9 + 4),
            "first a0 a1 a2 last");
}

TEST_P(PiecesTest, ThoseOfAWriteLeaveInOneCall) {
  for (const std::size_t size : {std::size_t{100}, std::size_t{20'000}}) {
    const std::uint64_t before = writes();
    const std::string body = pattern(size);
    Runtime runtime(options());
    Peer peer = serve(runtime, [&](Connection c) -> Task<> {
      const std::string head = absl::StrCat(size, "\r\n");
      co_await c.write({head, body, "\r\n"});
      co_await c.read();
    });
    const std::string expected = absl::StrCat(size, "\r\n", body, "\r\n");
    EXPECT_TRUE(peer.receive(expected.size()) == expected);
    EXPECT_EQ(writes() - before, 1u);
  }
}

// More than one call takes, and more than the queue has room for.
TEST_P(PiecesTest, AnyNumberOfThem) {
  for (const std::size_t most : {std::size_t{1} << 30, std::size_t{777}}) {
    kernel_.shrink_sends(most);
    std::string expected;
    std::vector<std::string> texts;
    for (unsigned i = 0; i < 500; ++i) texts.push_back(pattern(i % 7 * 100, i));
    for (const std::string& text : texts) expected += text;
    const std::vector<ByteView> pieces(texts.begin(), texts.end());
    Runtime runtime(options());
    Peer peer = serve(
        runtime,
        [&](Connection c) -> Task<> {
          co_await c.write(pieces);
          EXPECT_TRUE(c.send(pieces).ok());
          co_await c.write("between");
          co_await c.write(std::span(pieces).first(0));
          co_await c.write(std::span(pieces).first(1));  // an empty one
          co_await c.write(pieces);
        },
        marks(10'000, 20'000));
    EXPECT_TRUE(peer.receive_all() == absl::StrCat(expected, expected, "between", expected))
        << most;
  }
}

std::string dots(int message) {
  return std::string(static_cast<std::size_t>(message % 10) * 100, '.');
}

TEST_P(PiecesTest, AThreadSendsACopyThatStaysTogether) {
  constexpr int kThreads = 4;
  constexpr int kMessages = 200;
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([connection = link.connection, i]() mutable {
      for (int k = 0; k < kMessages; ++k) {
        EXPECT_TRUE(connection.send({absl::StrCat(i, " ", k, " "), dots(k), "\n"}).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  fence(link.connection);
  link.connection.close();
  expect_lines_of_threads(link.peer.receive_all(), kThreads, kMessages, dots);
}

// What is sent meanwhile comes behind, and other writes too.
TEST_P(PiecesTest, NothingComesBetweenThoseOfAWrite) {
  use_small_buffers();
  const std::string much = pattern(600'000);  // more than the system takes
  absl::Notification waits;
  Runtime runtime(options());
  Peer peer = serve(
      runtime,
      [&](Connection c) -> Task<> {
        const auto write = [&much](Connection& c, std::string_view name) -> Task<> {
          co_await c.write({name, much, name});
        };
        const auto send = [&waits](Connection& c) -> Task<> {
          EXPECT_TRUE(c.send({"sent", std::string(20'000, 'x')}).ok());
          waits.Notify();
          co_return;
        };
        co_await all(write(c, "one"), write(c, "two"), send(c));
      },
      marks(10'000, 20'000));
  waits.WaitForNotification();  // or the peer might read the first one as fast as it leaves
  EXPECT_TRUE(peer.receive_all() == absl::StrCat("one", much, "one", "sent",
                                                 std::string(20'000, 'x'), "two", much, "two"));
}

TEST_P(PiecesTest, CountForTheMarksAndTheCap) {
  use_small_buffers();
  const std::string much = pattern(50'000);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, marks(10'000, 100'000, 1'000'000));
  SendResult result = SendResult::queued;
  bool was_high = false;
  for (int i = 0; result.ok(); ++i) {
    ASSERT_LT(i, 1'000);
    was_high = was_high || result == SendResult::high;
    result = link.connection.send({"head", much});
  }
  EXPECT_TRUE(was_high);
  EXPECT_EQ(result, SendResult::over_cap);
  EXPECT_TRUE(absl::IsResourceExhausted(observer.await_closed()));
  EXPECT_EQ(link.connection.send({"a", "b"}), SendResult::closed);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().queued_bytes, 0u);
}

// Of the first message more than the high mark waits, whatever the system takes meanwhile.
TEST_P(PiecesTest, OnWritableComesWhenThePeerHasRead) {
  use_small_buffers();
  const std::string much = pattern(600'000);
  Observer observer;
  Runtime runtime(options());
  observer.when_writable = [](Connection& c) { c.close(); };
  Link link = open_link(runtime, observer, marks(10'000, 100'000), [&](Connection& c) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(c.send({"head", much}), SendResult::high);
  });
  std::string expected;
  for (int i = 0; i < 5; ++i) absl::StrAppend(&expected, "head", much);
  EXPECT_TRUE(link.peer.receive_all() == expected);
  EXPECT_EQ(observer.writable(), 1);
}

// A deadline leaves a part of them.
TEST_P(PiecesTest, AWriteWaitsAboveTheHighMark) {
  use_small_buffers();
  const std::string much = pattern(10'000'000);
  absl::Notification is_late;
  Runtime runtime(options());
  Peer peer = serve(
      runtime,
      [&](Connection c) -> Task<> {
        const absl::Status status =
            co_await within(absl::Milliseconds(1), c.write({much, "middle", much})).result();
        EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
        EXPECT_LE(c.queued_bytes(), 100'000u);
        is_late.Notify();
        co_await c.read();
      },
      marks(50'000, 100'000));
  is_late.WaitForNotification();  // or the peer might read all of it before
  peer.send("go on");
  const std::string got = peer.receive_all();
  EXPECT_LT(got.size(), 2 * much.size());
  EXPECT_TRUE(got == absl::StrCat(much, "middle", much).substr(0, got.size()));
}

TEST_P(PiecesTest, ATaskOfAnotherOrderWritesThem) {
  const std::string much = pattern(100'000);
  Connection c;
  absl::Notification accepted;
  Runtime runtime(options());
  Peer peer = serve(runtime, [&](Connection connection) -> Task<> {
    c = connection;
    accepted.Notify();
    (void)co_await c.closed().result();
  });
  accepted.WaitForNotification();
  const absl::Status status = runtime.run([&]() -> Task<> {
    const std::string head = "head";
    co_await c.write({head, much, "end"});
    c.close();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(peer.receive_all() == absl::StrCat("head", much, "end"));
  c = Connection();
}

TEST_P(PiecesTest, NothingIsNothing) {
  Connection none;
  EXPECT_EQ(none.send({"a", "b"}), SendResult::closed);
  EXPECT_EQ(none.send(std::span<const ByteView>()), SendResult::closed);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) {
    EXPECT_EQ(c.send({"", ""}), SendResult::queued);
    EXPECT_EQ(c.send(std::span<const ByteView>()), SendResult::queued);
  });
  EXPECT_EQ(link.connection.send({"", ""}), SendResult::queued);
  fence(link.connection);
  EXPECT_EQ(writes(), 0u);
}

// -- Where they are cut. --

// Notes the first call with several pieces, and takes only some bytes of it.
class CuttingKernel : public FaultKernel {
 public:
  using FaultKernel::FaultKernel;

  // The next sendmsg() takes at most `count` bytes.
  void cut_next(std::size_t count) {
    const absl::MutexLock lock(&mutex_);
    next_ = count;
  }

  std::vector<const void*> addresses() const {
    const absl::MutexLock lock(&mutex_);
    return addresses_;
  }

  SysResult sendmsg(int fd, const msghdr* message, int flags) override {
    std::size_t most = 0;
    {
      const absl::MutexLock lock(&mutex_);
      addresses_.clear();
      for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
        addresses_.push_back(message->msg_iov[i].iov_base);
      }
      most = std::exchange(next_, 0);
    }
    if (most == 0) return FaultKernel::sendmsg(fd, message, flags);
    std::vector<iovec> vectors(message->msg_iov, message->msg_iov + message->msg_iovlen);
    std::size_t count = 0;
    while (count < vectors.size() && most != 0) {
      iovec& vector = vectors[count++];
      vector.iov_len = std::min(vector.iov_len, most);
      most -= vector.iov_len;
    }
    msghdr less = *message;
    less.msg_iov = vectors.data();
    less.msg_iovlen = count;
    return FaultKernel::sendmsg(fd, &less, flags);
  }

 private:
  mutable absl::Mutex mutex_;
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: all
  std::vector<const void*> addresses_ ABSL_GUARDED_BY(mutex_);
};

class CutPiecesTest : public testing::Test {
 protected:
  RuntimeOptions options() {
    RuntimeOptions options;
    options.dispatch = Dispatch::poll_thread;
    options.kernel = &kernel_;
    return options;
  }

  CuttingKernel kernel_;
};

TEST_F(CutPiecesTest, TheyAreWrittenFromWhereTheyLie) {
  const std::string head = pattern(100);
  const std::string body = pattern(20'000);
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  ASSERT_TRUE(link.connection.post([&](Connection& c) { c.send({head, body}); }).ok());
  EXPECT_TRUE(link.peer.receive(20'100) == head + body);
  fence(link.connection);
  EXPECT_EQ(kernel_.addresses(), (std::vector<const void*>{head.data(), body.data()}));
}

TEST_F(CutPiecesTest, TheFirstCallMayTakeAnyNumberOfBytes) {
  const std::string text = pattern(16'500);
  const std::string_view view = text;
  const std::array<ByteView, 5> pieces = {view.substr(0, 10), view.substr(10, 0),
                                          view.substr(10, 1), view.substr(11, 9'000),
                                          view.substr(9'011)};
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  for (std::size_t k = 1; k < 5 + text.size(); ++k) {
    ASSERT_TRUE(link.connection
                    .post([&](Connection& c) {
                      c.send("first");
                      kernel_.cut_next(k);
                      EXPECT_TRUE(c.send(pieces).ok());
                    })
                    .ok());
    ASSERT_TRUE(link.peer.receive(5 + text.size()) == "first" + text) << k;
  }
  fence(link.connection);
  EXPECT_EQ(link.connection.queued_bytes(), 0u);
}

TEST_F(CutPiecesTest, TheQueueMayHaveRoomForAnyNumberOfBytes) {
  const std::string text = pattern(150);
  const std::string_view view = text;
  Runtime runtime(options());
  for (std::size_t high = 1; high < 160; ++high) {
    absl::StatusOr<Listener> listener = runtime.listen(
        "127.0.0.1:0",
        [&](Connection c) -> Task<> {
          co_await c.write({view.substr(0, 3), view.substr(3, 0), view.substr(3, 47),
                            view.substr(50, 1), view.substr(51)});
          co_await c.write({view, view});
        },
        marks(0, high));
    ASSERT_TRUE(listener.ok()) << listener.status();
    Peer peer(listener->address());
    ASSERT_TRUE(peer.receive_all() == text + text + text) << high;
  }
}

}  // namespace
}  // namespace epore
