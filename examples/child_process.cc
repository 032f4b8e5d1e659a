#include "examples/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace examples {
namespace {

// Waits until `fd` is readable; false if that takes longer than until `deadline`.
bool wait_readable(int fd, absl::Time deadline) {
  for (;;) {
    const std::int64_t left =
        absl::ToInt64Milliseconds(absl::Ceil(deadline - absl::Now(), absl::Milliseconds(1)));
    pollfd entry = {.fd = fd, .events = POLLIN, .revents = 0};
    const int n = ::poll(
        &entry, 1,
        static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max())));
    if (n > 0) return true;
    if (n == 0) return false;
    if (errno != EINTR) return false;
  }
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::start(const std::vector<std::string>& command,
                                                 Errors errors) {
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  epore::OwnedFd out_reader(out[0]);
  epore::OwnedFd out_writer(out[1]);
  if (::pipe2(err, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  epore::OwnedFd err_reader(err[0]);
  epore::OwnedFd err_writer(err[1]);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out_writer.get(), STDOUT_FILENO);
  if (errors == Errors::captured) {
    ::posix_spawn_file_actions_adddup2(&actions, err_writer.get(), STDERR_FILENO);
  }
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, command[0].c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return absl::ErrnoToStatus(error, command[0]);

  epore::OwnedFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  return ChildProcess(pid, std::move(pidfd), std::move(out_reader), std::move(err_reader));
}

ChildProcess::ChildProcess(pid_t pid, epore::OwnedFd pidfd, epore::OwnedFd out, epore::OwnedFd err)
    : pid_(pid), pidfd_(std::move(pidfd)), out_{std::move(out), ""}, err_{std::move(err), ""} {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      exit_code_(other.exit_code_) {}

ChildProcess::~ChildProcess() {
  if (pid_ < 0 || exit_code_) return;
  signal(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::optional<std::string> ChildProcess::read_line(absl::Duration timeout) {
  return read_line(out_, timeout);
}

std::optional<std::string> ChildProcess::read_error_line(absl::Duration timeout) {
  return read_line(err_, timeout);
}

std::optional<std::string> ChildProcess::read_line(Lines& lines, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const std::size_t end = lines.unread.find('\n');
    if (end != lines.unread.npos) {
      std::string line = lines.unread.substr(0, end);
      lines.unread.erase(0, end + 1);
      return line;
    }
    if (!wait_readable(lines.fd.get(), deadline)) return std::nullopt;
    char buffer[4096];
    const ssize_t size = ::read(lines.fd.get(), buffer, sizeof buffer);
    if (size > 0) lines.unread.append(buffer, static_cast<std::size_t>(size));
    if (size == 0 && lines.unread.empty()) return std::nullopt;
    if (size == 0) return std::exchange(lines.unread, {});
  }
}

void ChildProcess::signal(int number) {
  if (!exit_code_) ::kill(pid_, number);
}

absl::StatusOr<int> ChildProcess::wait(absl::Duration timeout) {
  if (exit_code_) return *exit_code_;
  if (!wait_readable(pidfd_.get(), absl::Now() + timeout)) {
    return absl::DeadlineExceededError("the process still runs");
  }
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) return absl::ErrnoToStatus(errno, "waitpid");
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return *exit_code_;
}

}  // namespace examples
