// What a callback may do: replace itself, throw, hold on to its connection, and be destroyed.

#include <atomic>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_set>

#include "absl/base/thread_annotations.h"
#include "absl/hash/hash.h"
#include "absl/log/log_entry.h"
#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

using ConnectionCallbacksTest = RuntimeTest;

// What a callback captured, so that a use after its destruction shows.
struct Captured {
  explicit Captured(std::function<void()> when_destroyed = nullptr)
      : when_destroyed(std::move(when_destroyed)) {}
  ~Captured() {
    if (when_destroyed) when_destroyed();
  }
  std::function<void()> when_destroyed;
  std::string alive = std::string(100, 'a');
};

TEST_P(ConnectionCallbacksTest, EachMayReplaceItselfAndGoOn) {
  std::string order;
  absl::Notification called;
  absl::Notification closed;
  ListenOptions listen;  // every send is `high`, and every turn tells of it
  listen.connection.write_low_mark = listen.connection.write_high_mark = 0;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(
      runtime,
      [&](Connection& connection) {
        connection.on_data([&, kept = std::make_shared<Captured>()](Connection& c, auto) {
          c.on_data([&](Connection&, auto) { ADD_FAILURE() << "replaced before it was called"; });
          c.on_data([&](Connection&, auto bytes) { order += as_text(bytes); });
          order += kept->alive.substr(0, 1);
          called.Notify();
        });
        connection.on_read_closed([&, kept = std::make_shared<Captured>()](Connection& c) {
          c.on_read_closed(nullptr);
          order += kept->alive.substr(0, 1);
          EXPECT_EQ(c.send("1"), SendResult::high);
        });
        connection.on_writable([&, kept = std::make_shared<Captured>()](Connection& c) {
          c.on_writable([&](Connection& self) {
            order += "w";
            self.close();
          });
          order += kept->alive.substr(0, 1);
          EXPECT_EQ(c.send("2"), SendResult::high);
        });
        connection.on_closed([&, kept = std::make_shared<Captured>()](Connection& c, auto&) {
          c.on_closed([&](Connection&, auto&) { ADD_FAILURE() << "closed twice"; });
          order += kept->alive.substr(0, 1);
          closed.Notify();
        });
      },
      listen);
  Peer peer(listener.address());
  peer.send("x");
  called.WaitForNotification();
  peer.send("d");
  peer.half_close();
  EXPECT_EQ(peer.receive_all(), "12");
  closed.WaitForNotification();
  EXPECT_EQ(order, "adaawa");
}

TEST_P(ConnectionCallbacksTest, TheEndDestroysThemAndWhatTheyCaptured) {
  std::atomic<int> alive{0};
  const auto captured = [&] {
    ++alive;
    return std::make_shared<Captured>([&] { --alive; });
  };
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    // Each with a handle to the connection itself: a circle that the end cuts.
    c.on_data([c, kept = captured()](Connection&, auto) {});
    c.on_read_closed([c, kept = captured()](Connection& self) { self.close(); });
    c.on_writable([c, kept = captured()](Connection&) {});
    c.on_drain([c, kept = captured()](Connection&) {});
    c.timer([c, kept = captured()](Connection&) {}).arm(absl::Hours(1));
  });
  EXPECT_EQ(alive, 5);
  Connection copy = link.connection;
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(alive, 0);
}

// A session object that detaches itself in its destructor, which runs when the connection's end
// destroys the callback that held it.
TEST_P(ConnectionCallbacksTest, WhatIsDestroyedAtTheEndMayCallTheConnection) {
  std::atomic<int> destroyed{0};
  Observer observer;
  Runtime runtime(options());
  const auto detach = [&](Connection c) {
    return std::make_shared<Captured>([&destroyed, c]() mutable {
      c.on_data(nullptr);
      c.on_read_closed(nullptr);
      c.on_writable([c](Connection&) {});
      c.on_drain([c](Connection&) {});
      c.on_closed(nullptr);
      EXPECT_EQ(c.send("x"), SendResult::closed);
      EXPECT_FALSE(c.post([c](Connection&) {}).ok());
      c.timer([c](Connection&) {}).arm(absl::ZeroDuration());
      c.close();
      c.abort();
      ++destroyed;
    });
  };
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    c.on_data([kept = detach(c)](Connection&, auto) {});
    c.on_read_closed([kept = detach(c)](Connection& self) { self.close(); });
    c.on_writable([kept = detach(c)](Connection&) {});
    c.on_drain([kept = detach(c)](Connection&) {});
    c.timer([kept = detach(c)](Connection&) {}).arm(absl::Hours(1));
  });
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(destroyed, 5);
}

// The same while the connection lives, for a callback that is replaced.
TEST_P(ConnectionCallbacksTest, WhatAReplacementDestroysMaySetTheSameCallback) {
  Observer observer;
  Runtime runtime(options());
  std::atomic<int> destroyed{0};
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    c.on_data([kept = std::make_shared<Captured>([&, c]() mutable {
                 ++destroyed;
                 c.on_data([&](Connection& self, auto bytes) { self.send(bytes); });
               })](Connection&, auto) {});
    c.on_data(nullptr);
  });
  fence(link.connection);
  EXPECT_EQ(destroyed, 1);
  link.peer.send("echo");
  EXPECT_EQ(link.peer.receive(4), "echo");
}

TEST_P(ConnectionCallbacksTest, ClosuresThatComeTooLateAreDestroyedWithoutRunning) {
  std::atomic<int> destroyed{0};
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    for (int i = 0; i < 1'000; ++i) {  // more than one turn delivers
      EXPECT_TRUE(
          c.post([kept = std::make_shared<Captured>([&] { ++destroyed; }), c, i](Connection& self) {
             if (i == 0) self.abort();
           }).ok());
    }
  });
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(destroyed, 1'000);
}

// Whichever callback throws, its connection ends with Internal and a reset, and another one
// goes on.
TEST_P(ConnectionCallbacksTest, AnExceptionEndsItsConnectionAlone) {
  const auto boom = [] { throw std::runtime_error("boom"); };
  const auto expect_end = [&](const char* what, auto set_up, auto provoke) {
    SCOPED_TRACE(what);
    Observer other_observer;
    other_observer.when_data = [](Connection& c, std::string_view bytes) { c.send(bytes); };
    Observer observer;
    set_up(observer);
    Runtime runtime(options());
    Link other = open_link(runtime, other_observer);
    Link link = open_link(runtime, observer);
    provoke(link);
    const absl::Status why = observer.await_closed();
    EXPECT_EQ(why.code(), absl::StatusCode::kInternal) << why;
    EXPECT_TRUE(absl::StrContains(why.message(), "boom")) << why;
    EXPECT_EQ(link.peer.end(), ECONNRESET);
    other.peer.send("still there");
    EXPECT_EQ(other.peer.receive(11), "still there");
    EXPECT_EQ(runtime.counters().callback_exceptions, 1u);
  };
  const auto nothing = [](Observer&) {};
  expect_end(
      "on_data", [&](Observer& o) { o.when_data = [&](auto&, auto) { boom(); }; },
      [](Link& link) { link.peer.send("x"); });
  expect_end(
      "on_read_closed", [&](Observer& o) { o.when_read_closed = [&](auto&) { boom(); }; },
      [](Link& link) { link.peer.half_close(); });
  expect_end(
      "on_writable", [&](Observer& o) { o.when_writable = [&](auto&) { boom(); }; },
      [](Link& link) { link.connection.send(std::string(300'000, 'x')); });
  expect_end("post", nothing, [&](Link& link) {
    EXPECT_TRUE(link.connection.post([&](Connection&) { boom(); }).ok());
  });
  expect_end("timer", nothing, [&](Link& link) {
    link.connection.timer([&](Connection&) { boom(); }).arm(absl::ZeroDuration());
  });
}

// The log says so, once a second at most, also where nobody has set on_closed.
TEST_P(ConnectionCallbacksTest, AnExceptionIsLogged) {
  class Lines : public absl::LogSink {
   public:
    Lines() { absl::AddLogSink(this); }
    ~Lines() override { absl::RemoveLogSink(this); }
    void Send(const absl::LogEntry& entry) override {
      if (!absl::StrContains(entry.text_message(), "has thrown")) return;
      const absl::MutexLock lock(&mutex_);
      text_ = std::string(entry.text_message());
    }
    std::string text() {
      const absl::MutexLock lock(&mutex_);
      return text_;
    }

   private:
    absl::Mutex mutex_;
    std::string text_ ABSL_GUARDED_BY(mutex_);
  } lines;
  Runtime runtime(options());
  // Not as soon as it is accepted: then the reset may come before the peer's connect() returns.
  const Listener listener = listen_on_loopback(runtime, [](Connection& c) {
    c.on_data(
        [](Connection&, std::span<const std::byte>) { throw std::runtime_error("no such table"); });
  });
  while (lines.text().empty()) {
    Peer peer(listener.address());
    peer.send("x");
    EXPECT_EQ(peer.end(), ECONNRESET);
  }
  EXPECT_TRUE(absl::StrContains(lines.text(), "connection ")) << lines.text();
  EXPECT_TRUE(absl::StrContains(lines.text(), "peer 127.0.0.1:")) << lines.text();
  EXPECT_TRUE(absl::StrContains(lines.text(), "no such table")) << lines.text();
}

TEST_P(ConnectionCallbacksTest, AnExceptionInTheFirstCallback) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [](Connection&) { throw std::string("no exception"); });
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(link.peer.end(), ECONNRESET);
  fence(runtime);
  EXPECT_EQ(runtime.counters().callback_exceptions, 1u);
}

TEST_P(ConnectionCallbacksTest, AnExceptionInOnClosedIsCounted) {
  Observer observer;
  observer.when_closed = [](auto&, auto&) { throw std::runtime_error("boom"); };
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  link.peer.close();
  fence(runtime);
  fence(link.connection);
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().callback_exceptions, 1u);
  EXPECT_EQ(runtime.counters().connections, 0u);
}

TEST_P(ConnectionCallbacksTest, AnExceptionInOnDrain) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(), [](Connection& c) {
    c.on_drain([](Connection&) { throw std::runtime_error("boom"); });
  });
  EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok());
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kInternal);
}

TEST_P(ConnectionCallbacksTest, AnExceptionInOnConnected) {
  Observer observer;
  absl::Notification failed;
  Runtime runtime(options());
  const Listener listener = listen_on_loopback(runtime, [&](Connection&) {});
  runtime.connect(listener.address().to_string(), [&](absl::StatusOr<Connection> connected) {
    observer.watch(*connected);
    throw std::runtime_error("boom");
  });
  EXPECT_EQ(observer.await_closed().code(), absl::StatusCode::kInternal);
  runtime.connect("no address", [&](absl::StatusOr<Connection> connected) {
    EXPECT_FALSE(connected.ok());
    failed.Notify();
    throw std::runtime_error("boom");
  });
  failed.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().callback_exceptions, 2u);
}

TEST_P(ConnectionCallbacksTest, ExceptionsOutsideOfConnectionsAreCounted) {
  Runtime runtime(options());
  EXPECT_TRUE(runtime.post([] { throw std::runtime_error("boom"); }).ok());
  absl::Notification fired;
  runtime.post_after(absl::ZeroDuration(), [&] {
    fired.Notify();
    throw std::runtime_error("boom");
  });
  fired.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(runtime.counters().callback_exceptions, 2u);
}

// The handle that a callback is given is a handle: it may be moved away or assigned to.
TEST_P(ConnectionCallbacksTest, TheHandleMayBeTaken) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer);
  Connection taken;
  link.connection.on_data([&](Connection& c, auto bytes) {
    EXPECT_NE(c.id(), 0u);
    taken = std::move(c);
    taken.send(bytes);
  });
  fence(link.connection);
  for (int i = 0; i < 3; ++i) {
    link.peer.send("x");
    EXPECT_EQ(link.peer.receive(1), "x");
  }
  link.peer.close();
  EXPECT_TRUE(observer.await_closed().ok());
}

// Exactly once, also for who comes late.
TEST_P(ConnectionCallbacksTest, OnClosedThatIsSetAfterTheEndIsCalled) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [](Connection& c) { c.on_closed(nullptr); });
  link.connection.abort(absl::AbortedError("no more"));
  while (link.connection.post([](Connection&) {}).ok()) std::this_thread::yield();  // it has ended
  absl::Notification told;
  const std::thread::id here = std::this_thread::get_id();
  link.connection.on_closed([&](Connection& c, const absl::Status& why) {
    EXPECT_NE(std::this_thread::get_id(), here) << "inside the call that sets it";
    EXPECT_EQ(why, absl::AbortedError("no more"));
    EXPECT_TRUE(c == link.connection);
    EXPECT_FALSE(c.is_open());
    c.on_closed([](Connection&, const absl::Status&) { FAIL() << "a second time"; });
    told.Notify();
  });
  told.WaitForNotification();
  const auto captured = std::make_shared<int>(0);
  link.connection.on_closed([captured](Connection&, const absl::Status&) { FAIL(); });
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(captured.use_count(), 1);
}

// It may be on its way when the connection ends.
TEST_P(ConnectionCallbacksTest, OnClosedThatIsSetDuringTheEndIsCalled) {
  for (int round = 0; round < 50; ++round) {
    Observer observer;
    Runtime runtime(options());
    Link link = open_link(runtime, observer, ConnectionOptions(),
                          [](Connection& c) { c.on_closed(nullptr); });
    absl::Notification told;
    link.peer.close();
    link.connection.on_closed([&](Connection&, const absl::Status&) { told.Notify(); });
    told.WaitForNotification();
  }
}

TEST_P(ConnectionCallbacksTest, AfterTheShutdownOnClosedIsDestroyed) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [](Connection& c) { c.on_closed(nullptr); });
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  const auto captured = std::make_shared<int>(0);
  link.connection.on_closed([captured](Connection&, const absl::Status&) { FAIL(); });
  EXPECT_EQ(captured.use_count(), 1);
}

TEST_P(ConnectionCallbacksTest, AReasonIsTold) {
  for (const bool is_here : {false, true}) {
    for (const bool is_graceful : {false, true}) {
      Observer observer;
      Runtime runtime(options());
      Link link = open_link(runtime, observer);
      const auto end = [&](Connection& c) {
        is_graceful ? c.close(absl::DataLossError("why")) : c.abort(absl::DataLossError("why"));
      };
      if (is_here) {
        ASSERT_TRUE(link.connection.post(end).ok());
      } else {
        end(link.connection);
      }
      EXPECT_EQ(link.peer.end(), is_graceful ? 0 : ECONNRESET);
      link.peer.close();
      EXPECT_EQ(observer.await_closed(), absl::DataLossError("why"));
    }
  }
}

// Handles name things, and so they are keys.
TEST_P(ConnectionCallbacksTest, HandlesAreEqualIfTheyNameTheSame) {
  Observer first, second;
  Runtime runtime(options());
  Link a = open_link(runtime, first);
  Link b = open_link(runtime, second);
  std::unordered_set<Connection> set = {a.connection, b.connection, Connection(a.connection)};
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.contains(a.connection));
  EXPECT_FALSE(set.contains(Connection()));
  EXPECT_FALSE(a.connection == b.connection);
  EXPECT_TRUE(Connection() == Connection());
  EXPECT_EQ(absl::HashOf(a.connection), absl::HashOf(Connection(a.connection)));
  std::unordered_set<Timer> timers = {a.connection.timer([](Connection&) {}), Timer()};
  EXPECT_EQ(timers.size(), 2u);
  EXPECT_FALSE(timers.contains(a.connection.timer([](Connection&) {})));
  std::unordered_set<Listener> listeners = {a.listener, b.listener, Listener(a.listener)};
  EXPECT_EQ(listeners.size(), 2u);
  EXPECT_EQ(absl::HashOf(a.listener), absl::HashOf(Listener(a.listener)));
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ConnectionCallbacksTest, testing::ValuesIn(all_modes()),
                         mode_name);

}  // namespace
}  // namespace epore
