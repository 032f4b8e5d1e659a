// process_pool with children that are shells.

#include <signal.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "gtest/gtest.h"
#include "tests/examples/server.h"

namespace examples {
namespace {

class Pool {
 public:
  explicit Pool(const std::string& script)
      : process_(start_program("process_pool", {"--children=2", "--longest-pause=200ms",
                                                "--grace=2s", "--", "/bin/sh", "-c", script})) {}

  // The next line that contains `part`.
  std::string await(const std::string& part) {
    while (std::optional<std::string> line = process_.read_line()) {
      if (absl::StrContains(*line, part)) return *line;
    }
    ADD_FAILURE() << "no line with " << part;
    return "";
  }

  // Reads until both children have said "ready PID", and returns their ids.
  std::set<int> await_ready() {
    std::set<int> pids;
    while (pids.size() < 2) {
      const std::string line = await(": ready ");
      int pid = 0;
      if (line.empty() || !absl::SimpleAtoi(line.substr(9), &pid)) break;
      pids.insert(pid);
    }
    return pids;
  }

  ChildProcess& process() { return process_; }

 private:
  ChildProcess process_;
};

bool is_there(int pid) { return ::kill(pid, 0) == 0 || errno != ESRCH; }

TEST(ProcessPool, StartsEndsAndRestarts) {
  Pool pool("echo ready $$; exec sleep 1000");
  const std::set<int> first = pool.await_ready();
  ASSERT_EQ(first.size(), 2u);

  // One that is killed is started again.
  ASSERT_EQ(::kill(*first.begin(), SIGKILL), 0);
  pool.await("killed by signal 9");
  int again = 0;
  EXPECT_TRUE(absl::SimpleAtoi(pool.await(": ready ").substr(9), &again));
  EXPECT_EQ(first.count(again), 0u);

  // SIGHUP restarts all.
  pool.process().signal(SIGHUP);
  const std::set<int> second = pool.await_ready();
  ASSERT_EQ(second.size(), 2u);
  EXPECT_FALSE(is_there(*first.rbegin()));
  EXPECT_FALSE(is_there(again));

  pool.process().signal(SIGTERM);
  EXPECT_EQ(pool.process().wait().value_or(-1), 0);
  for (const int pid : second) EXPECT_FALSE(is_there(pid)) << pid;
}

TEST(ProcessPool, KillsWhatDoesNotEndByItself) {
  Pool pool("trap '' TERM; echo ready $$; while :; do sleep 1000; done");
  const std::set<int> pids = pool.await_ready();
  ASSERT_EQ(pids.size(), 2u);
  pool.process().signal(SIGTERM);
  EXPECT_EQ(pool.process().wait().value_or(-1), 0);
  for (const int pid : pids) EXPECT_FALSE(is_there(pid)) << pid;
}

// A child that prints without line ends is not held up, and nothing that it has printed is lost.
TEST(ProcessPool, PrintsLongLinesAndTheLastOne) {
  ChildProcess pool =
      start_program("process_pool", {"--children=1", "--", "/bin/sh", "-c",
                                     "head -c 300000 /dev/zero | tr '\\0' x; echo; printf end"});
  std::size_t size = 0;
  std::optional<std::string> line = pool.read_line();
  for (; line && *line != "0: end"; line = pool.read_line()) {
    if (absl::EndsWith(*line, "x")) size += line->size() - 3;
  }
  EXPECT_EQ(line.value_or(""), "0: end");
  EXPECT_EQ(size, 300'000u);
  pool.signal(SIGTERM);
  EXPECT_EQ(pool.wait().value_or(-1), 0);
}

// What comes with the end of a long line is not a part of it.
TEST(ProcessPool, LinesBehindALongOneHaveTheirNumber) {
  ChildProcess pool = start_program(
      "process_pool",
      {"--children=1", "--", "/bin/sh", "-c",
       "x=$(head -c 20000 /dev/zero | tr '\\0' x); y=$(head -c 30000 /dev/zero | tr '\\0' y); "
       "printf %s $x; printf %s $x; printf '%s\\nsecond line\\nthird line\\n' $y"});
  std::size_t size = 0;
  std::optional<std::string> line = pool.read_line();
  for (; line && *line != "0: second line"; line = pool.read_line()) {
    if (absl::EndsWith(*line, "y")) size += line->size() - 3;
  }
  EXPECT_EQ(size, 70'000u);
  EXPECT_EQ(line.value_or(""), "0: second line");
  EXPECT_EQ(pool.read_line().value_or(""), "0: third line");
  pool.signal(SIGTERM);
  EXPECT_EQ(pool.wait().value_or(-1), 0);
}

// It is in a session of its own, which SIGTERM to the group does not reach.
TEST(ProcessPool, WhatACopyLeavesRunningHoldsNothingUp) {
  Pool pool("setsid sleep 30 2>/dev/null & echo ready $$");
  std::set<int> pids = pool.await_ready();
  for (const int pid : pool.await_ready()) pids.insert(pid);
  EXPECT_EQ(pids.size(), 4u);
  pool.process().signal(SIGTERM);
  EXPECT_EQ(pool.process().wait().value_or(-1), 0);
}

TEST(ProcessPool, RefusesBadFlags) {
  for (const char* flag :
       {"--children=0", "--children=-1", "--children=1001", "--longest-pause=0", "--grace=-1s"}) {
    ChildProcess pool = start_program("process_pool", {flag, "--", "/bin/true"});
    EXPECT_TRUE(absl::StrContains(pool.read_error_line().value_or(""), "ERROR: --")) << flag;
    EXPECT_EQ(pool.wait().value_or(-1), 1) << flag;
  }
}

TEST(ProcessPool, SaysWhyAProgramDoesNotStart) {
  ChildProcess pool =
      start_program("process_pool", {"--children=1", "--", "epore-no-such-program"});
  EXPECT_EQ(
      pool.read_line().value_or(""),
      "0: start_child(\"epore-no-such-program\"): execve: ENOENT (No such file or directory)");
  pool.signal(SIGTERM);
  EXPECT_EQ(pool.wait().value_or(-1), 0);
}

}  // namespace
}  // namespace examples
