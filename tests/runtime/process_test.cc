// A Runtime in its process: its threads and their hooks, and a forked child.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/runtime_test_base.h"

namespace epore {
namespace {

std::ptrdiff_t threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

TEST(Process, NoThreadBeforeARuntimeAndNoneWithDispatchCaller) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "sanitizers have threads of their own";
#endif
  EXPECT_EQ(threads(), 1);
  const Runtime runtime({.dispatch = Dispatch::caller});
  EXPECT_TRUE(runtime.status().ok());
  EXPECT_EQ(threads(), 1);
}

Runtime global_runtime({.dispatch = Dispatch::caller});

TEST(Process, ARuntimeMayBeAGlobal) {
  EXPECT_TRUE(global_runtime.run([]() -> Task<> { co_await yield(); }).ok());
}

class Hooks {
 public:
  RuntimeOptions options(Dispatch dispatch) {
    RuntimeOptions options;
    options.dispatch = dispatch;
    options.workers = 2;
    options.thread_name = "svc";
    options.on_thread_start = [this](std::string_view name) { note(started_, name); };
    options.on_thread_stop = [this](std::string_view name) { note(stopped_, name); };
    return options;
  }

  std::set<std::string> started() const {
    const absl::MutexLock lock(&mutex_);
    return started_;
  }
  std::set<std::string> stopped() const {
    const absl::MutexLock lock(&mutex_);
    return stopped_;
  }

 private:
  void note(std::set<std::string>& names, std::string_view name) {
    const absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(names.emplace(name).second) << name;
  }

  mutable absl::Mutex mutex_;
  std::set<std::string> started_;
  std::set<std::string> stopped_;
};

Task<> block() {
  co_await blocking([] {});
}

TEST(Process, TheHooksSeeEachThreadOnce) {
  Hooks hooks;
  {
    Runtime runtime(hooks.options(Dispatch::adaptive));
    ASSERT_TRUE(runtime.status().ok());
    EXPECT_TRUE(runtime.run(block).ok());
    EXPECT_TRUE(hooks.stopped().empty());
  }
  const std::set<std::string> all = {"svc-blocking", "svc-poll0", "svc-watchdog", "svc-worker0",
                                     "svc-worker1"};
  EXPECT_EQ(hooks.started(), all);
  EXPECT_EQ(hooks.stopped(), all);
}

TEST(Process, WithDispatchCallerOnlyBlockingHasThreads) {
  Hooks hooks;
  {
    Runtime runtime(hooks.options(Dispatch::caller));
    EXPECT_TRUE(runtime.run(block).ok());
  }
  EXPECT_EQ(hooks.started(), std::set<std::string>{"svc-blocking"});
  EXPECT_EQ(hooks.stopped(), hooks.started());
}

TEST(Process, AHookThatThrowsHarmsNobody) {
  RuntimeOptions options;
  options.dispatch = Dispatch::poll_thread;
  options.on_thread_start = [](std::string_view) { throw std::runtime_error("no such hook"); };
  Runtime runtime(options);
  EXPECT_TRUE(runtime.run([]() -> Task<> { co_await yield(); }).ok());
  EXPECT_EQ(runtime.counters().callback_exceptions, 1u);
}

// Returns whether each call in a forked child is refused, and the destructor returns.
bool is_refused_in_a_child(std::unique_ptr<Runtime>& runtime) {
  const Job job = runtime->spawn([]() -> Task<> { co_await sleep_for(absl::Hours(1)); });
  absl::StatusOr<Listener> listener = runtime->listen("127.0.0.1:0", [](Connection&) {});
  const pid_t child = ::fork();
  if (child == 0) {
    absl::Status connected;
    (void)runtime->connect("127.0.0.1:1",
                           [&](absl::StatusOr<Connection> c) { connected = c.status(); });
    const absl::Status all[] = {
        runtime->status(),
        runtime->post([] {}),
        runtime->listen("127.0.0.1:0", [](Connection&) {}).status(),
        connected,
        runtime->run([]() -> Task<> { co_return; }),
        runtime->shutdown(),
        runtime->run_until_signal(),
        runtime->catch_signals(),
        runtime->run_once(),
        runtime->dump_tasks().status(),
        job.wait(),
        listener->close_and_wait(),
    };
    bool are_refused = true;
    for (const absl::Status& status : all) {
      are_refused = are_refused && absl::IsFailedPrecondition(status);
    }
    runtime->post_after(absl::ZeroDuration(), [] {});
    runtime->request_shutdown();
    runtime.reset();
    ::_exit(are_refused ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  job.stop();
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Process, AForkedChildIsRefused) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer ends children of processes with threads";
#endif
  for (const Dispatch dispatch : {Dispatch::adaptive, Dispatch::caller}) {
    auto runtime = std::make_unique<Runtime>(RuntimeOptions{.dispatch = dispatch});
    EXPECT_TRUE(is_refused_in_a_child(runtime)) << dispatch_name(dispatch);
    EXPECT_TRUE(runtime->post([] {}).ok());  // the parent's goes on
  }
}

TEST(Process, ARuntimeOfTheChildWorks) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer ends children of processes with threads";
#endif
  const pid_t child = ::fork();
  if (child == 0) {
    Runtime runtime;
    ::_exit(runtime.run([]() -> Task<> { co_await yield(); }).ok() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// It would take events of the parent, whose event queue it has.
TEST(Process, AChildThatReturnsFromTheCallbackThatForkedItIsEnded) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer ends children of processes with threads";
#endif
  for (const Dispatch dispatch : {Dispatch::adaptive, Dispatch::workers, Dispatch::poll_thread}) {
    RuntimeOptions options;
    options.dispatch = dispatch;
    Runtime runtime(options);
    int message[2];
    ASSERT_EQ(::pipe(message), 0);
    pid_t child = -1;
    absl::Notification has_forked;
    ASSERT_TRUE(runtime
                    .post([&] {
                      child = ::fork();
                      if (child == 0) {
                        ::dup2(message[1], STDERR_FILENO);
                        return;
                      }
                      has_forked.Notify();
                    })
                    .ok());
    has_forked.WaitForNotification();
    ::close(message[1]);
    std::string text;
    char bytes[256];
    for (ssize_t n = 0; (n = ::read(message[0], bytes, sizeof bytes)) > 0;) {
      text.append(bytes, static_cast<std::size_t>(n));
    }
    ::close(message[0]);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
    EXPECT_NE(text.find("must end in the callback, by execve(2) or _exit(2)"), std::string::npos)
        << text;
    EXPECT_TRUE(runtime.run([]() -> Task<> { co_await yield(); }).ok());
  }
}

}  // namespace
}  // namespace epore
