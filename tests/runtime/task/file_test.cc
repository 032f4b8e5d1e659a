// Files, and parts of them that connections send.

#include "epore/runtime/file.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "epore/poll/errno_of.h"
#include "gtest/gtest.h"
#include "tests/runtime/task/handler_test_base.h"
#include "tests/support/temporary_file.h"

namespace epore {
namespace {

bool has(const absl::Status& status, std::string_view text) {
  return absl::StrContains(status.message(), text);
}

TEST(FileTest, IsReadAtAnyPlace) {
  const TemporaryFile made(pattern(10'000));
  const File file = made.open();
  EXPECT_GT(file.fd(), 2);
  EXPECT_EQ(::fcntl(file.fd(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(file.path(), made.path());
  EXPECT_EQ(file.size().value(), 10'000u);
  std::string got(100, '\0');
  EXPECT_EQ(file.read(5'000, std::as_writable_bytes(std::span(got))).value(), 100u);
  EXPECT_EQ(got, pattern(10'000).substr(5'000, 100));
  EXPECT_EQ(file.read(9'990, std::as_writable_bytes(std::span(got))).value(), 10u);
  EXPECT_EQ(file.read(20'000, std::as_writable_bytes(std::span(got))).value(), 0u);
}

TEST(FileTest, TheLastHandleClosesIt) {
  const ExpectNoFdLeak check;
  const TemporaryFile made("x");
  File file = made.open();
  const File copy = file;
  EXPECT_EQ(file, copy);
  file = File();
  EXPECT_FALSE(file.is_open());
  EXPECT_EQ(file.fd(), -1);
  EXPECT_TRUE(absl::IsFailedPrecondition(file.size().status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(file.read(0, {}).status()));
  EXPECT_TRUE(copy.size().ok());
}

TEST(FileTest, ErrorsNameThePathAndTheCall) {
  const ExpectNoFdLeak check;
  const absl::Status missing = File::open("/missing/file").status();
  EXPECT_EQ(errno_of(missing), ENOENT);
  EXPECT_TRUE(has(missing, "open(/missing/file)")) << missing;
  const absl::Status folder = File::open("/tmp").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(folder) && has(folder, "/tmp")) << folder;
  const std::string fifo = testing::TempDir() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(File::open(fifo).status())) << "and does not wait";
  ::unlink(fifo.c_str());
  const absl::Status zero = File::open(std::string_view("a\0b", 3)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(zero)) << zero;

  const TemporaryFile made("bytes");
  FaultKernel kernel;
  kernel.fail(KernelCall::kOpen, EMFILE);
  EXPECT_EQ(errno_of(File::open(made.path(), kernel).status()), EMFILE);
  kernel.fail(KernelCall::kFstat, EIO);
  const absl::Status unknown = File::open(made.path(), kernel).status();
  EXPECT_TRUE(errno_of(unknown) == EIO && has(unknown, "fstat(")) << unknown;
  const absl::StatusOr<File> file = File::open(made.path(), kernel);
  ASSERT_TRUE(file.ok());
  kernel.fail(KernelCall::kFstat, EIO);
  EXPECT_EQ(errno_of(file->size().status()), EIO);
  std::string got(5, '\0');
  kernel.fail(KernelCall::kPread, EIO);
  const absl::Status unread = file->read(0, std::as_writable_bytes(std::span(got))).status();
  EXPECT_TRUE(errno_of(unread) == EIO && has(unread, made.path())) << unread;
  kernel.fail(KernelCall::kPread, EINTR);
  kernel.shrink_recvs(2);
  EXPECT_EQ(file->read(0, std::as_writable_bytes(std::span(got))).value(), 5u);
  EXPECT_EQ(got, "bytes");
}

class FileWriteTest : public HandlerTest {
 protected:
  static constexpr std::size_t kSize = 5'000'000;

  const std::string bytes_ = pattern(kSize);
  const TemporaryFile made_{bytes_};
};

TEST_P(FileWriteTest, IsInSequenceWithOtherWrites) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await c.write("head");
    co_await c.write(made_.open(), 3, kSize - 3);
    co_await c.write("tail");
    co_await c.write(made_.open(), 0, 0);
    c.send("sent");
    co_await c.write(made_.open(), 10, 10);
    co_await c.flush();
    EXPECT_EQ(c.queued_bytes(), 0u);
  });
  EXPECT_EQ(peer.receive_all(),
            absl::StrCat("head", bytes_.substr(3), "tail", "sent", bytes_.substr(10, 10)));
  EXPECT_EQ(kernel_.calls(KernelCall::kPread), 0u);
  EXPECT_EQ(runtime.counters().bytes_of_files, kSize - 3 + 10);
  EXPECT_EQ(runtime.counters().bytes_out, kSize - 3 + 10 + 12);
}

// The peer of a small file gets the bytes before it in the same packet.
TEST_P(FileWriteTest, TheBytesBeforeItLeaveWithIt) {
  std::atomic<int> flags{0};
  class Flags : public FaultKernel {
   public:
    Flags(Kernel& inner, std::atomic<int>& flags) : FaultKernel(inner), flags_(flags) {}
    SysResult send(int fd, const void* bytes, std::size_t size, int flags) override {
      flags_ = flags;
      return FaultKernel::send(fd, bytes, size, flags);
    }

   private:
    std::atomic<int>& flags_;
  } kernel(kernel_, flags);
  RuntimeOptions options = this->options();
  options.kernel = &kernel;
  Runtime runtime(options);
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await c.write("head ");
    co_await c.write(made_.open(), 0, 100);
    co_await c.read();
  });
  EXPECT_EQ(peer.receive(105), "head " + bytes_.substr(0, 100));
  EXPECT_EQ(flags & MSG_MORE, MSG_MORE);
  EXPECT_EQ(kernel.calls(KernelCall::kSend), 1u);
  EXPECT_EQ(kernel.calls(KernelCall::kSendfile), 1u);
}

// A large part leaves in full segments, and its last bytes at once.
TEST_P(FileWriteTest, ALargePartIsCorkedUntilItsEnd) {
  class Corks : public FaultKernel {
   public:
    using FaultKernel::FaultKernel;
    SysResult setsockopt(int fd, int level, int name, const void* value, unsigned size) override {
      if (level == IPPROTO_TCP && name == TCP_CORK) {
        const absl::MutexLock lock(&mutex_);
        told_ += *static_cast<const int*>(value) != 0 ? '(' : ')';
      }
      return FaultKernel::setsockopt(fd, level, name, value, size);
    }
    SysResult sendfile(int to, int from, std::int64_t offset, std::size_t size) override {
      const SysResult sent = FaultKernel::sendfile(to, from, offset, size);
      const absl::MutexLock lock(&mutex_);
      if (sent.value() > 0 && !told_.ends_with('f')) told_ += 'f';
      return sent;
    }
    std::string take() {
      const absl::MutexLock lock(&mutex_);
      return std::exchange(told_, {});
    }

   private:
    absl::Mutex mutex_;
    std::string told_ ABSL_GUARDED_BY(mutex_);
  } kernel(kernel_);
  RuntimeOptions options = this->options();
  options.kernel = &kernel;
  Runtime runtime(options);
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    co_await c.write(made_.open(), 0, 900'000);
    co_await c.flush();
    EXPECT_EQ(kernel.take(), "(f)");
    co_await c.write(made_.open(), 0, 100'000);
    co_await c.flush();
    EXPECT_EQ(kernel.take(), "f");
    kernel.fail(KernelCall::kSetsockopt, EPERM, 1, FaultKernel::kAlways);
    co_await c.write(made_.open(), 0, 200'000);
    co_await c.flush();
    EXPECT_EQ(kernel.take(), "(f)");
    kernel.fail(KernelCall::kSetsockopt, 0);
    kernel.fail(KernelCall::kSendfile, ENOSYS);
    co_await c.write(made_.open(), 0, 900'000);
    co_await c.flush();
    EXPECT_EQ(kernel.take(), "()") << "a copy would wait in the system";
  });
  EXPECT_EQ(peer.receive_all(), absl::StrCat(bytes_.substr(0, 900'000), bytes_.substr(0, 100'000),
                                             bytes_.substr(0, 200'000), bytes_.substr(0, 900'000)));
}

TEST_P(FileWriteTest, IsCopiedWhereTheSystemRefuses) {
  for (const int error : {EINVAL, ENOSYS, EOPNOTSUPP, EPERM}) {
    Runtime runtime(options());
    kernel_.fail(KernelCall::kSendfile, error);
    const std::uint64_t before = kernel_.calls(KernelCall::kSendfile);
    Peer peer = serve(runtime, [&](Connection c) -> Task<> {
      const File file = made_.open();
      co_await c.write("head");
      co_await c.write(file, 0, kSize);
      co_await c.write(file, 0, 10);
      co_await c.write("tail");
    });
    EXPECT_EQ(peer.receive_all(), absl::StrCat("head", bytes_, bytes_.substr(0, 10), "tail"));
    EXPECT_EQ(kernel_.calls(KernelCall::kSendfile) - before, 1u) << "asked once for a file";
  }
}

TEST_P(FileWriteTest, AFileThatHasBecomeShorterResetsTheConnection) {
  for (const bool is_copied : {false, true}) {
    Runtime runtime(options());
    if (is_copied) kernel_.fail(KernelCall::kSendfile, ENOSYS);
    const TemporaryFile made(pattern(1000));
    absl::Notification ended;
    Peer peer = serve(runtime, [&](Connection c) -> Task<> {
      const File file = made.open();
      made.shorten(600);
      const absl::Status status = co_await c.write(file, 0, 1000).result();
      EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
      EXPECT_TRUE(has(status, made.path()) && has(status, "400 bytes")) << status;
      const absl::Status after = co_await c.write("x").result();
      EXPECT_TRUE(absl::IsOutOfRange(after)) << after;
      ended.Notify();
    });
    EXPECT_EQ(peer.end(), ECONNRESET);
    ended.WaitForNotification();
  }
}

TEST_P(FileWriteTest, EveryErrorEndsTheConnection) {
  for (const KernelCall call : {KernelCall::kSendfile, KernelCall::kPread}) {
    for (const int error : {EIO, ENOMEM, EPIPE, ECONNRESET, EOVERFLOW, ESPIPE, EBADF}) {
      Runtime runtime(options());
      kernel_.fail(KernelCall::kSendfile, ENOSYS);
      kernel_.fail(call, error);
      absl::Notification ended;
      Peer peer = serve(runtime, [&](Connection c) -> Task<> {
        const absl::Status status = co_await c.write(made_.open(), 0, kSize).result();
        EXPECT_EQ(errno_of(status), error) << status;
        EXPECT_TRUE(has(status, made_.path())) << status;
        ended.Notify();
      });
      EXPECT_EQ(peer.end(), ECONNRESET);
      ended.WaitForNotification();
    }
  }
}

TEST_P(FileWriteTest, InterruptedAndShortCallsGoOn) {
  for (const bool is_copied : {false, true}) {
    Runtime runtime(options());
    kernel_.fail(KernelCall::kSendfile, is_copied ? ENOSYS : EINTR);
    kernel_.fail(KernelCall::kPread, EINTR);
    kernel_.shrink_sends(9'999);
    Peer peer =
        serve(runtime, [&](Connection c) -> Task<> { co_await c.write(made_.open(), 0, kSize); });
    EXPECT_EQ(peer.receive_all(), bytes_);
  }
}

// A peer that does not read holds the coroutine up, and the file takes no memory.
TEST_P(FileWriteTest, ADeadlineLeavesAPart) {
  const std::string bytes = pattern(30'000'000);
  const TemporaryFile made(bytes);
  Runtime runtime(options());
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    const absl::Status status =
        co_await within(absl::Nanoseconds(1), c.write(made.open(), 0, bytes.size())).result();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_LE(c.queued_bytes(), 128u);
    co_await c.read();
  });
  const std::string got = peer.receive(200'000);
  peer.send("go on");
  const std::string rest = peer.receive_all();
  EXPECT_EQ(got + rest, bytes.substr(0, got.size() + rest.size()));
  EXPECT_LT(got.size() + rest.size(), bytes.size());
}

TEST_P(FileWriteTest, PartsOfSeveralCoroutinesDoNotMix) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    const auto twice = [](Connection& c, const File& file) -> Task<> {
      for (int i = 0; i < 2; ++i) co_await c.write(file, 0, kSize);
    };
    const File file = made_.open();
    co_await all(twice(c, file), twice(c, file));
  });
  EXPECT_EQ(peer.receive_all(), absl::StrCat(bytes_, bytes_, bytes_, bytes_));
}

// In the midst of one file stand neither bytes nor another file.
TEST_P(FileWriteTest, WhatIsSentMeanwhileComesBehindIt) {
  for (const bool is_file : {false, true}) {
    SCOPED_TRACE(is_file);
    Runtime runtime(options());
    Peer peer = serve(runtime, [&](Connection c) -> Task<> {
      const File file = made_.open();
      const auto send = [&](Connection& c) -> Task<> {  // begins behind the first piece
        if (is_file) c.send(file, 0, kSize);
        if (!is_file) c.send(bytes_);
        co_return;
      };
      co_await all(c.write(file, 0, kSize), send(c));
      co_await c.write("tail");
    });
    EXPECT_TRUE(peer.receive_all() == absl::StrCat(bytes_, bytes_, "tail"));
  }
}

TEST_P(FileWriteTest, WhatIsNoPartIsRefused) {
  Runtime runtime(options());
  Peer peer = serve(runtime, [&](Connection c) -> Task<> {
    const absl::Status none = co_await c.write(File(), 0, 1).result();
    EXPECT_TRUE(absl::IsInvalidArgument(none)) << none;
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
    const absl::Status large = co_await c.write(made_.open(), 1, kMost).result();
    EXPECT_TRUE(absl::IsInvalidArgument(large)) << large;
    co_await c.write("open");
  });
  EXPECT_EQ(peer.receive_all(), "open");
  Connection missing;
  EXPECT_EQ(missing.send(made_.open(), 0, 1), SendResult::closed);
}

class FileSendTest : public FileWriteTest {};

TEST_P(FileSendTest, OnWritableTellsWhenItIsGone) {
  Observer observer;
  Runtime runtime(options());
  observer.when_writable = [](Connection& c) {
    EXPECT_EQ(c.queued_bytes(), 0u);
    c.send("tail");
    c.close();
  };
  const File file = made_.open();
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    c.send("head");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(c.send(file, 0, kSize), SendResult::high);
    c.send("middle");
    EXPECT_LE(c.queued_bytes(), 3 * 128 + 10);
  });
  EXPECT_EQ(link.peer.receive_all(),
            absl::StrCat("head", bytes_, bytes_, bytes_, "middle", "tail"));
  link.peer.close();
  EXPECT_EQ(observer.await_closed(), absl::OkStatus());
  EXPECT_EQ(observer.writable(), 1);
}

// A close() waits for it, as for bytes.
TEST_P(FileSendTest, FromAnotherThreadItIsInSequence) {
  Observer observer;
  Runtime runtime(options());
  Link link = open_link(runtime, observer, ConnectionOptions());
  const File file = made_.open();
  link.connection.send("head");
  EXPECT_EQ(link.connection.send(file, 0, kSize), SendResult::high);
  link.connection.send("tail");
  EXPECT_EQ(link.connection.send(file, 0, 3), SendResult::high);
  link.connection.close();
  EXPECT_EQ(link.peer.receive_all(), absl::StrCat("head", bytes_, "tail", bytes_.substr(0, 3)));
}

// From another connection of its order, too: bytes come there by mail, and so does the file.
TEST_P(FileSendTest, FromAnotherConnectionOfItsOrderItIsInSequence) {
  Observer of_sender;
  Observer of_other;
  Connection other;
  Runtime runtime(options());
  ListenOptions in_order;
  in_order.order = runtime.order();
  const File file = made_.open();
  of_sender.when_data = [&](Connection&, std::string_view) {
    EXPECT_TRUE(other.send("head").ok());
    EXPECT_EQ(other.send(file, 0, kSize), SendResult::high);
    EXPECT_TRUE(other.send("tail").ok());
    other.close();
  };
  Link to_other = open_link(runtime, of_other, in_order);
  other = to_other.connection;
  Link to_sender = open_link(runtime, of_sender, in_order);
  to_sender.peer.send("go");
  EXPECT_TRUE(to_other.peer.receive_all() == absl::StrCat("head", bytes_, "tail"));
}

// Files are beside the cap, which is for memory.
TEST_P(FileSendTest, TheCapIsForMemory) {
  Observer observer;
  Runtime runtime(options());
  ConnectionOptions small;
  small.write_low_mark = small.write_high_mark = small.write_cap = 10'000;
  const File file = made_.open();
  Link link = open_link(runtime, observer, small, [&](Connection& c) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(c.send(file, 0, kSize), SendResult::high);
    EXPECT_TRUE(c.send("tail").ok());
    c.close();
  });
  EXPECT_EQ(link.peer.receive_all(), absl::StrCat(bytes_, bytes_, bytes_, bytes_, bytes_, "tail"));
}

TEST_P(FileSendTest, AnErrorIsToldByOnClosed) {
  Observer observer;
  Runtime runtime(options());
  const TemporaryFile made("short");
  Link link = open_link(runtime, observer, ConnectionOptions(),
                        [&](Connection& c) { c.send(made.open(), 0, 6); });
  EXPECT_EQ(link.peer.end(), ECONNRESET);
  EXPECT_TRUE(absl::IsOutOfRange(observer.await_closed()));

  Observer second;
  Link other = open_link(runtime, second, ConnectionOptions());
  EXPECT_EQ(other.connection.send(File(), 0, 6), SendResult::closed);
  EXPECT_TRUE(absl::IsInvalidArgument(second.await_closed()));
}

TEST_P(FileSendTest, WhatWaitsIsDroppedByAnAbort) {
  Observer observer;
  Runtime runtime(options());
  const File file = made_.open();
  Link link = open_link(runtime, observer, ConnectionOptions(), [&](Connection& c) {
    for (int i = 0; i < 100; ++i) c.send(file, 0, kSize);
    c.abort();
  });
  EXPECT_TRUE(absl::IsCancelled(observer.await_closed()));
  EXPECT_EQ(runtime.counters().queued_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, FileWriteTest, testing::ValuesIn(all_modes()), mode_name);
INSTANTIATE_TEST_SUITE_P(Everywhere, FileSendTest, testing::ValuesIn(all_modes()), mode_name);

}  // namespace
}  // namespace epore
