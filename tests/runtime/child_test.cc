// Child processes: Runtime::start_child(), and start_child() in tasks.

#include "epore/runtime/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"
#include "tests/support/open_fds.h"

namespace epore {
namespace {

using absl::StatusCode;

std::vector<std::string> shell(std::string script) { return {"/bin/sh", "-c", std::move(script)}; }

class ChildTest : public RuntimeTest {
 protected:
  ~ChildTest() override {
    errno = 0;
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // there is no child, and no zombie
    EXPECT_EQ(errno, ECHILD);
  }
};

INSTANTIATE_TEST_SUITE_P(Everywhere, ChildTest, testing::ValuesIn(all_modes()), mode_name);

void expect_error(const absl::Status& status, StatusCode code, std::string_view part) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

Task<std::string> read_all(Connection from) {
  std::string all;
  while (ByteView bytes = co_await from.read()) all += bytes.text();
  co_return all;
}

// What a program writes to its output and errors.
std::string output_of(Runtime& runtime, const Command& command, ChildOptions options = {}) {
  options.output = ChildStream::pipe();
  absl::StatusOr<std::string> all = runtime.run([&]() -> Task<std::string> {
    Child child = co_await start_child(command, options);
    std::string text = co_await read_all(child.output());
    const ExitStatus end = co_await child.wait();
    EXPECT_TRUE(end.ok()) << end.to_string();
    co_return text;
  });
  EXPECT_TRUE(all.ok()) << all.status();
  return all.value_or("");
}

TEST_P(ChildTest, TellsACallbackHowItHasEnded) {
  struct Case {
    const char* script;
    ExitStatus end;
    const char* text;
  };
  for (const Case& one : {Case{"exit 0", {}, "exit code 0"}, Case{"exit 3", {3, 0}, "exit code 3"},
                          Case{"kill -9 $$", {0, SIGKILL}, "killed by signal 9"}}) {
    absl::Notification told;
    absl::StatusOr<ExitStatus> end = absl::UnknownError("");
    Runtime runtime(options());
    const auto child = runtime.start_child(shell(one.script), {}, [&](auto ended) {
      end = ended;
      told.Notify();
    });
    ASSERT_TRUE(child.ok()) << child.status();
    EXPECT_GT(child->pid(), 0);
    told.WaitForNotification();
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_EQ(*end, one.end);
    EXPECT_EQ(end->to_string(), one.text);
  }
}

TEST_P(ChildTest, SeveralTasksWaitAlsoAfterwards) {
  Runtime runtime(options());
  const absl::Status done = runtime.run([&]() -> Task<> {
    Child child = co_await start_child(shell("read x; exit 5"), {.input = ChildStream::pipe()});
    const auto wait = [](Child waited) -> Task<> {
      const ExitStatus end = co_await waited.wait();
      EXPECT_EQ(end.code, 5);
    };
    const auto finish = [](Child fed) -> Task<> {
      co_await fed.input().write("x\n");
      fed.input().shut_down_write();
    };
    co_await all(wait(child), wait(child), finish(child));
    co_await wait(child);
  });
  EXPECT_TRUE(done.ok()) << done;
}

TEST_P(ChildTest, AStoppedWaitLosesNothing) {
  Runtime runtime(options());
  const absl::Status done = runtime.run([&]() -> Task<> {
    Child child = co_await start_child({"/bin/cat"}, {.input = ChildStream::pipe()});
    const auto late = co_await within(absl::ZeroDuration(), child.wait()).result();
    EXPECT_EQ(late.status().code(), StatusCode::kDeadlineExceeded);
    child.input().shut_down_write();
    const ExitStatus end = co_await child.wait();
    EXPECT_TRUE(end.ok());
  });
  EXPECT_TRUE(done.ok()) << done;
}

TEST_P(ChildTest, PipesAreConnections) {
  Runtime runtime(options());
  const std::string sent = pattern(1 << 20);
  const absl::StatusOr<std::string> received = runtime.run([&]() -> Task<std::string> {
    Child child = co_await start_child(
        {"cat"}, {.input = ChildStream::pipe(), .output = ChildStream::pipe()});
    EXPECT_EQ(child.errors(), Connection());
    const auto write = [](Connection to, const std::string& text) -> Task<> {
      co_await to.write(text);
      to.shut_down_write();
    };
    auto both = co_await all(read_all(child.output()), write(child.input(), sent));
    const ExitStatus end = co_await child.wait();
    EXPECT_TRUE(end.ok());
    co_return std::move(std::get<0>(both));
  });
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_TRUE(*received == sent);
}

TEST_P(ChildTest, PipesServeCallbacks) {
  Observer observer;
  absl::Notification told;
  Runtime runtime(options());
  const auto child = runtime.start_child(
      shell("cat; echo done >&2"),
      {.input = ChildStream::pipe(), .output = ChildStream::pipe(), .errors = ChildStream::pipe()},
      [&](absl::StatusOr<ExitStatus>) { told.Notify(); });
  ASSERT_TRUE(child.ok()) << child.status();
  Connection errors = child->errors();
  errors.post([&](Connection& c) { observer.watch(c); }).IgnoreError();
  child->input().close();
  EXPECT_EQ(observer.await_bytes(5), "done\n");
  EXPECT_TRUE(observer.await_closed().ok());
  told.WaitForNotification();
}

TEST_P(ChildTest, TheLastHandleClosesThePipe) {
  absl::Notification told;
  Runtime runtime(options());
  ASSERT_TRUE(runtime
                  .start_child({"/bin/cat"}, {.input = ChildStream::pipe()},
                               [&](absl::StatusOr<ExitStatus>) { told.Notify(); })
                  .ok());
  told.WaitForNotification();  // it has seen the end of its input
}

TEST_P(ChildTest, StreamsThatAreNoPipes) {
  const OwnedFd file(::memfd_create("out", MFD_CLOEXEC));
  Runtime runtime(options());
  const absl::Status done = runtime.run([&]() -> Task<> {
    // Its input is empty, and both outputs are the same file.
    Child child = co_await start_child(
        shell("cat; echo out; echo err >&2"),
        {.output = ChildStream::of(file.get()), .errors = ChildStream::of(file.get())});
    const ExitStatus end = co_await child.wait();
    EXPECT_TRUE(end.ok());
  });
  EXPECT_TRUE(done.ok()) << done;
  char text[32] = {};
  EXPECT_EQ(::pread(file.get(), text, sizeof text, 0), 8);
  EXPECT_STREQ(text, "out\nerr\n");
  expect_error(runtime.start_child({"/bin/true"}, {.input = ChildStream::of(-7)}).status(),
               StatusCode::kInvalidArgument, "a stream is no open descriptor");
  expect_error(runtime.start_child({"/bin/true"}, {.input = ChildStream::of(99999)}).status(),
               StatusCode::kFailedPrecondition, "of descriptor 99999: EBADF");
}

TEST_P(ChildTest, EnvironmentAndFolder) {
  ::setenv("EPORE_TEST", "of the parent", 1);
  ::setenv("NOTIFY_SOCKET", "/not/for/children", 1);
  Runtime runtime(options());
  const std::vector<std::string> script =
      shell("pwd; echo \"$EPORE_TEST,$EPORE_MORE,$NOTIFY_SOCKET\"");
  EXPECT_EQ(output_of(runtime, Command(script).in("/")), "/\nof the parent,,\n");
  EXPECT_EQ(
      output_of(runtime, Command(script).in("/").with("EPORE_TEST=replaced").with("EPORE_MORE=2")),
      "/\nreplaced,2,\n");
  EXPECT_EQ(output_of(runtime, Command("/usr/bin/env").with_no_environment().with("A=1")), "A=1\n");
  ::unsetenv("EPORE_TEST");
  ::unsetenv("NOTIFY_SOCKET");
}

TEST_P(ChildTest, InheritsNoDescriptor) {
  const OwnedFd leaks(::open("/dev/null", O_RDONLY));  // not close-on-exec
  Runtime runtime(options());
  // 3 is the folder that ls reads.
  EXPECT_EQ(output_of(runtime, {"ls", "/proc/self/fd"}), "0\n1\n2\n3\n");
}

TEST_P(ChildTest, SignalsAreReset) {
  ::signal(SIGUSR2, SIG_IGN);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  {
    Runtime runtime(options());
    for (const std::string_view line :
         absl::StrSplit(output_of(runtime, {"cat", "/proc/self/status"}), '\n')) {
      if (absl::StartsWith(line, "SigBlk") || absl::StartsWith(line, "SigIgn")) {
        EXPECT_TRUE(absl::EndsWith(line, "0000000000000000")) << line;
      }
    }
  }
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::signal(SIGUSR2, SIG_DFL);
}

TEST_P(ChildTest, ErrorsOfTheStartNameTheCall) {
  Runtime runtime(options());
  const ExpectNoFdLeak check;
  const auto refused = [&](const Command& command) {
    return runtime.start_child(command).status();
  };
  expect_error(refused({"epore-no-such-program"}), StatusCode::kNotFound,
               "start_child(\"epore-no-such-program\"): execve: ENOENT");
  expect_error(refused({"/etc/passwd"}), StatusCode::kPermissionDenied, "execve: EACCES");
  expect_error(refused({"/bin/true/x"}), StatusCode::kFailedPrecondition, "execve: ENOTDIR");
  expect_error(refused(Command("true").in("/no/such/folder")), StatusCode::kNotFound,
               "start_child(\"true\"): chdir to \"/no/such/folder\": ENOENT");
  expect_error(refused(std::vector<std::string>()), StatusCode::kInvalidArgument, "no program");
  expect_error(refused({"true", std::string("a\0b", 3)}), StatusCode::kInvalidArgument,
               "has a zero byte");
  expect_error(refused(Command("true").with("NONAME")), StatusCode::kInvalidArgument,
               "\"NONAME\" is not NAME=VALUE");
}

TEST_P(ChildTest, CallsThatAreRefusedLeaveNothing) {
  Runtime runtime(options());
  const ExpectNoFdLeak check;
  const ChildOptions pipes = {.input = ChildStream::pipe(), .output = ChildStream::pipe()};
  for (const int error : {ENOSYS, EMFILE, EAGAIN, ENOMEM}) {
    kernel_.fail(KernelCall::kSpawn, error);
    const absl::Status refused = runtime.start_child({"true"}, pipes).status();
    EXPECT_EQ(errno_of(refused), error);
    EXPECT_TRUE(absl::StrContains(refused.message(), "\"true\"): clone: E")) << refused;
    if (error == EAGAIN) {  // no room for another process
      EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
    }
  }
  for (int k = 1; k <= 2; ++k) {
    kernel_.fail(KernelCall::kSocketpair, EMFILE, k);
    expect_error(runtime.start_child({"true"}, pipes).status(), StatusCode::kResourceExhausted,
                 "socketpair: EMFILE");
    kernel_.fail(KernelCall::kFcntl, ENOMEM, k);
    expect_error(runtime.start_child({"true"}, pipes).status(), StatusCode::kResourceExhausted,
                 "fcntl(F_SETFL): ENOMEM");
  }
  kernel_.fail(KernelCall::kOpen, ENFILE);
  expect_error(runtime.start_child({"true"}).status(), StatusCode::kResourceExhausted,
               "open(/dev/null): ENFILE");
}

// What a program has done before it is killed cannot be undone, so it is not started.
TEST_P(ChildTest, AtTheLimitOfConnectionsTheProgramDoesNotRun) {
  RuntimeOptions limited = options();
  limited.max_connections = 1;
  Runtime runtime(limited);
  const ExpectNoFdLeak check;
  const ChildOptions two = {.input = ChildStream::pipe(), .output = ChildStream::pipe()};
  expect_error(runtime.start_child({"true"}, two).status(), StatusCode::kResourceExhausted,
               "start_child: the limit of connections");
  EXPECT_EQ(kernel_.calls(KernelCall::kSpawn), 0u);
  expect_error(runtime.start_child(std::vector<std::string>(), two).status(),
               StatusCode::kInvalidArgument, "no program");
  // The permit is there again, also after a start that has failed.
  expect_error(
      runtime.start_child({"epore-no-such-program"}, {.output = ChildStream::pipe()}).status(),
      StatusCode::kNotFound, "execve");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(output_of(runtime, {"echo", "x"}), "x\n");
    while (runtime.counters().connections > 0) std::this_thread::yield();
  }
}

// Only the engine that asks the kernel.
TEST_P(ChildTest, AChildThatCannotBeWatchedIsKilled) {
  if (GetParam().selector != "epoll") return;
  Runtime runtime(options());
  kernel_.fail(KernelCall::kEpollCtl, ENOMEM);
  expect_error(runtime.start_child(shell("sleep 1000")).status(), StatusCode::kResourceExhausted,
               "ENOMEM");
}

// A profiler interrupts the wait for the end of a child that was killed.
TEST_P(ChildTest, AChildThatIsKilledLeavesNoZombieWhereTheWaitIsInterrupted) {
  if (GetParam().selector != "epoll") return;
  Runtime runtime(options());
  kernel_.fail(KernelCall::kPoll, EINTR, 1, 100);
  kernel_.fail(KernelCall::kEpollCtl, ENOMEM);
  expect_error(runtime.start_child({"sleep", "1000"}).status(), StatusCode::kResourceExhausted,
               "ENOMEM");
}

TEST_P(ChildTest, KillReachesTheChildOnly) {
  Runtime runtime(options());
  const absl::Status done = runtime.run([&]() -> Task<> {
    Child child = co_await start_child({"sleep", "1000"});
    EXPECT_TRUE(child.kill(0).ok());
    expect_error(child.kill(999), StatusCode::kInvalidArgument, "EINVAL");
    expect_error(child.kill_group(SIGTERM), StatusCode::kFailedPrecondition,
                 "set ChildOptions::own_group");
    EXPECT_TRUE(child.kill(SIGTERM).ok());
    const ExitStatus end = co_await child.wait();
    EXPECT_EQ(end.signal, SIGTERM);
    expect_error(child.kill(SIGTERM), StatusCode::kNotFound, "it has ended");
  });
  EXPECT_TRUE(done.ok()) << done;
  expect_error(Child().kill(SIGTERM), StatusCode::kFailedPrecondition, "names no child");
}

TEST_P(ChildTest, AGroupEndsAsAWhole) {
  Runtime runtime(options());
  const absl::Status done = runtime.run([&]() -> Task<> {
    Child child = co_await start_child(shell("sleep 1000 & echo x; wait"),
                                       {.output = ChildStream::pipe(), .own_group = true});
    co_await child.output().read_exactly(2);
    EXPECT_TRUE(child.kill_group(SIGTERM).ok());
    co_await child.wait();
    co_await read_all(child.output());  // ends, as the grandchild has ended
  });
  EXPECT_TRUE(done.ok()) << done;
}

TEST_P(ChildTest, AShutdownKillsWhatIsLeft) {
  absl::Notification told;
  absl::StatusOr<ExitStatus> end = ExitStatus();
  absl::Status waited;
  Runtime runtime(options());
  const auto child =
      runtime.start_child(shell("sleep 1000 & wait"), {.own_group = true}, [&](auto e) {
        end = e;
        told.Notify();
      });
  ASSERT_TRUE(child.ok()) << child.status();
  absl::Notification waits;
  Job job = runtime.spawn([&, child = *child]() -> Task<> {
    waits.Notify();
    waited = (co_await child.wait().result()).status();
  });
  waits.WaitForNotification();
  EXPECT_TRUE(runtime.shutdown().ok());
  EXPECT_EQ(waited.code(), StatusCode::kCancelled);
  told.WaitForNotification();
  expect_error(end.status(), StatusCode::kCancelled, "was killed: the runtime shuts down");
  expect_error(child->kill(SIGTERM), StatusCode::kNotFound, "it has ended");
  expect_error(runtime.start_child({"true"}).status(), StatusCode::kFailedPrecondition,
               "shut down");
}

TEST_P(ChildTest, AnotherPartOfTheProgramWaitedForIt) {
  absl::Notification told;
  absl::StatusOr<ExitStatus> end = ExitStatus();
  Runtime runtime(options());
  kernel_.before(KernelCall::kWaitid, [](const FaultKernel::Call&) { ::waitpid(-1, nullptr, 0); });
  const auto child = runtime.start_child({"true"}, {}, [&](auto ended) {
    end = ended;
    told.Notify();
  });
  ASSERT_TRUE(child.ok()) << child.status();
  told.WaitForNotification();
  expect_error(end.status(), StatusCode::kFailedPrecondition,
               "another part of the program has waited");
}

TEST_P(ChildTest, TenThousandLeaveNothing) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  constexpr int kTimes = 100;
#else
  constexpr int kTimes = 10'000;
#endif
  if (GetParam().selector != "epoll" || GetParam().dispatch != Dispatch::adaptive) return;
  const ExpectNoFdLeak check;
  Runtime runtime(options());
  const std::size_t before = open_fds().size();
  const absl::Status done = runtime.run([]() -> Task<> {
    for (int i = 0; i < kTimes; ++i) {
      Child child = co_await start_child({"/bin/true"}, {.output = ChildStream::pipe()});
      co_await read_all(child.output());
      const ExitStatus end = co_await child.wait();
      EXPECT_TRUE(end.ok());
      child.output().abort();
    }
  });
  EXPECT_TRUE(done.ok()) << done;
  // The last of them may be closed in a moment; all of them when the runtime is gone.
  EXPECT_LT(open_fds().size(), before + 20);
}

}  // namespace
}  // namespace epore
