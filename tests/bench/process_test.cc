#include "tests/bench/process.h"

#include <signal.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace epore::bench {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

absl::StatusOr<Process> shell(const std::string& script) {
  return Process::spawn({"/bin/sh", "-c", script});
}

TEST(ProcessTest, LinesComeOneByOneAndThenHowItEnded) {
  absl::StatusOr<Process> process = shell("echo one; echo two three; exit 7");
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_EQ(process->read_line(kLong).value(), "one");
  EXPECT_EQ(process->read_line(kLong).value(), "two three");
  const absl::Status end = process->read_line(kLong).status();
  EXPECT_TRUE(absl::IsUnavailable(end));
  EXPECT_EQ(end.message(), "ended with exit code 7");
  EXPECT_EQ(process->check_alive(), end);
  EXPECT_EQ(process->stop(kLong), end);
}

TEST(ProcessTest, SilenceEndsTheWaitForALine) {
  absl::StatusOr<Process> process = shell("exec sleep 1000");
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(process->read_line(absl::Milliseconds(1)).status()));
  EXPECT_TRUE(process->check_alive().ok());
}

TEST(ProcessTest, StopIsOkOnlyAfterACleanEnd) {
  absl::StatusOr<Process> clean = shell("trap 'exit 0' TERM; echo ready; while :; do :; done");
  ASSERT_TRUE(clean.ok()) << clean.status();
  EXPECT_EQ(clean->read_line(kLong).value(), "ready");
  EXPECT_TRUE(clean->stop(kLong).ok());

  absl::StatusOr<Process> killed = shell("exec sleep 1000");
  ASSERT_TRUE(killed.ok()) << killed.status();
  EXPECT_EQ(killed->stop(kLong).message(), "was killed by signal 15 (Terminated)");
}

TEST(ProcessTest, SuccessHasACpuTimeWithThatOfChildren) {
  absl::StatusOr<Process> busy =
      shell("/bin/sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'; :");
  ASSERT_TRUE(busy.ok()) << busy.status();
  const absl::StatusOr<absl::Duration> time = busy->wait_for_success(kLong);
  ASSERT_TRUE(time.ok()) << time.status();
  EXPECT_GT(*time, absl::Milliseconds(1));

  absl::StatusOr<Process> failing = shell("exit 3");
  ASSERT_TRUE(failing.ok()) << failing.status();
  EXPECT_EQ(failing->wait_for_success(kLong).status().message(), "ended with exit code 3");
}

TEST(ProcessTest, StopKillsWhoIgnoresIt) {
  absl::StatusOr<Process> deaf = shell("trap '' TERM; echo ready; while :; do :; done");
  ASSERT_TRUE(deaf.ok()) << deaf.status();
  EXPECT_EQ(deaf->read_line(kLong).value(), "ready");
  EXPECT_TRUE(absl::IsDeadlineExceeded(deaf->stop(absl::Milliseconds(1))));
  EXPECT_EQ(::kill(deaf->pid(), 0), -1);
}

TEST(ProcessTest, TheDestructorLeavesNoProcess) {
  pid_t pid = -1;
  {
    absl::StatusOr<Process> process = shell("exec sleep 1000");
    ASSERT_TRUE(process.ok()) << process.status();
    const Process moved = *std::move(process);
    pid = moved.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(ProcessTest, AMissingProgramIsAnError) {
  const absl::Status status = Process::spawn({"/no/such/program"}).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

}  // namespace
}  // namespace epore::bench
