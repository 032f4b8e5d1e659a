#include "epore/runtime/internal/task/dump.h"

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"
#include "tests/runtime/settle.h"
#include "tests/runtime/task/manual_home.h"
#include "tests/support/idle_kernel.h"

namespace epore {
namespace {

constexpr int kLeafLine = __LINE__ + 1;
Task<> leaf() { co_await sleep_for(absl::Hours(10)); }
Task<> middle() { co_await leaf(); }
Task<> outer() { co_await within(absl::Hours(5), middle()); }
Task<int> fetch() {
  co_await sleep_for(absl::Hours(9));
  co_return 1;
}
Task<> joins() { (void)co_await all(fetch(), any(sleep_for(absl::Hours(8)), middle())); }
Task<> groups() {
  co_await group([](Group& group) -> Task<> {
    group.spawn(leaf);
    group.spawn(middle);
    co_return;
  });
}
Task<> yield_once() { co_await yield(); }
Task<> deep(int depth) {
  if (depth == 0) {
    co_await sleep_for(absl::Hours(1));
  } else {
    co_await deep(depth - 1);
  }
}
Task<> wide(int depth) {
  if (depth == 0) {
    co_await sleep_for(absl::Hours(1));
  } else {
    co_await all(wide(depth - 1));
  }
}

std::vector<std::string> lines_of(const std::string& text) { return absl::StrSplit(text, '\n'); }

// Whether a line has all parts in this sequence.
bool has_parts(const std::string& line, const std::vector<std::string>& parts) {
  std::size_t at = 0;
  for (const std::string& part : parts) {
    at = line.find(part, at);
    if (at == std::string::npos) return false;
    at += part.size();
  }
  return true;
}

std::string dump_of(ManualHome& home) {
  std::string text;
  internal::dump_chain(home.root(), home.now(), text);
  return text;
}

// Starts the task, dumps it, and ends it.
std::string dump_of(Task<> task) {
  ManualHome home;
  home.start(std::move(task));
  for (int i = 0; i < 3 && home.posts() > 0; ++i) home.turn();
  std::string text = dump_of(home);
  home.ask_stop();
  home.run();
  return text;
}

TEST(Dump, ALineForEachCoroutineTheOutermostFirst) {
  const std::string text = dump_of(outer());
  const std::vector<std::string> lines = lines_of(text);
  ASSERT_EQ(lines.size(), 4u);  // the first is empty: it is the root's
  EXPECT_TRUE(has_parts(lines[1], {"  ", "dump_test.cc:", "outer("})) << lines[1];
  EXPECT_FALSE(absl::StrContains(text, "Frame")) << text;  // as gcc names it
  EXPECT_TRUE(has_parts(lines[2], {"    ", "dump_test.cc:", "middle"})) << lines[2];
  const std::string leaf_line = absl::StrCat("dump_test.cc:", kLeafLine, " ");
  EXPECT_TRUE(has_parts(lines[3], {"      ", leaf_line, "leaf", ": sleep"})) << lines[3];
}

TEST(Dump, TheChildrenOfAJoinAreBesideEachOther) {
  const std::string text = dump_of(joins());
  const std::vector<std::string> lines = lines_of(text);
  ASSERT_EQ(lines.size(), 7u) << text;
  EXPECT_TRUE(has_parts(lines[1], {"  ", "joins", ": all"})) << text;
  EXPECT_TRUE(has_parts(lines[2], {"    ", "fetch", ": sleep"})) << text;
  EXPECT_EQ(lines[3], "    any") << text;  // no coroutine between the joins
  EXPECT_EQ(lines[4], "      sleep") << text;
  EXPECT_TRUE(has_parts(lines[5], {"      ", "middle"})) << text;
  EXPECT_TRUE(has_parts(lines[6], {"        ", "leaf", ": sleep"})) << text;
}

TEST(Dump, TheChildrenOfAGroup) {
  const std::string text = dump_of(groups());
  const std::vector<std::string> lines = lines_of(text);
  ASSERT_EQ(lines.size(), 5u) << text;
  EXPECT_TRUE(has_parts(lines[1], {"groups", ": group"})) << text;
  EXPECT_TRUE(has_parts(lines[2], {"leaf", ": sleep"})) << text;
  EXPECT_TRUE(has_parts(lines[3], {"middle"})) << text;
  EXPECT_TRUE(has_parts(lines[4], {"leaf", ": sleep"})) << text;
}

TEST(Dump, OfLongChainsTheMiddleIsLeftOut) {
  for (const int depth : {98, 99, 100, 101, 5000}) {
    ManualHome home;
    home.start(deep(depth));
    while (home.root().leaf == nullptr) home.turn_now();
    const std::string text = dump_of(home);
    const std::vector<std::string> lines = lines_of(text);
    EXPECT_EQ(lines.size() - 1, depth < 100 ? depth + 1u : 101u) << text;
    if (depth == 5000) {
      EXPECT_TRUE(absl::StrContains(text, "... 4901 more")) << text;
    }
    home.ask_stop();
    home.run();
  }
}

TEST(Dump, OfDeepJoins) {
  ManualHome home;
  home.start(wide(3000));
  for (int i = 0; i < 5; ++i) home.turn_now();
  const std::string text = dump_of(home);
  EXPECT_TRUE(absl::StrContains(text, "... 1 more")) << text;
  home.ask_stop();
  home.run();
}

TEST(Dump, OfWhatIsReady) {
  ManualHome home;
  home.start([]() -> Task<> { co_await yield(); }());
  EXPECT_TRUE(has_parts(dump_of(home), {"dump_test.cc", ": ready"})) << dump_of(home);
  home.run();
}

TEST(DumpTasks, SinceWhen) {
  IdleKernel kernel;
  Runtime runtime({.dispatch = Dispatch::poll_thread, .kernel = &kernel});
  const Job job = runtime.spawn(outer);
  settle(kernel, runtime);
  kernel.advance(absl::Minutes(90));
  settle(kernel, runtime);
  const absl::StatusOr<std::string> text = runtime.dump_tasks();
  ASSERT_TRUE(text.ok()) << text.status();
  const std::vector<std::string> lines = lines_of(*text);
  ASSERT_EQ(lines.size(), 6u) << *text;
  EXPECT_EQ(lines[0], "tasks: 1");
  EXPECT_EQ(lines[1], "a task");
  for (int i = 2; i < 5; ++i) {
    EXPECT_TRUE(absl::StrContains(lines[i], ", for 1h30m")) << *text;
  }
  EXPECT_TRUE(absl::EndsWith(lines[4], ": sleep")) << *text;
}

TEST(DumpTasks, NoTasks) {
  Runtime runtime;
  EXPECT_EQ(*runtime.dump_tasks(), "tasks: 0\n");
  EXPECT_TRUE(runtime.run(yield_once).ok());
  EXPECT_EQ(*runtime.dump_tasks(), "tasks: 0\n");
  EXPECT_TRUE(runtime.shutdown(absl::ZeroDuration()).ok());
  EXPECT_EQ(*runtime.dump_tasks(), "tasks: 0\n");
}

TEST(DumpTasks, OfARuntimeThatCouldNotStart) {
  Runtime runtime({.reactors = -1});
  EXPECT_EQ(runtime.dump_tasks().status(), runtime.status());
}

TEST(DumpTasks, IsRefusedInATaskAndACallback) {
  Runtime runtime;
  EXPECT_TRUE(runtime
                  .run([&]() -> Task<> {
                    const absl::Status got = runtime.dump_tasks().status();
                    EXPECT_TRUE(absl::IsFailedPrecondition(got)) << got;
                    co_return;
                  })
                  .ok());
}

// A task that does not answer in time has its line, and answers that come too late do no harm.
TEST(DumpTasks, ATaskThatRuns) {
  IdleKernel kernel;
  Runtime runtime({.dispatch = Dispatch::poll_thread, .kernel = &kernel});
  absl::Notification runs;
  absl::Notification may_end;
  const Job job = runtime.spawn([&]() -> Task<> {
    runs.Notify();
    may_end.WaitForNotification();
    co_await sleep_for(absl::Hours(1));
  });
  runs.WaitForNotification();
  absl::StatusOr<std::string> text = runtime.dump_tasks(absl::ZeroDuration());
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "tasks: 1\na task that is running\n");
  may_end.Notify();
  settle(kernel, runtime);
  text = runtime.dump_tasks();
  EXPECT_TRUE(absl::StrContains(*text, ": sleep")) << *text;
}

TEST(DumpTasks, WhileTasksRunAndEndAndOthersDump) {
  Runtime runtime({.workers = 2});
  std::vector<Job> jobs;
  for (int i = 0; i < 20; ++i) {
    jobs.push_back(runtime.spawn([]() -> Task<> {
      for (;;) {
        co_await all(yield(), deep(3));
      }
    }));
    jobs.push_back(runtime.spawn([]() -> Task<> {
      for (;;) {
        (void)co_await within(absl::Microseconds(20), all(middle(), yield())).result();
        co_await yield();
      }
    }));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&runtime] {
      for (int n = 0; n < 20; ++n) {
        const absl::StatusOr<std::string> text = runtime.dump_tasks(absl::Seconds(100));
        ASSERT_TRUE(text.ok()) << text.status();
        EXPECT_TRUE(absl::StartsWith(*text, "tasks: ")) << *text;
      }
    });
  }
  for (std::size_t i = 0; i < jobs.size(); i += 2) jobs[i].stop();
  for (int i = 0; i < 200; ++i) (void)runtime.spawn(yield_once);
  for (std::thread& thread : threads) thread.join();
  const absl::StatusOr<std::string> text = runtime.dump_tasks(absl::Seconds(100));
  EXPECT_FALSE(absl::StrContains(*text, "that is running")) << *text;
}

// A task may end just as a dump asks it: its end is its answer.
TEST(DumpTasks, WhichEndAsTheyAreAskedAnswer) {
  Runtime runtime({.workers = 2});
  std::atomic<int> dumps{0};
  std::thread dumper([&] {
    for (; dumps < 2000; ++dumps) ASSERT_TRUE(runtime.dump_tasks(absl::InfiniteDuration()).ok());
  });
  while (dumps < 2000) EXPECT_TRUE(runtime.spawn(yield_once).wait().ok());
  dumper.join();
}

}  // namespace
}  // namespace epore
