// Reads that begin while a shutdown drains the connection. They get every byte that has come, also
// where the event that tells of it was not reported yet; and they end when there is none.

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/splice.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"
#include "tests/support/temporary_directory.h"

namespace epore {
namespace {

using Reads = std::function<Task<>(Connection)>;

class DrainReadTest : public HandlerTest {
 protected:
  // Serves a connection with `reads`, which begins when the drain has begun and `bytes` have come.
  // The handler itself has sent them, and a Unix socket has them at once. So where the poll thread
  // runs the handler, it has not reported them yet. Returns what the peer gets until the end.
  std::string drain(std::string_view bytes, const Reads& reads) {
    absl::Notification waits;
    int client = -1;  // set before the shutdown, and used by what the shutdown causes
    DrivenRuntime runtime(options());
    const absl::StatusOr<Listener> listener = runtime.listen(address_, [&](Connection c) -> Task<> {
      waits.Notify();
      const absl::Status drains = (co_await c.closed().result()).status();
      EXPECT_TRUE(absl::IsCancelled(drains)) << drains;
      write_to(client, bytes);
      co_await reads(c);
    });
    CHECK_OK(listener);
    Peer peer(listener->address());
    client = peer.fd();
    waits.WaitForNotification();
    return end(runtime, peer);
  }

  // The same with callbacks: `on_drain` is called, and then `bytes` have come.
  std::string drain(std::string_view bytes, const std::function<void(Connection&)>& on_drain) {
    absl::Notification waits;
    int client = -1;
    DrivenRuntime runtime(options());
    const absl::StatusOr<Listener> listener = runtime.listen(address_, [&](Connection& c) {
      c.on_drain([&](Connection& c) {
        write_to(client, bytes);
        on_drain(c);
      });
      waits.Notify();
    });
    CHECK_OK(listener);
    Peer peer(listener->address());
    client = peer.fd();
    waits.WaitForNotification();
    return end(runtime, peer);
  }

 private:
  static void write_to(int fd, std::string_view bytes) {
    PCHECK(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(bytes.size()));
  }

  static std::string end(Runtime& runtime, Peer& peer) {
    std::thread shutdown([&] { EXPECT_TRUE(runtime.shutdown(absl::InfiniteDuration()).ok()); });
    std::string answer = peer.receive_all();
    peer.close();
    shutdown.join();
    return answer;
  }

  const TemporaryDirectory directory_;
  const std::string address_ = "unix:" + directory_.path("x.sock");
};

void expect_cancelled(const absl::Status& status) {
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_P(DrainReadTest, ReadGetsWhatHasComeAndThenEnds) {
  EXPECT_EQ(drain("hello", Reads([](Connection c) -> Task<> {
                    const ByteView bytes = co_await c.read();
                    co_await c.write(bytes);
                    expect_cancelled((co_await c.read().result()).status());
                  })),
            "hello");
}

TEST_P(DrainReadTest, ReadExactlyGetsWhatHasCome) {
  EXPECT_EQ(drain("hello", Reads([](Connection c) -> Task<> {
                    const ByteView first = co_await c.read_exactly(2);
                    co_await c.write(first);
                    const ByteView rest = co_await c.read_exactly(3);
                    co_await c.write(rest);
                    expect_cancelled((co_await c.read_exactly(1).result()).status());
                  })),
            "hello");
}

TEST_P(DrainReadTest, ReadUntilGetsWhatHasCome) {
  EXPECT_EQ(drain("a\nb\n", Reads([](Connection c) -> Task<> {
                    for (int i = 0; i < 2; ++i) {
                      const ByteView line = co_await c.read_until("\n", 100);
                      co_await c.write(line);
                    }
                    expect_cancelled((co_await c.read_until("\n", 100).result()).status());
                  })),
            "a\nb\n");
}

TEST_P(DrainReadTest, PeekGetsWhatHasCome) {
  EXPECT_EQ(drain("hello", Reads([](Connection c) -> Task<> {
                    const ByteView bytes = co_await c.peek(5);
                    co_await c.write(bytes);
                    c.consume(5);
                    expect_cancelled((co_await c.peek().result()).status());
                  })),
            "hello");
}

// More reads than one run of the connection makes.
TEST_P(DrainReadTest, ReadSomeGetsEverythingByteByByte) {
  const std::string sent = pattern(100);
  EXPECT_EQ(drain(sent, Reads([](Connection c) -> Task<> {
                    std::array<std::byte, 1> byte = {};
                    std::string got;
                    for (;;) {
                      const auto count = co_await c.read_some(byte).result();
                      if (!count.ok()) {
                        expect_cancelled(count.status());
                        break;
                      }
                      got += as_text(byte);
                    }
                    co_await c.write(ByteView(std::string_view(got)));
                  })),
            sent);
}

TEST_P(DrainReadTest, SpliceGetsWhatHasCome) {
  EXPECT_EQ(drain("hello", Reads([](Connection c) -> Task<> {
                    expect_cancelled((co_await splice(c, c).result()).status());
                  })),
            "hello");
}

// A signal interrupts the look, and all reads of the run.
TEST_P(DrainReadTest, AnInterruptedReadLooksAgain) {
  for (const int times : {1, 40}) {
    EXPECT_EQ(drain("hello", Reads([&](Connection c) -> Task<> {
                      kernel_.fail(KernelCall::kRecvmsg, EINTR, 1, times);
                      const ByteView bytes = co_await c.read();
                      co_await c.write(bytes);
                    })),
              "hello")
        << times;
  }
}

TEST_P(DrainReadTest, OnDataThatIsSetThenGetsWhatHasCome) {
  EXPECT_EQ(drain("hello",
                  [](Connection& c) {
                    c.on_data([](Connection& c, std::span<const std::byte> bytes) {
                      c.send(bytes);
                      c.close();
                    });
                  }),
            "hello");
}

INSTANTIATE_TEST_SUITE_P(Everywhere, DrainReadTest, testing::ValuesIn(every_mode()), mode_name);

}  // namespace
}  // namespace epore
