#include "tests/bench/contender_work.h"

#include <time.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

ABSL_FLAG(int, work_us, 0, "microseconds of CPU that each callback burns before it answers");
ABSL_FLAG(std::string, reply, "echo",
          "how a message is answered: echo, ten_sends (of a tenth each) or broadcast (to all "
          "connections)");
ABSL_FLAG(double, idle_timeout_s, 0,
          "seconds after which a connection without any byte is closed; 0: never");

namespace epore::bench {
namespace {

std::uint64_t thread_cpu_ns() {
  timespec time;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

absl::StatusOr<ContenderWork> ContenderWork::from_flags() {
  ContenderWork work;
  const int work_us = absl::GetFlag(FLAGS_work_us);
  if (work_us < 0 || work_us > 1'000'000) {
    return absl::InvalidArgumentError("--work_us: must be from 0 to 1000000");
  }
  work.work_ns = static_cast<std::uint64_t>(work_us) * 1000;
  const std::string reply = absl::GetFlag(FLAGS_reply);
  if (reply == "ten_sends") {
    work.reply = Reply::ten_sends;
  } else if (reply == "broadcast") {
    work.reply = Reply::broadcast;
  } else if (reply != "echo") {
    return absl::InvalidArgumentError(
        absl::StrCat("--reply: \"", reply, "\" is none of echo, ten_sends and broadcast"));
  }
  const double timeout_s = absl::GetFlag(FLAGS_idle_timeout_s);
  if (!(timeout_s >= 0 && timeout_s <= 1e6)) {
    return absl::InvalidArgumentError("--idle_timeout_s: must be from 0 to 1000000");
  }
  if (timeout_s > 0) {
    work.idle_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(timeout_s * 1000));
  }
  return work;
}

absl::StatusOr<ContenderWork> ContenderWork::without_timeout_from_flags() {
  absl::StatusOr<ContenderWork> work = from_flags();
  if (work.ok() && work->idle_timeout) return absl::UnimplementedError("it has no idle timeouts");
  return work;
}

// CPU, not time: a thread that is interrupted does not get through with less work.
void ContenderWork::burn(std::uint64_t cpu_ns) {
  const std::uint64_t end = thread_cpu_ns() + cpu_ns;
  while (thread_cpu_ns() < end) {
    // The clock is a system call: some work in between, so that it is no test of the kernel.
    std::uint64_t left = 500;
    do {
      asm volatile("" : "+r"(left));  // not to be optimised away
    } while (--left > 0);
  }
}

}  // namespace epore::bench
