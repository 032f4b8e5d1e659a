// Every call of an echo, from the listener to the shutdown, fails once with every error that it can
// have. Nothing leaks, nothing hangs, and everybody is told of the end, once.

#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

class StreamErrorsTest : public RuntimeTest {
 protected:
  // Runs the scenario with what `arm` makes fail; returns whether that came to pass.
  void run(FaultKernel& kernel) {
    constexpr std::size_t kBytes = 200'000;
    std::atomic<int> opened{0};
    std::atomic<int> closed{0};
    std::atomic<int> connected{0};
    absl::Notification done;
    RuntimeOptions options = RuntimeTest::options();
    options.kernel = &kernel;
    Runtime runtime(options);
    if (!runtime.status().ok()) return;
    const auto count_end = [&](Connection& connection) {
      ++opened;
      connection.on_closed([&](Connection&, const absl::Status&) { ++closed; });
    };
    auto listener = runtime.listen("127.0.0.1:0", [&](Connection& connection) {
      count_end(connection);
      connection.on_data([](Connection& c, std::span<const std::byte> bytes) { c.send(bytes); });
    });
    if (!listener.ok()) return;
    runtime.connect(listener->address().to_string(), [&](absl::StatusOr<Connection> connection) {
      ++connected;
      if (!connection.ok()) {
        done.Notify();
        return;
      }
      ++opened;
      connection->on_closed([&](Connection&, const absl::Status&) {
        ++closed;
        done.Notify();
      });
      connection->on_data([left = kBytes](Connection& c, std::span<const std::byte> bytes) mutable {
        left -= bytes.size();
        if (left == 0) c.close();
      });
      connection->send("x");  // and then one that is written at once
      connection->send(pattern(kBytes - 1));
    });
    done.WaitForNotification();
    EXPECT_TRUE(runtime.shutdown().ok());
    EXPECT_EQ(connected, 1);
    EXPECT_EQ(closed, opened);
    const Counters counters = runtime.counters();
    EXPECT_EQ(counters.connections, 0u) << counters.to_json();
    EXPECT_EQ(counters.queued_bytes, 0u) << counters.to_json();
    EXPECT_EQ(counters.timers_armed, 0u) << counters.to_json();
    EXPECT_EQ(counters.callback_exceptions, 0u);
  }

  void expect_survival(KernelCall call, std::vector<int> errors) {
    for (const int error : errors) {
      for (int k = 1;; ++k) {
        SCOPED_TRACE(absl::StrCat(kernel_call_name(call), " number ", k, " fails with ",
                                  strerrorname_np(error)));
        const ExpectNoFdLeak check;
        FaultKernel kernel;
        kernel.fail(call, error, k);
        run(kernel);
        if (HasFailure()) return;
        // So few calls were made: there is no k-th that could fail.
        if (kernel.calls(call) < static_cast<std::uint64_t>(k)) break;
        if (k == kMost) break;
      }
    }
  }

  static constexpr int kMost = 40;  // of one kind; those that follow are like those before
};

TEST_P(StreamErrorsTest, CreatingDescriptors) {
  expect_survival(KernelCall::kSocket, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT});
  expect_survival(KernelCall::kEventfd, {EMFILE, ENFILE, ENOMEM});
  expect_survival(KernelCall::kEpollCreate, {EMFILE, ENFILE, ENOMEM});
}

TEST_P(StreamErrorsTest, Listening) {
  expect_survival(KernelCall::kBind, {EADDRINUSE, EADDRNOTAVAIL, EACCES});
  expect_survival(KernelCall::kListen, {EADDRINUSE});
  expect_survival(KernelCall::kAccept,
                  {EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPERM, EPROTO});
}

// An error of the listening socket itself ends the listener; then its client is reset.
TEST_P(StreamErrorsTest, Accepting) { expect_survival(KernelCall::kAccept, {EINVAL, EBADF}); }

TEST_P(StreamErrorsTest, Connecting) {
  expect_survival(KernelCall::kConnect,
                  {ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EADDRNOTAVAIL, EAGAIN, EACCES});
  expect_survival(KernelCall::kGetsockopt, {ENOBUFS, ENOMEM});
  expect_survival(KernelCall::kSetsockopt, {ENOBUFS, ENOMEM, EINVAL});
  expect_survival(KernelCall::kGetsockname, {ENOBUFS});
  expect_survival(KernelCall::kGetpeername, {ENOTCONN, ENOBUFS});
}

TEST_P(StreamErrorsTest, ReadingAndWriting) {
  expect_survival(KernelCall::kRecv, {EINTR, ECONNRESET, ETIMEDOUT, ENOMEM, EHOSTUNREACH});
  expect_survival(KernelCall::kSend, {EINTR, ECONNRESET, EPIPE, ENOBUFS, ENOMEM});
  expect_survival(KernelCall::kSendmsg, {EINTR, ECONNRESET, EPIPE, ENOBUFS, ENOMEM});
}

TEST_P(StreamErrorsTest, Ending) {
  expect_survival(KernelCall::kShutdown, {ENOTCONN, ENOBUFS});
  expect_survival(KernelCall::kClose, {EINTR, EIO});
}

TEST_P(StreamErrorsTest, Polling) {
  expect_survival(KernelCall::kEpollCtl, {ENOMEM, ENOSPC});
  expect_survival(KernelCall::kEpollWait, {EINTR});
  expect_survival(KernelCall::kPoll, {EINTR});
  expect_survival(KernelCall::kFstat, {ENOMEM});
}

TEST_P(StreamErrorsTest, Threads) {
  expect_survival(KernelCall::kThreadStart, {EAGAIN});
  expect_survival(KernelCall::kPark, {EINTR, EAGAIN});
}

INSTANTIATE_TEST_SUITE_P(Everywhere, StreamErrorsTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
