#include "tests/bench/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "epore/poll/kernel/errno_status.h"
#include "epore/poll/owned_fd.h"
#include "tests/bench/clock.h"

namespace epore::bench {
namespace {

// Whether `fd` becomes readable in time, or its other end goes away.
bool wait_readable(int fd, std::uint64_t deadline) {
  for (;;) {
    const std::uint64_t now = now_ns();
    const std::uint64_t left_ms = now < deadline ? (deadline - now) / 1'000'000 + 1 : 0;
    pollfd entry = {.fd = fd, .events = POLLIN, .revents = 0};
    const int count =
        ::poll(&entry, 1, static_cast<int>(std::min<std::uint64_t>(left_ms, 3'600'000)));
    if (count > 0) return true;
    if (count == 0 && now_ns() >= deadline) return false;
    if (count < 0 && errno != EINTR) return false;
  }
}

std::string describe(int wait_status) {
  if (WIFEXITED(wait_status)) {
    return absl::StrCat("ended with exit code ", WEXITSTATUS(wait_status));
  }
  return absl::StrCat("was killed by signal ", WTERMSIG(wait_status), " (",
                      ::strsignal(WTERMSIG(wait_status)), ")");
}

int spawn_with_output(const std::vector<std::string>& command, int output, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  sigset_t signals;
  ::sigfillset(&signals);
  ::posix_spawnattr_setsigdefault(&attributes, &signals);
  ::sigemptyset(&signals);
  ::posix_spawnattr_setsigmask(&attributes, &signals);

  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int error =
      ::posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

absl::StatusOr<Process> Process::spawn(const std::vector<std::string>& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_status(errno, "pipe2");
  OwnedFd output(ends[0]);
  const OwnedFd input(ends[1]);
  pid_t pid = -1;
  if (const int error = spawn_with_output(command, input.get(), pid); error != 0) {
    return errno_status(error, absl::StrCat("posix_spawn ", command[0]));
  }
  OwnedFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int error = pidfd.is_valid() ? 0 : errno;
  Process process(pid, std::move(pidfd), std::move(output));
  if (error != 0) return errno_status(error, "pidfd_open");
  return process;
}

Process::Process(pid_t pid, OwnedFd pidfd, OwnedFd output)
    : pid_(pid), pidfd_(std::move(pidfd)), output_(std::move(output)) {}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      output_(std::move(other.output_)),
      unread_(std::move(other.unread_)),
      has_ended_(other.has_ended_),
      wait_status_(other.wait_status_),
      cpu_time_(other.cpu_time_) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    kill_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    output_ = std::move(other.output_);
    unread_ = std::move(other.unread_);
    has_ended_ = other.has_ended_;
    wait_status_ = other.wait_status_;
    cpu_time_ = other.cpu_time_;
  }
  return *this;
}

Process::~Process() { kill_and_reap(); }

absl::StatusOr<std::string> Process::read_line(absl::Duration timeout) {
  const std::uint64_t deadline = deadline_ns(timeout);
  for (;;) {
    if (const std::size_t end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    if (!wait_readable(output_.get(), deadline)) {
      return absl::DeadlineExceededError(
          absl::StrCat("printed no line within ", absl::FormatDuration(timeout)));
    }
    char buffer[1024];
    const ssize_t size = ::read(output_.get(), buffer, sizeof buffer);
    if (size > 0) {
      unread_.append(buffer, static_cast<std::size_t>(size));
    } else if (size == 0) {
      const absl::Status status = check_alive(absl::Seconds(1));
      return status.ok() ? absl::UnavailableError("closed its stdout") : status;
    } else if (errno != EINTR) {
      return errno_status(errno, "read from a process");
    }
  }
}

absl::Status Process::check_alive(absl::Duration grace) {
  if (!wait_for_end(grace)) return absl::OkStatus();
  return absl::UnavailableError(describe(wait_status_));
}

absl::StatusOr<absl::Duration> Process::wait_for_success(absl::Duration timeout) {
  output_.reset();
  if (!wait_for_end(timeout)) {
    return absl::DeadlineExceededError(
        absl::StrCat("did not end within ", absl::FormatDuration(timeout)));
  }
  if (wait_status_ != 0) return absl::UnavailableError(describe(wait_status_));
  return cpu_time_;
}

absl::Status Process::stop(absl::Duration timeout) {
  if (absl::Status status = check_alive(); !status.ok()) return status;
  ::kill(pid_, SIGTERM);
  if (!wait_for_end(timeout)) {
    kill_and_reap();
    return absl::DeadlineExceededError(absl::StrCat(
        "did not end within ", absl::FormatDuration(timeout), " after SIGTERM and was killed"));
  }
  if (wait_status_ != 0) return absl::UnavailableError(describe(wait_status_));
  return absl::OkStatus();
}

bool Process::wait_for_end(absl::Duration timeout) {
  if (has_ended_) return true;
  if (!wait_readable(pidfd_.get(), deadline_ns(timeout))) return false;
  reap();
  return true;
}

void Process::kill_and_reap() {
  if (pid_ < 0 || has_ended_) return;
  ::kill(pid_, SIGKILL);
  reap();
}

void Process::reap() {
  rusage usage = {};
  while (::wait4(pid_, &wait_status_, 0, &usage) < 0 && errno == EINTR) {
  }
  cpu_time_ = absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
  has_ended_ = true;
}

}  // namespace epore::bench
